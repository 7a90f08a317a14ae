"""The version of the program, as recorded with every run."""

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    """Version of the installed distribution, e.g. "0.1.0"; "0+unknown" when run from an unpacked source tree."""
    try:
        return version("archive-colorizer")
    except PackageNotFoundError:
        return "0+unknown"
