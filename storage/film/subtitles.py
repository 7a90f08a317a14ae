"""Text subtitles in the kind of text that a container holds."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from av.container import InputContainer

from storage.film.errors import UnreadableFilm
from storage.film.facts import open_film
from storage.film.program import FORMATS, address, run_ffmpeg

_TEXT = {"matroska": ("subrip", "matroska"), "mp4": ("mov_text", "mp4"), "mov": ("mov_text", "mov")}


def text_subtitles(stack: ExitStack, path: Path, index: int, container: str) -> InputContainer | None:
    """The subtitles of the stream ``index`` rewritten for ``container``, opened until ``stack`` ends.

    None if they are pictures, or cannot be rewritten. Words and times stay; styles are lost.
    """
    codec, kind = _TEXT[container]
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="archive-colorizer-")))
    rewritten = folder / "subtitles"
    arguments = ["-copyts", "-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS, "-i", address(path)]
    arguments += ["-map", f"0:{index}", "-c:s", codec, "-fflags", "+bitexact", "-f", kind, address(rewritten)]
    try:
        if run_ffmpeg(arguments).status:
            return None
        return stack.enter_context(open_film(rewritten))
    except (TimeoutError, UnreadableFilm):
        return None
