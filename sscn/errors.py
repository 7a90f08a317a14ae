"""The one error family of the network room."""


class SscnError(Exception):
    """Something the network cannot work with; the first argument is one line for people."""
