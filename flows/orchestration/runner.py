"""Prefect's runner, with an end that waits for its children."""

import asyncio
import signal
from typing import Any

from prefect.runner import Runner


class ScheduleRunner(Runner):
    """Does scheduled runs in child processes until SIGTERM or SIGINT; then ends them, and returns.

    Prefect's own handler of SIGTERM leaves the process at once and its children behind.
    """

    def run_until_stopped(self) -> None:
        """Block until stopped. To be called in the main thread, outside any event loop."""
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        signal.signal(signal.SIGINT, self.handle_sigterm)  # Prefect itself does so for SIGTERM
        try:
            asyncio.run(self.start())
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_sigterm(self, *args: Any, **kwargs: Any) -> None:
        """Begin a clean end: cancel what runs, then leave the loop."""
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(lambda: loop.create_task(self.astop()))
