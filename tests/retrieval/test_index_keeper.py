"""An index in step with its database: what is damaged is told and built again, what is new is seen, nobody waits."""

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from retrieval.index import MANIFEST_NAME, check_index
from retrieval.index.folder import writing
from retrieval.index.manifest import StaleIndex, read_manifest, write_manifest
from storage.database import Database, open_database, references
from storage.fixity import PARTIAL_SUFFIX
from tests.retrieval.kept_index import LIBRARY, add, check, names_of, opened, record, vector_of


@pytest.fixture(params=["flat", "ivf"])
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def recorded(database: Database, kind: str) -> dict[str, int]:
    return add(database, *names_of(0, 300 if kind == "ivf" else 100))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


def test_a_build_is_kept_and_opened_again(
    database: Database, recorded: dict[str, int], folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = opened(database, folder)
    assert first.index.manifest.kind == kind
    check(first, recorded)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    again = opened(database, folder)
    check(again, recorded)
    assert again.version == first.version
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert [line for line in caplog.messages if "built" in line] == []


def _damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "longer":
        path.write_bytes(data + b"\n\0")
    else:
        data[len(data) // 2] ^= 0x04
        path.write_bytes(data)


@pytest.mark.parametrize("how", ["missing", "empty", "truncated", "longer", "flipped"])
@pytest.mark.parametrize("ending", ["vectors", "rows", "lists", "json"])
def test_damage_is_told_and_mended(
    database: Database, folder: Path, ending: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = add(database, *names_of(0, 250))
    version = opened(database, folder).version
    (path,) = folder.glob(f"*.{ending}")
    _damage(path, how)
    again = opened(database, folder)
    check(again, recorded)
    assert again.version == version
    told = [line for line in caplog.records if line.levelno >= logging.WARNING]
    if (ending, how) == ("json", "missing"):
        assert told == []  # then there is none yet
    else:
        (line,) = told
        assert str(path) in line.getMessage()
        assert "built again from the database" in line.getMessage()
        assert "\n" not in line.getMessage()
    caplog.clear()
    check(opened(database, folder), recorded)
    assert caplog.messages == []


def test_any_flipped_bit_of_the_manifest_is_noticed(database: Database, folder: Path) -> None:
    add(database, *names_of(0, 20))
    opened(database, folder)
    whole = read_manifest(folder)
    data = bytearray((folder / MANIFEST_NAME).read_bytes())
    for position in range(0, len(data) - 2, 3):
        data[position] ^= 0x01
        (folder / MANIFEST_NAME).write_bytes(data)
        read: object
        try:
            read = read_manifest(folder)  # where the bit is of white space between the words
        except StaleIndex as reason:
            read = MANIFEST_NAME in str(reason)
        assert read in (whole, True)
        data[position] ^= 0x01


def test_an_index_of_something_else_is_built_again(
    database: Database, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = add(database, *names_of(0, 100))
    opened(database, folder)
    newer = references.upsert(database, [record(name, "newer model") for name in names_of(100, 120)])
    check(opened(database, folder, "newer model"), newer)
    assert "another embedding model" in caplog.text
    there = references.upsert(database, [record("there.jpg", library="/elsewhere")])
    check(opened(database, folder, library="/elsewhere"), there)
    check(opened(database, folder), recorded)
    caplog.clear()
    with open_database(f"sqlite:///{tmp_path / 'other.db'}") as other:
        # the same pictures under the same ids: only the time at which they were added tells
        same = add(other, *names_of(0, 100))
        assert same == recorded
        check(opened(other, folder), same)
    assert "another database" in caplog.text
    caplog.clear()
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, positions=manifest.positions + 1))
    check(opened(database, folder), recorded)
    assert "built again from the database" in caplog.text


@pytest.mark.parametrize("added", [True, False])
def test_a_database_put_back_from_a_copy_is_believed(
    folder: Path, tmp_path: Path, added: bool, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "library.db"
    with open_database(f"sqlite:///{file}") as database:
        before = add(database, *names_of(0, 50))
    shutil.copy(file, tmp_path / "copy.db")
    with open_database(f"sqlite:///{file}") as database:
        references.retire(database, [before["3.jpg"]])
        if added:
            add(database, "new.jpg")
        assert len(opened(database, folder).index) == 49 + added
    shutil.copy(tmp_path / "copy.db", file)
    with open_database(f"sqlite:///{file}") as database:
        check(opened(database, folder), before)
    assert ("another database" if added else "the database is older") in caplog.text
    assert "built again from the database" in caplog.text


def test_changes_are_followed(database: Database, recorded: dict[str, int], folder: Path, kind: str) -> None:
    keeper, reader = opened(database, folder), opened(database, folder)
    built = read_manifest(folder)
    version = keeper.version
    few = add(database, "new.jpg", "1.jpg")
    gone = recorded.pop("7.jpg")
    references.retire(database, [gone])
    keeper.refresh()
    check(keeper, recorded | few)
    assert keeper.version != version
    added = add(database, *names_of(5000, 5060))
    keeper.refresh()
    check(keeper, recorded | few | added)
    written = read_manifest(folder)
    assert written.change > built.change  # that was enough to be written down
    assert keeper.index.unsaved == 0
    if kind == "ivf":
        assert written.lists is not None
        assert built.lists is not None
        assert written.lists.trained_for == built.lists.trained_for == 300  # without training
        assert written.vectors[0] == built.vectors[0]
    # who had it open goes on with what is gone now, and then sees the same
    (hit,) = reader.index.search(vector_of("7.jpg")[None], 1)
    assert hit.ids.tolist() == [gone]
    reader.refresh()
    check(reader, recorded | few | added)
    assert reader.version == keeper.version
    keeper.rebuild()
    assert keeper.version == reader.version


def test_a_library_that_grows_changes_its_kind(database: Database, folder: Path) -> None:
    keeper = opened(database, folder)
    recorded: dict[str, int] = {}
    for first, last, kind in ((0, 3, "flat"), (3, 180, "flat"), (180, 400, "ivf"), (400, 1300, "ivf")):
        recorded |= add(database, *names_of(first, last))
        keeper.refresh()
        check(keeper, recorded)
        assert keeper.index.manifest.kind == kind
    assert keeper.index.manifest.lists is not None
    assert keeper.index.manifest.lists.trained_for == 1300
    removed = names_of(0, 1200)
    references.retire(database, [recorded.pop(name) for name in removed])
    keeper.refresh()
    check(keeper, recorded)
    assert keeper.index.manifest.kind == "flat"
    check(opened(database, folder), recorded)


def test_a_reader_does_not_wait_for_who_writes(database: Database, recorded: dict[str, int], folder: Path) -> None:
    opened(database, folder)
    before = read_manifest(folder)
    with writing(folder, wait=True) as ours:
        assert ours
        new = add(database, *names_of(2000, 2100))
        check(opened(database, folder), recorded | new)
        assert read_manifest(folder) == before  # and does not write meanwhile
    check(opened(database, folder), recorded | new)
    assert read_manifest(folder) != before


def test_a_folder_that_is_deleted_is_made_again(database: Database, recorded: dict[str, int], folder: Path) -> None:
    keeper = opened(database, folder)
    shutil.rmtree(folder)
    check(keeper, recorded)
    recorded |= add(database, *names_of(4000, 4050))
    keeper.refresh()
    check(keeper, recorded)
    assert read_manifest(folder).count == len(recorded)


def test_what_a_killed_writer_left_is_removed(database: Database, recorded: dict[str, int], folder: Path) -> None:
    opened(database, folder)
    names = sorted(path.name for path in folder.iterdir())
    (folder / "references-0123456789abcdef.vectors").write_bytes(b"never named by a manifest")
    (folder / f".references-0123.lists.0123{PARTIAL_SUFFIX}").write_bytes(b"never whole")
    (folder / "notes.txt").write_text("somebody's own")
    with writing(folder, wait=True):  # it may be one that is being written
        opened(database, folder)
        assert (folder / "references-0123456789abcdef.vectors").exists()
    check(opened(database, folder), recorded)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "notes.txt"])


def test_a_folder_that_cannot_be_written(
    database: Database, recorded: dict[str, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    keeper = opened(database, tmp_path / "file")
    check(keeper, recorded)
    (line,) = [one for one in caplog.messages if "cannot be written" in one]
    assert str(tmp_path / "file") in line
    new = add(database, *names_of(3000, 3200))
    keeper.refresh()
    check(keeper, recorded | new)


def test_a_check_measures_recall_and_sees_what_differs(
    database: Database, recorded: dict[str, int], folder: Path, kind: str
) -> None:
    keeper = opened(database, folder)
    add(database, "new.jpg")
    references.retire(database, [recorded["5.jpg"]])
    keeper.refresh()

    found = check_index(keeper.index, database, LIBRARY, "model", sample=50)
    assert (found.kind, found.agrees, found.references, found.sample) == (kind, True, len(recorded), 50)
    assert found.recall == 1 if kind == "flat" else 0.9 < found.recall <= 1
    assert (found.lists >= found.probes > 0) == (kind == "ivf")
    assert found.seconds > 0
    assert found.exact_seconds > 0
    assert found.disk_bytes == sum(path.stat().st_size for path in folder.glob("references-*"))

    id_ = recorded["7.jpg"]
    other = references.to_blob(vector_of("another"))
    with database.write() as session:  # behind our back
        session.execute(sa.text("UPDATE reference SET embedding = :other WHERE id = :id"), {"other": other, "id": id_})
    assert not check_index(keeper.index, database, LIBRARY, "model", sample=5).agrees
    keeper.rebuild()
    assert check_index(keeper.index, database, LIBRARY, "model", sample=5).agrees
    with database.write() as session:
        session.execute(sa.text("UPDATE reference SET state = 'retired' WHERE id = :id"), {"id": id_})
    assert not check_index(keeper.index, database, LIBRARY, "model", sample=5).agrees
