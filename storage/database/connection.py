"""The open database: transactions that are whole, tried again while the database is away."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool

from storage.database import schema
from storage.database.engine import (
    BUSY_SECONDS,
    check_encoding,
    check_sqlite_file,
    make_engine,
    parse_url,
    reading,
    writing,
)
from storage.database.errors import describe, explain, is_refused, is_starting, is_transient

T = TypeVar("T")

PATIENCE_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 5.0
_BUSY_SECONDS_GIVEN_UP = 0.5  # two programs may still meet for a moment
_RESTART_SECONDS = 5.0
"""So long a server may refuse connections at the start: one that is restarted does, as does a wrong address."""


def open_database(
    url: str, *, create: bool = True, upgrade: bool = False, patience_seconds: float = PATIENCE_SECONDS
) -> "Database":
    """Open the provenance database and see that it has this program's schema.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.
        create: make the schema in an empty database (and the SQLite file); else an empty one is an error.
        upgrade: migrate a database of an older version that already holds records.
        patience_seconds: how long a transaction is tried again while the database is locked or away.

    Raises:
        DatabaseError: it cannot be reached, opened or written to.
        SchemaError: its schema is older, newer or another program's.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        check_sqlite_file(parsed, create=create)
    engine = make_engine(parsed, busy_seconds=patience_seconds)
    database = Database(engine, patience_seconds=patience_seconds)
    try:
        database._open(create=create, upgrade=upgrade)
    except BaseException:
        database.close()
        raise
    return database


class Database:
    """An open provenance database; threads may share it. Another process opens its own, by `url`.

    It waits for a database that is locked or away, but only once: when that took all its patience, every further
    transaction is tried with next to no wait, until one succeeds. So what is to be saved at the end of a run that lost
    its database does not wait all over again.
    """

    def __init__(self, engine: Engine, *, patience_seconds: float) -> None:
        self._engine = engine
        self._reader = reading(engine)
        self._writer = writing(engine)
        self._patience_seconds = patience_seconds
        self._pid = os.getpid()
        self._inherited: list[Pool] = []
        self._is_given_up = False

    def __repr__(self) -> str:
        return f"<{describe(self._engine.url)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL to open the same database with, password included: not for messages."""
        url = self._engine.url
        if url.get_backend_name() == "sqlite":
            return f"sqlite:///{url.database}"
        return url.set(drivername="postgresql").render_as_string(hide_password=False)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction that may write: committed at the end of the block, rolled back on any error.

        Waits for a database that is locked or away at the start; what fails later inside the block is raised.
        `run_write` tries the whole transaction again.
        """
        with self._explained():
            session = self._patiently(lambda: self._begin(self._writer), is_transient)
            with session:
                yield session
                session.commit()

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """One transaction that only reads: every statement in it sees the same state."""
        with self._explained():
            session = self._patiently(lambda: self._begin(self._reader), is_transient)
            with session:
                yield session

    def run_write(self, work: Callable[[Session], T]) -> T:
        """Do `work` in one transaction; while the database is locked or away, do all of it again.

        `work` may run several times, the last time with its changes kept. After a connection broke during the
        commit it may find its own changes already there, so it must bear being repeated.
        """

        def whole() -> T:
            with self._begin(self._writer) as session:
                result = work(session)
                session.commit()
                return result

        with self._explained():
            return self._patiently(whole, is_transient)

    def run_read(self, work: Callable[[Session], T]) -> T:
        """Do `work` in one transaction that only reads, again while the database is away."""

        def whole() -> T:
            with self._begin(self._reader) as session:
                return work(session)

        with self._explained():
            return self._patiently(whole, is_transient)

    def close(self) -> None:
        """Give back all connections; on SQLite the last one to close leaves a single file."""
        if os.getpid() == self._pid:
            self._engine.dispose()

    def _open(self, *, create: bool, upgrade: bool) -> None:
        began = time.monotonic()

        # A server that cannot be reached at the start is most likely a wrong address: say so soon.
        def may_wait(error: DBAPIError) -> bool:
            if self.dialect == "sqlite":
                return is_transient(error)
            return is_starting(error) or (is_refused(error) and time.monotonic() - began < _RESTART_SECONDS)

        def check() -> None:
            check_encoding(self._engine)
            schema.ensure(self._engine, create=create, upgrade=upgrade)

        with self._explained():
            self._patiently(check, may_wait)

    def _begin(self, engine: Engine) -> Session:
        if os.getpid() != self._pid:
            # After a fork the parent's connections must neither be used nor closed here.
            self._inherited.append(self._engine.pool)
            self._engine.dispose(close=False)
            self._pid = os.getpid()
        if self._is_given_up:
            engine = engine.execution_options(**{BUSY_SECONDS: _BUSY_SECONDS_GIVEN_UP})
        session = Session(engine, expire_on_commit=False)
        try:
            session.connection()
        except BaseException:
            session.close()
            raise
        return session

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:  # a mistake in the program, not in the surroundings
            raise
        except DBAPIError as error:
            raise explain(error, self._engine.url) from error

    def _patiently(self, work: Callable[[], T], may_wait: Callable[[DBAPIError], bool]) -> T:
        # SQLite has waited for a lock by the time it reports it; a lost connection is reported at once.
        patience = 0 if self._is_given_up else self._patience_seconds
        deadline = time.monotonic() + patience if self.dialect == "sqlite" else None
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                result = work()
            except DBAPIError as error:
                deadline = deadline or time.monotonic() + patience
                if not may_wait(error):
                    raise
                if time.monotonic() + pause > deadline:
                    self._is_given_up = True
                    raise
            else:
                self._is_given_up = False
                return result
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
