"""Killed anywhere while it adds, removes or rebuilds, a library has every reference once and finds the right ones.

Three rounds here; KILL_ROUNDS=20 makes it twenty.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retrieval import ReferenceLibrary
from retrieval.library import DATABASE_NAME, INDEX_FOLDER, OWN_FOLDER
from storage.database import open_database, references
from storage.fixity import sha256_file
from storage.images import read_master

from .conftest import CountingEmbedder

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
PICTURES = 24

_WORK = """
import random, sys
from pathlib import Path
from retrieval import ReferenceLibrary
from retrieval.index import IndexPlan, keeper
folder, pictures, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
keeper.IndexPlan = lambda: IndexPlan(flat_up_to=15, training_per_list=2)  # both kinds of index come up
choose = random.Random(seed)
with ReferenceLibrary.open(folder) as opened:
    print("open", flush=True)
    while True:
        found = opened.list()
        action = choose.choice(["add", "remove", "rebuild"])
        if action == "add":
            opened.add(choose.sample(sorted(pictures.iterdir()), 8))
        elif action == "remove" and len(found) > 8:
            for one in choose.sample(found, 4):
                opened.remove(one.id)
        elif action == "rebuild":
            opened.rebuild()
        print(action, flush=True)
"""


@pytest.fixture
def pictures(tmp_path: Path, photographs: dict[str, Image.Image]) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        photograph = list(photographs.values())[number % len(photographs)].resize((96, 72))
        photograph.rotate(9 * number, expand=True).save(folder / f"{number:02d}.png")
    return folder


def check(folder: Path, pictures: Path, embedder: CountingEmbedder) -> None:
    """What is in use is there once, each picture is found by its own vector, and every hit is what it claims."""
    with open_database(f"sqlite:///{folder / DATABASE_NAME}", create=False) as database:
        library = ReferenceLibrary(
            database, folder / INDEX_FOLDER, embedder, library_root=folder, recorded_root=OWN_FOLDER
        )
        in_use = library.list()
        assert len({one.path for one in in_use}) == len({one.id for one in in_use}) == len(in_use) == len(library)
        oldest = references.get(database, [one.near_duplicate_of for one in in_use if one.near_duplicate_of])
        assert all(one.near_duplicate_of is None for one in oldest.values())
        vectors = {one.id: embedder.embed([read_master(one.path).pixels])[0] for one in in_use}
        found = library.search_vectors(np.stack([*vectors.values()]), PICTURES)
        for one, matches in zip(in_use, found, strict=True):
            assert matches[0].reference == one
            groups = [match.reference.group for match in matches]
            assert sorted(groups) == sorted({other.group for other in in_use})  # one of near-duplicates
            for match in matches:
                assert sha256_file(match.reference.path) == match.reference.sha256
                expected = float(vectors[one.id].astype(np.float64) @ vectors[match.reference.id].astype(np.float64))
                assert match.score == pytest.approx(max(0.0, expected), abs=1e-6)
    assert not list(folder.rglob("*partial*"))


def test_killed_at_random_while_adding_removing_and_rebuilding(
    tmp_path: Path, pictures: Path, embedder: CountingEmbedder
) -> None:
    folder = tmp_path / "library"
    with ReferenceLibrary.open(folder) as library:
        library.add([pictures])  # from now on nothing has to be embedded, and the work is in rows and files
    moments = random.Random(11)
    for number in range(ROUNDS):
        process = subprocess.Popen(
            [sys.executable, "-c", _WORK, str(folder), str(pictures), str(number)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        time.sleep(moments.uniform(0.0, 1.0))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        check(folder, pictures, embedder)
    with ReferenceLibrary.open(folder) as library:
        report = library.add(sorted(pictures.iterdir()))  # named, so that those removed come back too
        assert report.added + report.unchanged == PICTURES
        assert {one.path.name for one in library.list()} == {path.name for path in pictures.iterdir()}
    check(folder, pictures, embedder)
