"""The review's server on this machine, from its start to its end."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.errors import EnvironmentProblem, ExitCode, LeaveAtOnce
from flows.progress import Progress
from flows.review.guard import LOOPBACK, Keys
from flows.review.jobs import Jobs
from flows.review.pictures import Pictures
from flows.review.site import Desk, make_site
from storage.database import Database
from storage.database.records import RunColorization
from storage.decoding import Decoder

if TYPE_CHECKING:  # see flows.engine
    from flows.engine import Engine
    from flows.settings import RunSettings


class Networks:
    """See `flows.review.site.Network`; keeps what was loaded last, as most items are of one run.

    Used by one thread at a time (`flows.review.jobs`).
    """

    def __init__(self, database: Database, device: str) -> None:
        self._database = database
        self._device = device
        self._loaded: tuple[RunSettings, Engine] | None = None

    def colorize_again(
        self,
        row: RunColorization,
        reference_id: int,
        *,
        reviewer: str,
        reason: str | None,
        shot: int | None,
        progress: Progress,
    ) -> RunColorization:
        """See `flows.again.colorize_again`."""
        from flows.again import colorize_again

        progress.say("loading the networks")
        engine = self._engine(row)
        progress.say("colorizing")
        return colorize_again(
            self._database,
            row,
            reference_id,
            reviewer=reviewer,
            reason=reason,
            shot=shot,
            device=self._device,
            progress=progress,
            engine=engine,
        )

    def confidence_map(self, row: RunColorization) -> NDArray[np.float32]:
        """See `flows.again.confidence_map`."""
        from flows.again import confidence_map

        engine = self._engine(row) if row.kind != "film" else None
        return confidence_map(self._database, row, device=self._device, engine=engine)

    def _engine(self, row: RunColorization) -> "Engine":
        from flows.again import settings_of
        from flows.engine import Engine

        settings = settings_of(self._database, row, self._device)
        if self._loaded is None or self._loaded[0] != settings:
            self._loaded = None  # the memory of the old networks is free before the new ones are loaded
            self._loaded = settings, Engine.load(settings)
        return self._loaded[1]


@dataclass(frozen=True, slots=True)
class Serving:
    """What a server is started with; `announce` is told its address when it can be opened."""

    database: Database
    output_root: str
    reviewer: str
    port: int
    device: str
    announce: Callable[[str], None]


def serve(serving: Serving) -> None:
    """Serve the review until its page says stop; Ctrl-C goes on as it came.

    Raises:
        EnvironmentProblem: the port cannot be had.
        LeaveAtOnce: it was interrupted while something was being worked on.
    """
    import uvicorn

    with _listening(serving.port) as listening, Decoder() as decoder:
        keys, jobs = Keys(listening.getsockname()[1]), Jobs()
        config = uvicorn.Config(
            "", lifespan="off", log_level="warning", access_log=False, ws="none", timeout_graceful_shutdown=2,
            server_header=False, date_header=True,
        )  # fmt: skip
        server = uvicorn.Server(config)
        config.app = make_site(
            Desk(
                database=serving.database,
                output_root=serving.output_root,
                reviewer=serving.reviewer,
                pictures=Pictures(serving.database, decoder),
                network=Networks(serving.database, serving.device),
                keys=keys,
                stop=lambda: setattr(server, "should_exit", True),
                jobs=jobs,
            )
        )
        serving.announce(keys.address)
        try:
            server.run(sockets=[listening])
        except BaseException as error:
            if jobs.is_busy:
                raise LeaveAtOnce(ExitCode.INTERRUPTED, error) from None
            raise


def _listening(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise EnvironmentProblem(
            f"the review cannot be served on port {port} ({getattr(error, 'strerror', None) or error}); "
            "name another one with --port, or none"
        ) from error
    return listening
