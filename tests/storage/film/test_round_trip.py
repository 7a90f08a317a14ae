"""Any film through luma, segments and joining: frames, times, sound and luma are the source's."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import pytest

from storage.film import FormatName, probe, survey
from tests.storage.film.clips import CLIPS, ffmpeg, first_packet_times, make, packets, plane_md5s, round_trip, seconds

SOUND = ("-map", "0", "-map", "1")
VARIABLE = "select='mod(n,3)+not(mod(n,7))',setpts=PTS+mod(N\\,3)*0.004/TB"

_MP4_VARIABLE = ("-vf", VARIABLE, "-fps_mode", "vfr", "-enc_time_base", "1/90000", "-c:v", "libx264")
_FULL = ("-vf", "scale=out_range=pc,format=yuv420p", "-color_range", "pc", "-c:v", "libx264")
_FFV1 = ("-c:v", "ffv1", "-pix_fmt")


@dataclass(frozen=True)
class Kind:
    """A file, how it is made, and the pixel format of its decoder."""

    name: str
    arguments: tuple[str, ...]
    pixel_format: str = "yuv420p"
    size: str = "64x48"
    rate: str = "25"

    def make(self, folder: Path) -> Path:
        return make(folder / self.name, *self.arguments, size=self.size, rate=self.rate)


KINDS = {
    "ffv1 with flac": Kind("a.mkv", (*SOUND, *_FFV1, "yuv444p", "-level", "3", "-c:a", "flac"), "yuv444p"),
    "ffv1 of 10 bits": Kind("a.mkv", (*_FFV1, "yuv422p10le"), "yuv422p10le", rate="24"),
    "ffv1 of 16 bit grey": Kind("a.mkv", (*_FFV1, "gray16le"), "gray16le"),
    "ffv1 of 12 bits": Kind("a.mkv", (*_FFV1, "yuv444p12le"), "yuv444p12le"),
    "ffv1 with chroma 4:1:1": Kind("a.mkv", (*_FFV1, "yuv411p"), "yuv411p"),
    "prores with pcm": Kind("a.mov", (*SOUND, "-c:v", "prores_ks", "-c:a", "pcm_s24le"), "yuv422p10le"),
    "h264 with b-frames and aac": Kind("a.mp4", (*SOUND, "-c:v", "libx264", "-bf", "3", "-g", "9", "-c:a", "aac")),
    "h264 of 10 bits": Kind("a.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p10le"), "yuv420p10le"),
    "mpeg-4 in avi": Kind("a.avi", (*SOUND, "-c:v", "mpeg4", "-bf", "2", "-c:a", "mp2")),
    "motion jpeg": Kind("a.avi", (*SOUND, "-c:v", "mjpeg", "-pix_fmt", "yuvj422p", "-c:a", "pcm_s16le"), "yuvj422p"),
    "mpeg-2 program stream": Kind("a.mpg", (*SOUND, "-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2")),
    "mpeg-2 transport stream": Kind("a.ts", (*SOUND, "-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2")),
    "h264 transport stream": Kind("a.ts", (*SOUND, "-c:v", "libx264", "-bf", "2", "-c:a", "ac3")),
    "no sound": Kind("a.mkv", ("-c:v", "libx264", "-pix_fmt", "yuv420p"), rate="30000/1001"),
    "two sounds": Kind("a.mkv", (*SOUND, "-map", "2", *_FFV1, "yuv420p", "-c:a", "libvorbis")),
    "odd size": Kind("a.mkv", (*_FFV1, "yuv420p"), size="321x241"),
    "oblong pixels": Kind("a.mkv", ("-vf", "setsar=16/15", *_FFV1, "yuv420p")),
    "variable rate in mp4": Kind("a.mp4", (*SOUND, *_MP4_VARIABLE, "-c:a", "aac", "-pix_fmt", "yuv420p")),
    "variable rate in matroska": Kind("a.mkv", ("-vf", VARIABLE, "-fps_mode", "vfr", *_FFV1, "yuv420p")),
    "full range": Kind("a.mp4", _FULL),
}


@pytest.mark.parametrize("kind", KINDS)
def test_ffv1_keeps_everything(kind: str, tmp_path: Path) -> None:
    source = KINDS[kind].make(tmp_path)
    facts, frames, joined = round_trip(source, tmp_path)

    found = probe(joined.path)
    again = survey(joined.path, found).frames
    assert len(again) == len(frames) == joined.frames
    assert [frame.luma_md5 for frame in again] == [frame.luma_md5 for frame in frames]
    assert plane_md5s(source, KINDS[kind].pixel_format) == [frame.luma_md5 for frame in frames]
    moved = [abs(one - other) for one, other in zip(seconds(again), seconds(frames, joined.shift), strict=True)]
    assert max(moved) <= joined.tick / 2
    if frames.constant_rate:
        assert found.frame_rate == facts.frame_rate
    assert found.sample_aspect == facts.sample_aspect
    assert (found.width, found.height, found.bit_depth) == (facts.width, facts.height, facts.bit_depth)
    assert (found.matrix, found.full_range) == (facts.matrix, facts.full_range)
    assert found.matrix_tagged
    assert found.range_tagged
    assert found.subsampling == ("444" if facts.subsampling == "gray" else facts.subsampling)
    assert packets(joined.path, "audio") == packets(source, "audio")
    sounds = [start - float(joined.shift) for start in first_packet_times(source, "audio")]
    assert first_packet_times(joined.path, "audio") == pytest.approx(sounds, abs=0.001)
    assert not joined.left_out


def test_a_real_film(tmp_path: Path) -> None:
    facts, frames, joined = round_trip(CLIPS / "carphone_pristine.mp4", tmp_path, cut=50)
    found = probe(joined.path)
    again = survey(joined.path, found).frames
    assert [frame.luma_md5 for frame in again] == [frame.luma_md5 for frame in frames]
    assert (len(frames), facts.frame_rate, facts.sample_aspect) == (120, Fraction(30000, 1001), Fraction(128, 117))
    assert (found.frame_rate, found.sample_aspect) == (facts.frame_rate, facts.sample_aspect)
    assert container_aspect(joined.path) == Fraction(128, 117)


def container_aspect(path: Path) -> Fraction | None:
    """The shape of the pixels as the container tells it, without its codec's own word for it."""
    with av.open(str(path), options={"probesize": "32"}) as container:
        return container.streams.video[0].sample_aspect_ratio


def test_a_named_picture_keeps_its_name_and_its_shape(tmp_path: Path) -> None:
    tags = ("-metadata:s:v", "title=The mill")
    source = make(tmp_path / "a.mkv", "-vf", "setsar=59/54", *_FFV1, "yuv420p", *tags)
    _, _, joined = round_trip(source, tmp_path)
    assert container_aspect(joined.path) == Fraction(59, 54)
    with av.open(str(joined.path)) as container:
        assert container.streams.video[0].metadata["title"] == "The mill"
    ffmpeg("-xerror", "-err_detect", "crccheck+explode", "-i", str(joined.path), "-f", "null", "-")


@pytest.mark.parametrize("name", ["h264", "prores"])
@pytest.mark.parametrize("kind", ["ffv1 of 10 bits", "h264 with b-frames and aac", "odd size", "variable rate in mp4"])
def test_access_copies_keep_frames_times_and_sound(kind: str, name: FormatName, tmp_path: Path) -> None:
    source = KINDS[kind].make(tmp_path)
    facts, frames, joined = round_trip(source, tmp_path, name)

    found = probe(joined.path)
    again = survey(joined.path, found).frames
    assert len(again) == len(frames)
    moved = [abs(one - other) for one, other in zip(seconds(again), seconds(frames), strict=True)]
    assert max(moved) <= frames.time_base
    if frames.constant_rate:
        assert found.frame_rate == facts.frame_rate
    assert (found.width, found.height) == (facts.width + facts.width % 2, facts.height + facts.height % 2)
    assert found.pixel_format == ("yuv420p" if name == "h264" else "yuv422p10le")
    assert not found.full_range
    assert packets(joined.path, "audio") == packets(source, "audio")


def test_a_film_of_a_whole_number_of_milliseconds_gets_its_rate_back_in_mp4(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", rate="24")
    _, frames, joined = round_trip(source, tmp_path, "h264")

    again = survey(joined.path, probe(joined.path)).frames
    assert frames.time_base == Fraction(1, 1000)
    assert seconds(again) == [Fraction(number, 24) for number in range(len(frames))]


def test_the_same_film_gives_the_same_bytes(tmp_path: Path) -> None:
    source = make(tmp_path / "a.mp4", *SOUND, "-c:v", "libx264", "-c:a", "aac", seconds=1.2)
    for name in ("ffv1", "h264", "prores"):
        (tmp_path / "one").mkdir(exist_ok=True)
        (tmp_path / "two").mkdir(exist_ok=True)
        _, _, one = round_trip(source, tmp_path / "one", name)
        _, _, two = round_trip(source, tmp_path / "two", name)
        assert one.sha256 == two.sha256
