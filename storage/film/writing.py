"""Writing segments: a stretch of a film, encoded, checked and durably in place, or not there at all."""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from storage.film.errors import FilmNotWritten, UnreadableFilm
from storage.film.facts import probe
from storage.film.formats import OutputFormat, encoder_arguments, pipe_format
from storage.film.program import Process, address, ffmpeg, write_all
from storage.film.reading import read_luma
from storage.film.records import FilmFacts, Plane
from storage.film.subsampling import chroma_size, subsample
from storage.fixity import atomic_write, sha256_file
from storage.paths import path_to_text


@dataclass(frozen=True)
class Segment:
    """A finished segment. ``luma_sha256`` is over the luma samples put in, row by row, 16-bit ones little-endian;
    ``sha256`` is the file's."""

    path: Path
    frames: int
    luma_sha256: str
    sha256: str


class SegmentWriter:
    """Encodes frames into one file of its own. A context manager: a clean end of the block checks the file, syncs
    it and gives it its name, an error leaves nothing behind.

    The frames stand at a constant rate in the segment; ``join`` gives them their times.
    """

    def __init__(self, path: Path, output_format: OutputFormat, facts: FilmFacts) -> None:
        self._path = path
        self._format = output_format
        self._facts = facts
        self._size = (facts.height, facts.width)
        self._chroma_size = chroma_size(facts.width, facts.height, output_format.subsampling)
        self._luma_digest = hashlib.sha256()
        self._frames = 0
        self._stack = ExitStack()
        self._process: Process | None = None
        self._partial = path
        self._segment: Segment | None = None

    @property
    def segment(self) -> Segment:
        """The finished segment; only after the block has ended without an error."""
        if self._segment is None:
            raise ValueError("the segment is not finished")
        return self._segment

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._partial = stack.enter_context(atomic_write(self._path))
            self._process = stack.enter_context(ffmpeg(self._arguments(), feed=True))
            self._stack = stack.pop_all()
        return self

    def write(self, luma: Plane, chroma_blue: Plane, chroma_red: Plane) -> None:
        """Append one frame: luma (H, W), Cb and Cr (H, W) or already of the output's chroma size.

        All are of the film's own depth: uint8, or uint16 holding ``output_format.bit_depth`` bits. Raises
        ``ValueError`` for planes of another size or type, ``FilmNotWritten`` if the encoder gave up.
        """
        assert self._process is not None
        planes = [self._luma(luma), self._chroma(chroma_blue), self._chroma(chroma_red)]
        try:
            for plane in planes:
                write_all(self._process.input, plane.data.cast("B"))
        except (BrokenPipeError, TimeoutError):
            raise self._failed() from None
        self._frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is not None:
                # Let atomic_write see the error, so that it removes the partial file.
                self._stack.__exit__(kind, error, trace)
                return
            self._finish()
        self._segment = Segment(self._path, self._frames, self._luma_digest.hexdigest(), sha256_file(self._path))

    def _finish(self) -> None:
        assert self._process is not None
        self._process.input.close()
        try:
            status = self._process.wait()
        except TimeoutError:
            raise self._failed() from None
        if status:
            raise self._failed()
        luma = self._luma_digest.hexdigest() if self._format.lossless else None
        check_segment(self._partial, self._frames, luma)

    def _failed(self) -> FilmNotWritten:
        assert self._process is not None
        said = "; ".join(self._process.errors()[:1]) or "no message"
        return FilmNotWritten(
            f"{path_to_text(self._path)} could not be written after {self._frames} frames (the encoder says: "
            f"{said[:160]}); check the room on the disk"
        )

    def _arguments(self) -> list[str]:
        output, facts = self._format, self._facts
        height, width = self._even(self._size)
        exact = ["-noauto_conversion_filters"] if output.lossless else []
        return [
            "-y", "-f", "rawvideo", "-pixel_format", pipe_format(output), "-video_size", f"{width}x{height}",
            "-framerate", str(facts.frame_rate), "-i", "pipe:0", *exact, *encoder_arguments(output, facts),
            "-fps_mode", "passthrough", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact",
            "-f", output.container, address(self._partial),
        ]  # fmt: skip

    def _even(self, size: tuple[int, int]) -> tuple[int, int]:
        return (size[0] + size[0] % 2, size[1] + size[1] % 2) if self._format.even else size

    def _luma(self, plane: Plane) -> Plane:
        self._check(plane, (self._size,))
        plane = np.ascontiguousarray(plane)
        self._luma_digest.update(plane.data.cast("B"))
        return self._padded(plane, self._even(self._size))

    def _chroma(self, plane: Plane) -> Plane:
        self._check(plane, (self._size, self._chroma_size))
        if plane.shape != self._chroma_size:
            plane = subsample(plane, self._format.subsampling, self._facts.chroma_location)
        height, width = self._even(self._size)
        return self._padded(np.ascontiguousarray(plane), chroma_size(width, height, self._format.subsampling))

    def _padded(self, plane: Plane, size: tuple[int, int]) -> Plane:
        missing = (size[0] - plane.shape[0], size[1] - plane.shape[1])
        return np.pad(plane, ((0, missing[0]), (0, missing[1])), "edge") if any(missing) else plane

    def _check(self, plane: Plane, sizes: tuple[tuple[int, int], ...]) -> None:
        if plane.shape not in sizes or plane.dtype != self._facts.sample_type:
            raise ValueError(f"planes are {self._facts.sample_type} of {sizes}, not {plane.dtype} of {plane.shape}")


def check_segment(path: Path, frames: int, luma_sha256: str | None) -> None:
    """Decode a segment and hold it against what it should be.

    ``luma_sha256`` is as in ``Segment``, None for formats that do not keep the luma exactly. Raises
    ``FilmNotWritten``: ``"broken_segment"`` if it cannot be decoded, ``"wrong_frames"`` or ``"wrong_luma"``.
    """
    name = path_to_text(path)
    digest, count = hashlib.sha256(), 0
    try:
        for luma in read_luma(path, probe(path)):
            digest.update(np.ascontiguousarray(luma).data.cast("B"))
            count += 1
    except UnreadableFilm as error:
        raise FilmNotWritten(f"segment {name} is broken ({error.message}); make it again", "broken_segment") from error
    if count != frames:
        raise FilmNotWritten(f"segment {name} has {count} frames instead of {frames}; make it again", "wrong_frames")
    if luma_sha256 is not None and digest.hexdigest() != luma_sha256:
        raise FilmNotWritten(f"segment {name} does not hold the film's own luma; make it again", "wrong_luma")
