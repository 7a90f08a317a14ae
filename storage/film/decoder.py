"""A decoding of a film from its start or from a place in it: ffmpeg at work, and what its end must look like."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

from storage.film.damage import complaints, decoder_error, timed_out
from storage.film.decoding import input_arguments
from storage.film.errors import UnreadableFilm
from storage.film.program import STALL_SECONDS, Process, ffmpeg, read_into, read_lines
from storage.film.records import FilmFacts
from storage.paths import path_to_text


class Decoder:
    """ffmpeg decoding one film. Its user counts the frames in ``decoded``; the errors say how many there were."""

    def __init__(self, path: Path, facts: FilmFacts, process: Process, decoded: int) -> None:
        self.decoded = decoded
        self._path = path
        self._facts = facts
        self._process = process

    def lines(self) -> Iterator[str]:
        """What ffmpeg prints, line by line."""
        return read_lines(self._process.output, STALL_SECONDS)

    def fill(self, buffer: memoryview) -> int:
        """Fill ``buffer`` with what ffmpeg gives; returns the bytes that came before its end."""
        return read_into(self._process.output, buffer)

    def wait(self) -> None:
        """Wait until ffmpeg has ended, having given all it has to give."""
        self._process.wait()

    def has_complained(self) -> bool:
        """Whether ffmpeg has found fault with the picture so far."""
        return self._process.has_spoken() and bool(complaints(self._facts, self._process.errors()))

    def says(self, words: str) -> bool:
        """Whether these words stand among ffmpeg's errors."""
        return any(words in line for line in self._process.errors())

    def broken_off(self, expected: int | None = None) -> UnreadableFilm:
        """The error for a film that ends here though it should not; ``expected`` frames, if known."""
        return decoder_error(self._path, self._facts, self._process.errors(), self.decoded, expected)

    def check_end(self, *, sought: bool = False) -> None:
        """ffmpeg must end well, without a complaint (after a seek there may be some at its start), with a frame."""
        if self._process.wait() or (not sought and self.has_complained()):
            raise self.broken_off()
        if not self.decoded:
            raise UnreadableFilm(
                f"{path_to_text(self._path)} holds no frame; copy it again from its source", "empty", 0
            )


@contextmanager
def decoding(
    path: Path, facts: FilmFacts, output: Sequence[str], *, seek_seconds: Fraction | None = None, first: int = 0
) -> Iterator[Decoder]:
    """Decode ``path`` with ffmpeg's arguments for its output; ``first`` is the number of the first frame given.

    Raises ``UnreadableFilm`` ("timeout") if ffmpeg falls silent.
    """
    arguments = [*input_arguments(path, facts.sequence, facts.frame_rate, seek_seconds), *output]
    with ffmpeg(arguments) as process:
        decoder = Decoder(path, facts, process, first)
        try:
            yield decoder
        except TimeoutError:
            raise timed_out(path, decoder.decoded) from None
