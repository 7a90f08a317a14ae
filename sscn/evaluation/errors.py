"""What can be wrong with an evaluation besides its data."""

from sscn.errors import SscnError


class MissingExtra(SscnError):  # noqa: N818 - said as people say it
    """A package of the extra ``evaluate`` is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(f'{what} is not installed; install it with: pip install "archive-colorizer[evaluate]"')
