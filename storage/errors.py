"""Errors of the storage room: texts are written for an archivist, one line, with the file and the remedy."""


class StorageError(Exception):
    """Something about the files kept or read is wrong; ``args[0]`` is the one-line message for people.

    ``error_type`` is a short slug for the audit, for example ``"unreadable"`` or ``"link_loop"``.
    """

    def __init__(self, message: str, error_type: str = "storage") -> None:
        super().__init__(message)
        self.error_type = error_type

    @property
    def message(self) -> str:
        """The one-line message for people."""
        return str(self.args[0])

    def __reduce__(self) -> tuple[type["StorageError"], tuple[str, str]]:
        """Keep the slug when the error travels between processes."""
        return type(self), (self.message, self.error_type)


class UnreadableImage(StorageError):  # noqa: N818 - the name is the finding: an image that cannot be read
    """A file is not an image this program can read, in whole and as it stands.

    ``error_type`` is one of ``"empty"``, ``"truncated"``, ``"not_an_image"``, ``"too_large"``,
    ``"unsupported"``, ``"unreadable"``.
    """

    def __init__(self, message: str, error_type: str = "unreadable") -> None:
        super().__init__(message, error_type)
