"""An index that several processes and threads use at once, over SQLite and PostgreSQL."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.database import Database, open_database, references
from tests.retrieval.kept_index import add, check, names_of, opened, vector_of
from tests.storage.database.postgresql import fresh_database, running_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


_FOLLOW = """
import sys
from pathlib import Path
from retrieval.index import IndexKeeper
from storage.database import open_database, references
from tests.retrieval.kept_index import LIBRARY, DIMENSION, PLAN, vector_of
import numpy as np
with open_database(sys.argv[1], create=False) as database:
    keeper = IndexKeeper(database, LIBRARY, Path(sys.argv[2]), "model", DIMENSION, PLAN)
    print("open", flush=True)
    rounds = 0
    while rounds < 3 or keeper.index.change < int(sys.argv[3]):
        keeper.refresh()
        rows = [row for row in references.active(database, LIBRARY)]
        asked = rows[:: max(1, len(rows) // 50)]
        hits = keeper.index.search(np.stack([vector_of(row.path) for row in asked]), 1)
        for row, hit in zip(asked, hits):
            # it may have been added since the index was looked at; never is another one's vector its own
            assert hit.products[0] < 0.999 or hit.ids[0] == row.id, (row, hit)
        rounds += 1
    print(keeper.version, len(keeper.index), flush=True)
"""


def test_several_processes_read_while_one_adds(database: Database, folder: Path) -> None:
    recorded = add(database, *names_of(0, 150))
    keeper = opened(database, folder)
    last = 1 + 30 + 6
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", _FOLLOW, database.url, str(folder), str(last)],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for reader in readers:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "open\n"
    for number in range(30):
        recorded |= add(database, *names_of(1000 + 20 * number, 1020 + 20 * number))
        if number % 5 == 0:
            references.retire(database, [recorded.pop(f"{number}.jpg")])
        keeper.refresh()
    for reader in readers:
        answer, _ = reader.communicate(timeout=120)
        assert reader.returncode == 0
        assert answer.split() == [keeper.version, str(len(recorded))]
    check(keeper, recorded)
    check(opened(database, folder), recorded)


def test_threads_may_search_while_it_is_refreshed(database: Database, folder: Path) -> None:
    recorded = add(database, *names_of(0, 250))
    keeper = opened(database, folder)
    wrong: list[str] = []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            for name in names_of(100, 110):
                if keeper.index.search(vector_of(name)[None], 1)[0].ids.tolist() != [recorded[name]]:
                    wrong.append(name)

    searching = threading.Thread(target=search)
    searching.start()
    for number in range(20):
        add(database, *names_of(2000 + 10 * number, 2010 + 10 * number))
        keeper.refresh()
    done.set()
    searching.join()
    assert wrong == []


@pytest.fixture
def postgresql() -> Iterator[Database]:
    with running_server() as server, fresh_database(server, "keeper") as url, open_database(url) as database:
        yield database


def test_on_postgresql_the_same(postgresql: Database, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    recorded = add(postgresql, *names_of(0, 250))
    check(opened(postgresql, folder), recorded)
    recorded |= add(postgresql, *names_of(900, 920))
    references.retire(postgresql, [recorded.pop("5.jpg")])
    keeper = opened(postgresql, folder)
    check(keeper, recorded)
    assert keeper.index.manifest.kind == "ivf"
    assert [line for line in caplog.records if line.levelno >= logging.WARNING] == []
