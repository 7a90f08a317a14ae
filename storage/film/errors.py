"""Errors of film: what keeps a film from being read, or from being written whole."""

from storage.errors import StorageError


class UnreadableFilm(StorageError):  # noqa: N818 - the name is the finding: a film that cannot be read
    """A file or folder is not a film this program can read, in whole and as it stands.

    ``error_type`` is one of ``"empty"`` (no bytes, or no frame), ``"not_a_film"``, ``"no_video"``, ``"truncated"``,
    ``"decoder_error"`` (the film breaks off or is damaged in the middle), ``"unsupported"``, ``"timestamps"``,
    ``"missing_frames"`` (a numbered sequence with a gap), ``"interlaced"``, ``"timeout"``, ``"changed"`` (the film
    is not the one that was looked at before), ``"unreadable"``. ``frames_decoded`` is how many frames could be
    decoded before the error, None where nothing was decoded.
    """

    def __init__(self, message: str, error_type: str = "unreadable", frames_decoded: int | None = None) -> None:
        super().__init__(message, error_type)
        self.frames_decoded = frames_decoded

    def __reduce__(self) -> tuple[type["UnreadableFilm"], tuple[str, str, int | None]]:  # type: ignore[override]
        return type(self), (self.message, self.error_type, self.frames_decoded)


class FilmNotWritten(StorageError):  # noqa: N818 - the name is the finding
    """A segment or a joined film could not be written, or what was written is not what was put in.

    ``error_type`` is one of ``"encoder"``, ``"wrong_frames"``, ``"wrong_luma"``, ``"broken_segment"``, ``"join"``.
    """

    def __init__(self, message: str, error_type: str = "encoder") -> None:
        super().__init__(message, error_type)
