"""The command line. `main` is the entry point of the installed command `archive-colorizer`."""

from flows.cli.entry import main

__all__ = ["main"]
