"""Digests, and files that are there whole or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage.fixity import PARTIAL_SUFFIX, atomic_write, sha256_bytes, sha256_file, sweep_partial_files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_digests(tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == sha256_bytes(content) == hashlib.sha256(content).hexdigest()


def test_the_file_appears_when_the_block_ends_and_not_before(tmp_path: Path) -> None:
    target = tmp_path / "new" / "picture.tif"
    with atomic_write(target) as partial:
        partial.write_bytes(b"x" * 1000)
        assert not target.exists()
        assert partial.parent == target.parent
        assert partial.name.startswith(".picture.tif.")
        assert partial.name.endswith(PARTIAL_SUFFIX)
    assert target.read_bytes() == b"x" * 1000
    assert names(target.parent) == ["picture.tif"]


def test_new_folders_are_synced_into_the_folders_above_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    real_sync = os.fsync

    def noting_sync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", noting_sync)
    with atomic_write(tmp_path / "a" / "b" / "c" / "picture.tif") as partial:
        partial.write_bytes(b"x")
    folders = [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert [path for path in synced if not path.name.endswith(PARTIAL_SUFFIX)] == folders
    synced.clear()
    with atomic_write(tmp_path / "a" / "b" / "c" / "other.tif") as partial:
        partial.write_bytes(b"x")
    assert [path for path in synced if not path.name.endswith(PARTIAL_SUFFIX)] == folders[-1:]


def test_a_folder_that_may_be_written_to_but_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    script = (
        "import os, sys; from pathlib import Path; from storage.fixity import atomic_write\n"
        "os.chdir(sys.argv[1])\n"
        "if os.geteuid() == 0: os.chown('.', 65534, 65534); os.setgid(65534); os.setuid(65534)\n"
        "os.chmod('.', 0o300)\n"
        "with atomic_write(Path('picture.tif')) as partial: partial.write_bytes(b'whole')\n"
    )
    try:
        subprocess.run([sys.executable, "-c", script, folder], check=True)
    finally:
        folder.chmod(0o700)
    assert names(folder) == ["picture.tif"]
    assert (folder / "picture.tif").read_bytes() == b"whole"


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "picture.tif"
    target.write_bytes(b"old")

    def interrupted() -> None:
        with atomic_write(target) as partial:
            partial.write_bytes(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["picture.tif"]


@pytest.mark.parametrize("name", ["a" * 255, "é" * 127, "\udcff" * 255])
def test_the_longest_names(tmp_path: Path, name: str) -> None:
    with atomic_write(tmp_path / name) as partial:
        partial.write_bytes(b"1")
    assert names(tmp_path) == [name]


def test_sweeping_keeps_what_is_being_written_and_what_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / f".a.tif.0011223344556677{PARTIAL_SUFFIX}").write_bytes(b"half")
    (folder / ".hidden").write_bytes(b"")
    with atomic_write(folder / "b.tif") as partial:
        partial.write_bytes(b"whole")
        assert sweep_partial_files(tmp_path) == 1
        assert partial.exists()
    assert names(folder) == [".hidden", "b.tif"]
    assert sweep_partial_files(tmp_path) == 0


def test_a_killed_writer_leaves_only_what_sweeping_removes(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from storage.fixity import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as partial:\n"
        "    file = partial.open('wb'); file.write(b'half'); file.flush()\n"
        "    print('writing', flush=True); time.sleep(60)\n"
    )
    target = tmp_path / "picture.tif"
    with subprocess.Popen([sys.executable, "-c", script, target], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    assert len(names(tmp_path)) == 1
    assert not target.exists()
    assert sweep_partial_files(tmp_path) == 1
    assert names(tmp_path) == []
