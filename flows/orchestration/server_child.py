"""The Prefect server as a child that cannot outlive its parent.

Started as `python -m flows.orchestration.server_child PORT PARENT_PID`.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Serve Prefect's own application on loopback until the parent ends or says so."""
    port, parent = int(sys.argv[1]), int(sys.argv[2])
    # set here and not in the parent between fork and exec, where a process with threads must not run Python
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        return
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
