"""What a film is: container, codec, picture, colour, clock and the streams beside the picture."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from storage.film.decoding import first_frame
from storage.film.errors import UnreadableFilm
from storage.film.pixels import (
    MATRICES,
    PRIMARIES,
    TRANSFERS,
    assumed_full_range,
    assumed_matrix,
    pixel_format,
)
from storage.film.program import FORMATS, address
from storage.film.records import FieldOrder, FilmFacts, SequencePattern, StreamFacts
from storage.film.sequence import find_sequence
from storage.film.structure import missing_bytes
from storage.paths import path_to_text

SEQUENCE_RATE = Fraction(24)
_OPEN_SECONDS = 60.0
# av_field_order: 0 unknown, 1 progressive, then TT, BB, TB (coded top, shown bottom first), BT.
_FIELD_ORDERS: dict[int, FieldOrder] = {
    0: "unknown", 1: "progressive", 2: "top field first", 3: "bottom field first", 4: "bottom field first",
    5: "top field first",
}  # fmt: skip


def probe(path: Path, *, sequence_rate: Fraction = SEQUENCE_RATE) -> FilmFacts:
    """The facts of a film: a file, or a folder of numbered DPX or TIFF frames shown at ``sequence_rate``.

    Reads the head and the index only; whether every frame can be decoded is for ``survey`` to find out.
    Untagged film is taken for BT.601 below 720 lines and BT.709 from there on, YUV for limited range
    (``storage.film.pixels``). Raises ``UnreadableFilm``: ``"empty"``, ``"not_a_film"``, ``"no_video"``,
    ``"truncated"``, ``"unsupported"``, ``"missing_frames"``, ``"unreadable"``.
    """
    if path.is_dir():
        pattern = find_sequence(path)
        with open_film(pattern.path(pattern.first), {"pattern_type": "none"}, "image2") as container:
            return _facts(path, container, pattern, sequence_rate)
    _check_length(path)
    with open_film(path) as container:
        return _facts(path, container, None, sequence_rate)


@contextmanager
def open_film(path: Path, options: dict[str, str] | None = None, kind: str | None = None) -> Iterator[InputContainer]:
    """A film's container, opened for reading its packets; raises ``UnreadableFilm`` if it cannot be opened."""
    limits = {"protocol_whitelist": "file", "format_whitelist": "image2" if kind else FORMATS}
    with ExitStack() as stack:
        try:
            name = stack.enter_context(utf8_address(path, os.O_RDONLY))
            container = stack.enter_context(
                av.open(
                    name, format=kind, options=limits | (options or {}), timeout=_OPEN_SECONDS,
                    metadata_errors="replace",
                )
            )  # fmt: skip
        except (av.error.FFmpegError, OSError) as error:
            raise unreadable(path, error) from error
        yield container


@contextmanager
def utf8_address(path: Path, flags: int) -> Iterator[str]:
    """A name for libraries that take UTF-8 only: a file with another name is opened and named by its descriptor."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            yield f"file:/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        yield address(path)


def unreadable(path: Path, error: Exception) -> UnreadableFilm:
    """What an error of the libraries means for the person whose film it is."""
    name = path_to_text(path)
    if isinstance(error, av.error.ExitError):
        return UnreadableFilm(
            f"{name} could not be read within {_OPEN_SECONDS:.0f} seconds; check the disk or the network share",
            "timeout",
        )
    reason = (getattr(error, "strerror", None) or str(error) or "unknown reason").splitlines()[0]
    reason = reason[:1].lower() + reason[1:]
    if isinstance(error, av.error.EOFError):
        return UnreadableFilm(f"{name} holds no frame; copy it again from its source or remove it", "empty", 0)
    # An invalid argument is what ffmpeg calls a format that it was told not to open.
    if isinstance(error, av.error.InvalidDataError | av.error.ArgumentError):
        return UnreadableFilm(
            f"{name} is not a film that can be read ({reason}); replace it by the real file", "not_a_film"
        )
    return UnreadableFilm(f"{name} cannot be read ({reason}); check its access rights")


def _check_length(path: Path) -> None:
    name = path_to_text(path)
    try:
        missing = missing_bytes(path)
        size = path.stat().st_size
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableFilm(f"{name} cannot be read ({reason}); check its access rights") from error
    if not size:
        raise UnreadableFilm(f"{name} is empty; copy it again from its source or remove it", "empty")
    if missing:
        raise UnreadableFilm(
            f"{name} breaks off: at least {missing} bytes are missing at its end; copy it again from its source",
            "truncated",
        )


def _facts(path: Path, container: InputContainer, pattern: SequencePattern | None, rate: Fraction) -> FilmFacts:
    name = path_to_text(path)
    video = picture_stream(container, name)
    context = video.codec_context
    if context is None:
        raise UnreadableFilm(
            f"{name} is in a codec that is not known here; convert it to FFV1 in Matroska", "unsupported"
        )
    frame_rate, time_base, frames, duration = rate, 1 / rate, 0, Fraction(0)
    if pattern is not None:
        frames, duration = pattern.count, pattern.count / rate
    else:
        time_base = video.time_base or Fraction(1, 1000)
        frame_rate = video.average_rate or video.guessed_rate or video.base_rate or Fraction(25)
        frames = video.frames
        if video.duration is not None:
            duration = video.duration * time_base
        elif container.duration is not None:
            duration = Fraction(container.duration, av.time_base)
    first = first_frame(path, pattern, frame_rate, video.index)
    pixels = pixel_format(first.pixel_format)
    if pixels is None:
        raise UnreadableFilm(
            f"{name} has samples of the kind {first.pixel_format}, which cannot be kept exactly here; "
            "convert it to FFV1 with 8 to 16 bits",
            "unsupported",
        )
    is_rgb = pixels.subsampling == "rgb"
    matrix = None if is_rgb else MATRICES.get(int(context.colorspace))
    tagged_range = None if is_rgb else {1: False, 2: True}.get(int(context.color_range))
    order = _FIELD_ORDERS.get(int(context.field_order or 0), "unknown")
    return FilmFacts(
        path=path,
        container="sequence" if pattern else container.format.name.split(",")[0],
        codec=context.name,
        width=first.width,
        height=first.height,
        pixel_format=pixels.name,
        bit_depth=pixels.bit_depth,
        subsampling=pixels.subsampling,
        matrix=matrix or assumed_matrix(pixels.subsampling, first.height),
        matrix_tagged=matrix is not None,
        full_range=assumed_full_range(pixels, context.name) if tagged_range is None else tagged_range,
        range_tagged=tagged_range is not None,
        primaries=PRIMARIES.get(int(context.color_primaries)),
        transfer=TRANSFERS.get(int(context.color_trc)),
        chroma_location=first.chroma_location,
        sample_aspect=first.sample_aspect,
        rotation=first.rotation,
        frame_rate=frame_rate,
        time_base=time_base,
        field_order=first.field_order if order in ("unknown", "progressive") and first.field_order else order,
        duration=duration or None,
        declared_frames=frames or None,
        video_index=video.index,
        streams=_other_streams(container, video.index) if pattern is None else (),
        chapters=len(container.chapters()),
        sequence=pattern,
    )


def picture_stream(container: InputContainer, name: str) -> VideoStream:
    """The first picture stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise UnreadableFilm(f"{name} holds no picture, only {_kinds(container)}; remove it from the films", "no_video")


def _kinds(container: InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "an empty container"


def _other_streams(container: InputContainer, video_index: int) -> tuple[StreamFacts, ...]:
    return tuple(
        StreamFacts(
            stream.index,
            stream.type,
            stream.codec_context.name if getattr(stream, "codec_context", None) else (stream.name or "unknown"),
            stream.metadata.get("language"),
            stream.metadata.get("title"),
        )
        for stream in container.streams
        if stream.index != video_index
    )
