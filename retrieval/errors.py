"""The one error family of the retrieval room."""


class RetrievalError(Exception):
    """A reference library cannot do what it is asked; the first argument is one line for people."""
