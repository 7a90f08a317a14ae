"""What lies beside the picture: copied, rewritten, or named as left out, never lost in silence."""

from pathlib import Path

import av
import pytest

from storage.film import JoinedFilm, probe
from tests.storage.film.clips import ffmpeg, make, packets, round_trip

SUBTITLES = "1\n00:00:00,100 --> 00:00:00,300\nThe mill, 1931\n\n2\n00:00:00,350 --> 00:00:00,500\n<i>Ende</i>\n"
CHAPTERS = """;FFMETADATA1
title=The mill
artist=Unknown
[CHAPTER]
TIMEBASE=1/1000
START=0
END=240
title=Wheel
[CHAPTER]
TIMEBASE=1/1000
START=240
END=560
title=Water
"""


def chapters(path: Path) -> list[tuple[float, float, str]]:
    with av.open(str(path)) as container:
        return [
            (float(one["start"] * one["time_base"]), float(one["end"] * one["time_base"]), one["metadata"]["title"])
            for one in container.chapters()
        ]


def tags(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in container.metadata.items()}


def full_film(folder: Path, name: str, subtitles: str, *more: str) -> Path:
    """A film with two sounds in two languages, subtitles, chapters and a title."""
    (folder / "text.srt").write_text(SUBTITLES)
    (folder / "chapters.txt").write_text(CHAPTERS)
    picture = make(folder / "picture.mkv", "-map", "0", "-map", "1", "-map", "2", "-c:v", "ffv1", "-c:a", "aac")
    ffmpeg(
        "-i", str(picture), "-i", str(folder / "text.srt"), "-i", str(folder / "chapters.txt"),
        "-map", "0", "-map", "1", "-map_metadata", "2", "-map_chapters", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p",
        "-c:a", "copy", "-c:s", subtitles, "-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra",
        "-metadata:s:s:0", "language=eng", "-disposition:a:1", "default", *more, str(folder / name),
    )  # fmt: skip
    return folder / name


def check_kept(source: Path, joined: JoinedFilm) -> None:
    assert packets(joined.path, "audio") == packets(source, "audio")
    assert len(packets(joined.path, "audio")) == 2
    assert chapters(joined.path) == chapters(source)
    assert tags(joined.path)["title"] == "The mill"
    languages = [stream.language for stream in probe(joined.path).streams if stream.kind in ("audio", "subtitle")]
    assert languages == ["deu", "fra", "eng"]


def test_matroska_to_matroska_keeps_all_streams(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"not really a font" * 10)
    more = ("-attach", str(font), "-metadata:s:t:0", "mimetype=application/x-truetype-font")
    source = full_film(tmp_path, "a.mkv", "srt", *more)
    _, _, joined = round_trip(source, tmp_path)
    check_kept(source, joined)
    assert packets(joined.path, "subtitle") == packets(source, "subtitle")
    with av.open(str(joined.path)) as container:
        assert [stream.data for stream in container.streams.attachments] == [font.read_bytes()]
        kept = [stream.disposition for stream in container.streams.audio]
    with av.open(str(source)) as container:
        assert kept == [stream.disposition for stream in container.streams.audio]
    assert not joined.left_out
    assert len(joined.kept) == 4


def test_mp4_to_matroska_rewrites_its_text(tmp_path: Path) -> None:
    source = full_film(tmp_path, "a.mp4", "mov_text")
    _, _, joined = round_trip(source, tmp_path)
    check_kept(source, joined)
    texts = subtitle_texts(joined.path)
    assert texts == ["The mill, 1931", "<i>Ende</i>"]
    assert any("subtitle" in kept and "rewritten" in kept for kept in joined.kept)
    assert not joined.left_out


def subtitle_texts(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [bytes(packet).decode() for packet in container.demux(subtitles=0) if packet.size]


def test_matroska_to_mp4_rewrites_its_text_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"x" * 99)
    source = full_film(tmp_path, "a.mkv", "srt", "-attach", str(font), "-metadata:s:t:0", "mimetype=font/ttf")
    _, _, joined = round_trip(source, tmp_path, "h264")
    check_kept(source, joined)
    assert len(packets(joined.path, "subtitle")[0]) >= 2
    assert [left.split(" ")[0] for left in joined.left_out] == ["attachment"]


@pytest.mark.parametrize("name", ["ffv1", "prores"])
def test_timecode_of_a_mov(name: str, tmp_path: Path) -> None:
    source = make(tmp_path / "a.mov", "-c:v", "prores_ks", "-timecode", "10:11:12:13")
    assert [stream.kind for stream in probe(source).streams] == ["data"]
    _, _, joined = round_trip(source, tmp_path, name)  # type: ignore[arg-type]
    assert not joined.left_out
    assert any("10:11:12:13" in kept for kept in joined.kept)
    with av.open(str(joined.path)) as container:
        found = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
        assert found["timecode"] == "10:11:12:13"


@pytest.mark.parametrize("name", ["ffv1", "h264"])
def test_rotation_is_carried_and_not_applied(name: str, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    ffmpeg("-display_rotation", "90", "-i", str(plain), "-c", "copy", str(tmp_path / "turned.mp4"))
    facts, _, joined = round_trip(tmp_path / "turned.mp4", tmp_path, name)  # type: ignore[arg-type]
    found = probe(joined.path)
    assert abs(facts.rotation) == 90
    assert (found.rotation, found.width, found.height) == (facts.rotation, 64, 48)


def test_sound_before_the_picture_does_not_move_it(tmp_path: Path) -> None:
    """AAC in MP4 begins before zero, with samples that are only there to start the decoder."""
    source = make(tmp_path / "a.mp4", "-map", "0", "-map", "1", "-c:v", "libx264", "-c:a", "aac")
    _, frames, joined = round_trip(source, tmp_path)
    with av.open(str(joined.path)) as container:
        starts = {
            packet.stream.type: float(packet.pts * packet.time_base)
            for packet in reversed([packet for packet in container.demux() if packet.size])
        }
    assert starts["video"] == float(frames[0].pts * frames.time_base) == 0
    assert starts["audio"] < 0


def test_a_cover_picture_is_not_the_film(tmp_path: Path) -> None:
    film = make(tmp_path / "film.mp4", "-c:v", "libx264")
    make(tmp_path / "cover.png", "-frames:v", "1")
    both = tmp_path / "both.mp4"
    ffmpeg(
        "-i", str(tmp_path / "cover.png"), "-i", str(film), "-map", "0", "-map", "1", "-c", "copy", "-disposition:0",
        "attached_pic", str(both),
    )  # fmt: skip
    facts, _, joined = round_trip(both, tmp_path)
    assert facts.codec == "h264"
    assert ["cover" in left for left in joined.left_out] == [True]
