"""The Prefect server as a child that cannot outlive its parent.

Started as `python -m flows.orchestration.server_child LOCK PORT PARENT_PID`, where LOCK is the descriptor of an open
file that is locked until the parent sees the server answer: two servers must not make one database at the same time.
"""

import fcntl
import sys

from flows.orchestration.parent_death import end_with


def main() -> None:
    """Serve Prefect's own application on loopback until the parent ends or says so."""
    lock, port, parent = (int(argument) for argument in sys.argv[1:])
    if not end_with(parent):
        return
    fcntl.flock(lock, fcntl.LOCK_EX)
    import uvicorn

    uvicorn.run(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="warning",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
