"""Joining: finished segments become one film, with the source's own clock and all that lies beside its picture."""

import hashlib
import heapq
import io
import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from storage.film.aspect import SURPLUS, write_aspect
from storage.film.clock import decoding_order, exact_rate
from storage.film.errors import FilmNotWritten, UnreadableFilm
from storage.film.facts import open_film, unreadable, utf8_address
from storage.film.formats import OutputFormat
from storage.film.labels import labels_for
from storage.film.records import FilmFacts, Frames
from storage.film.subtitles import text_subtitles
from storage.fixity import atomic_write, sha256_file
from storage.paths import path_to_text

if TYPE_CHECKING:  # av tells these only to type checkers
    from av.container.core import Chapter

# Containers whose clock starts anywhere; the joined film starts at 0 instead.
_FREE_CLOCKS = frozenset({"mpegts", "mpeg"})
# Tags that describe the source's container, not the film; those of the new one are written by the muxer.
_OWN_TAGS = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration", "bps", "number_of_", "_stat")


# A packet and the time at which it is decoded, in seconds.
Timed = tuple[float, "Packet[Any]"]


@dataclass(frozen=True)
class JoinedFilm:
    """A joined film. ``kept`` and ``left_out`` name streams for people; what is left out has its reason.

    ``shift`` is what was taken off every timestamp, in seconds (only for transport and program streams, whose
    clock starts anywhere). ``tick`` is the unit of the output's clock: times are the source's, to the nearest tick.
    """

    path: Path
    frames: int
    sha256: str
    kept: tuple[str, ...]
    left_out: tuple[str, ...]
    shift: Fraction
    tick: Fraction


@dataclass
class _Beside:
    """The streams that go beside the picture, and what became of each."""

    copied: list[tuple[InputContainer, dict[int, Stream]]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def join(
    segments: Sequence[Path],
    output: Path,
    output_format: OutputFormat,
    facts: FilmFacts,
    frames: Frames,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> JoinedFilm:
    """Join the segments of a film, in order, into ``output``, without encoding anything again.

    Each frame gets the time and duration it has in ``frames`` (in MP4 and MOV, where it came in rounded milliseconds,
    those of the exact rate); sound, subtitles, attachments, chapters and metadata
    are copied from the source packet by packet. Text subtitles that the container cannot hold are rewritten in its
    own kind of text. ``labels`` are tags of the whole film; MP4 and MOV, which know no tags of one's own, get them in
    the comment, behind the source's. The same input gives the same bytes. The file is checked, synced and renamed
    into place.

    Raises ``FilmNotWritten`` ("wrong_frames" if the segments do not hold just the frames of the film,
    "broken_segment", "join") and ``UnreadableFilm`` if the source can no longer be read.
    """
    if output_format.container != "matroska":
        frames = exact_rate(frames, facts.frame_rate)
    with atomic_write(output) as partial:
        try:
            joined = _write(segments, partial, output_format, facts, frames, labels)
        except av.error.FFmpegError as error:
            said = (error.strerror or str(error)).splitlines()[0].lower()
            raise FilmNotWritten(
                f"{path_to_text(output)} could not be joined ({said}); check the room on the disk, or choose FFV1",
                "join",
            ) from error
        if _needs_aspect(output_format, facts):
            write_aspect(partial, facts.sample_aspect * facts.width / facts.height)
        _check(partial, output, frames, joined)
    return JoinedFilm(
        output, len(frames), sha256_file(output), tuple(joined.beside.kept), tuple(joined.beside.left_out),
        joined.shift, joined.tick,
    )  # fmt: skip


@dataclass(frozen=True)
class _Written:
    digest: bytes
    beside: _Beside
    shift: Fraction
    tick: Fraction


def _write(
    segments: Sequence[Path],
    partial: Path,
    output_format: OutputFormat,
    facts: FilmFacts,
    frames: Frames,
    labels: Mapping[str, str],
) -> _Written:
    with ExitStack() as stack:
        source = stack.enter_context(open_film(facts.path)) if facts.sequence is None else None
        first = stack.enter_context(open_film(segments[0]))
        target = stack.enter_context(_create(partial, output_format, frames))
        picture = _add_picture(target, first.streams.video[0], output_format, facts, source, frames)
        beside = _Beside()
        shift = Fraction(0)
        if source is not None:
            shift = _shift(source, facts, frames)
            _add_beside(stack, target, source, facts, output_format, beside)
            target.metadata.update(_tags(source.metadata))
            target.set_chapters([_moved(chapter, shift) for chapter in source.chapters()])
        target.metadata.update(labels_for(output_format, labels, target.metadata))
        target.start_encoding()
        digest = hashlib.sha256()
        ways = [_picture_packets(segments, picture, frames, shift, digest)]
        ways += [_copied_packets(container, streams, shift, facts.path) for container, streams in beside.copied]
        for _, packet in heapq.merge(*ways, key=lambda timed: timed[0]):
            target.mux(packet)
        tick = picture.time_base or frames.time_base
    return _Written(digest.digest(), beside, shift, tick)


@contextmanager
def _create(partial: Path, output_format: OutputFormat, frames: Frames) -> Iterator[OutputContainer]:
    # Times are the source's own: sound that starts before the picture (the priming of AAC) must not move it.
    options = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
    # The packets come in the order of their times: the muxer need not hold ten seconds of them (its default) for a
    # stream that has ended.
    options["max_interleave_delta"] = "500000"
    if output_format.container != "matroska":
        options["video_track_timescale"] = str(frames.time_base.denominator)
        options["movie_timescale"] = str(max(1000, frames.time_base.denominator))
    if output_format.container == "mp4":
        options["movflags"] = "+faststart"
    with (
        utf8_address(partial, os.O_RDWR) as name,
        av.open(name, "w", format=output_format.container, options=options) as target,
    ):
        yield target


def _add_picture(
    target: OutputContainer,
    template: VideoStream,
    output_format: OutputFormat,
    facts: FilmFacts,
    source: InputContainer | None,
    frames: Frames,
) -> VideoStream:
    picture = target.add_stream_from_template(template, opaque=True)
    context = picture.codec_context
    context.sample_aspect_ratio = facts.sample_aspect
    if frames.constant_rate:
        context.framerate = facts.frame_rate
    picture.time_base = frames.time_base
    if facts.rotation:
        picture.set_display_rotation(facts.rotation)
    if source is not None:
        picture.metadata.update(_tags(source.streams[facts.video_index].metadata))
    if _needs_aspect(output_format, facts):
        picture.metadata["title"] = picture.metadata.get("title", "") + SURPLUS
    return picture


def _needs_aspect(output_format: OutputFormat, facts: FilmFacts) -> bool:
    return output_format.container == "matroska" and facts.sample_aspect != 1


def _shift(source: InputContainer, facts: FilmFacts, frames: Frames) -> Fraction:
    """The whole ticks before the film's first packet, for containers whose clock starts anywhere."""
    if facts.container not in _FREE_CLOCKS or source.start_time is None:
        return Fraction(0)
    start = Fraction(source.start_time, av.time_base)
    return start // frames.time_base * frames.time_base


def _add_beside(
    stack: ExitStack,
    target: OutputContainer,
    source: InputContainer,
    facts: FilmFacts,
    output_format: OutputFormat,
    beside: _Beside,
) -> None:
    copied: dict[int, Stream] = {}
    beside.copied.append((source, copied))
    for stream in source.streams:
        if stream.index == facts.video_index:
            continue
        codec = stream.codec_context.name if stream.codec_context else (stream.name or "unknown kind")
        name = f"{stream.type} {stream.index} ({codec})"
        if stream.type == "data":
            timecode = source.streams[facts.video_index].metadata.get("timecode")
            if timecode and "timecode" in stream.metadata:
                beside.kept.append(f"{name} as the tag timecode {timecode}")
            elif not source.chapters():  # the data stream that lists the chapters of an MP4 file is in the chapters
                beside.left_out.append(f"{name}: {output_format.container} does not hold it")
        elif stream.type == "video":
            beside.left_out.append(f"{name}: a second picture, or a cover")
        elif _fits(stream, output_format.container):
            copied[stream.index] = _add_copy(target, stream)
            beside.kept.append(name)
        elif stream.type == "subtitle":
            text = text_subtitles(stack, facts.path, stream.index, output_format.container)
            if text is None:
                beside.left_out.append(f"{name}: {output_format.container} does not hold it")
                continue
            beside.copied.append((text, {0: _add_copy(target, text.streams[0], stream)}))
            beside.kept.append(f"{name} rewritten as {text.streams[0].codec_context.name}")
        else:
            beside.left_out.append(f"{name}: {output_format.container} does not hold it")


def _add_copy(target: OutputContainer, template: Stream, described: Stream | None = None) -> Stream:
    described = described or template
    stream = target.add_stream_from_template(template, opaque=True)
    stream.metadata.update(_tags(described.metadata))
    stream.disposition = described.disposition
    return stream


def _fits(stream: Stream, container: str) -> bool:
    """Whether the container takes this stream, found out by writing the head of a file with it."""
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if not key.lower().startswith(_OWN_TAGS)}


def _moved(chapter: "Chapter", shift: Fraction) -> "Chapter":
    ticks = round(shift / (chapter["time_base"] or Fraction(1)))
    return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}


def _picture_packets(
    segments: Sequence[Path], picture: VideoStream, frames: Frames, shift: Fraction, digest: "hashlib._Hash"
) -> Iterator["Timed"]:
    """The packets of all segments with the film's own times, as (seconds, packet) in decoding order."""
    order = decoding_order(segments, len(frames))
    ticks = int(shift / frames.time_base)
    extradata: bytes | None = None
    for segment, base in order.segments:
        with open_film(segment) as container:
            stream = container.streams.video[0]
            head = bytes(stream.codec_context.extradata or b"")
            if extradata is not None and head != extradata:
                raise FilmNotWritten(
                    f"segment {path_to_text(segment)} was encoded otherwise than those before it; remove all segments "
                    "and start again",
                    "broken_segment",
                )
            extradata = head
            for place, packet in enumerate(packet for packet in container.demux(stream) if packet.size):
                frame = frames[order.shown(base + place)]
                packet.stream = picture
                packet.time_base = frames.time_base
                packet.pts = frame.pts - ticks
                packet.dts = order.decoding_tick(base + place, frames) - ticks
                packet.duration = frame.duration
                digest.update(memoryview(packet))
                yield float(packet.dts * frames.time_base), packet


def _copied_packets(
    container: InputContainer, streams: dict[int, Stream], shift: Fraction, path: Path
) -> Iterator["Timed"]:
    """The packets of the streams beside the picture, as (seconds, packet)."""
    wanted = [container.streams[index] for index in streams if container.streams[index].type != "attachment"]
    if not wanted:
        return
    ends: dict[int, int] = {}
    packets = container.demux(wanted)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError as error:
            raise unreadable(path, error) from error
        if packet is None:
            return
        if not packet.size:
            continue
        index = packet.stream.index
        ticks = round(shift / packet.time_base)
        decoding = packet.dts if packet.dts is not None else packet.pts
        if decoding is None:
            decoding = ends.get(index, 0) + ticks
        shown = packet.pts if packet.pts is not None else decoding
        packet.dts, packet.pts = decoding - ticks, shown - ticks
        ends[index] = packet.dts + (packet.duration or 0)
        packet.stream = streams[index]
        yield float(packet.dts * packet.time_base), packet


def _check(partial: Path, output: Path, frames: Frames, written: _Written) -> None:
    """Read the joined film's picture packets again: their content, number and times."""
    found, shown = hashlib.sha256(), array("q")
    try:
        with open_film(partial) as container:
            stream = container.streams.video[0]
            tick = stream.time_base or frames.time_base
            for packet in container.demux(stream):
                if packet.size:
                    found.update(memoryview(packet))
                    shown.append(packet.pts or 0)
    except (UnreadableFilm, av.error.FFmpegError) as error:
        raise FilmNotWritten(f"{path_to_text(output)} cannot be read again ({error}); start again", "join") from error
    wrong = len(shown) != len(frames) or found.digest() != written.digest
    if wrong or any(
        abs(pts * tick + written.shift - int(wanted) * frames.time_base) > tick / 2
        for pts, wanted in zip(sorted(shown), frames.pts, strict=True)
    ):
        raise FilmNotWritten(
            f"{path_to_text(output)} does not have the frames and times of its source ({len(shown)} frames of "
            f"{len(frames)}); start again",
            "join",
        )
