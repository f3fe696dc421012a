"""The VOD of a browser's own pictures, which begin small and grow: as large as they get, and all of them."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import pytest

from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from ingest.encode import find_ffmpeg
from ingest.encode.transport_stream import MediaSegment
from ingest.feed import VideoCodec
from ingest.vod.encoding import encode
from ingest.vod.plan import Compression, SourcePlan, VodPreset, plan_vod
from ingest.vod.quality import has_vmaf, vmaf_of
from ingest.vod.source import probe
from tools.clip_feed import growing_feed
from tools.frame_strip import Clip, read_frame_numbers
from tools.source_movie import source_movie

# Its size changes at 3.5, 7 and 10.5 s: within segments of six seconds.
CLIP = Clip(width=480, height=270, duration=timedelta(seconds=14), video_bitrate=1_000_000, b_frames=0)
SIZES = ((256, 144), (320, 180), (480, 270), (256, 144))
LADDER = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("270p"), video_bitrate=BitsPerSecond(800_000)),
        RungConfiguration(name=RungName("144p"), video_bitrate=BitsPerSecond(400_000)),
    )
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("growing")
    feed = growing_feed(CLIP, SIZES, VideoCodec.H264, folder)
    path = folder / "full_stream.mp4"
    path.write_bytes(source_movie(feed, frame_rate=CLIP.frame_rate, adaptive=True))
    return path


def plan_of(recording: Path) -> SourcePlan:
    files = {recording.name: probe(str(recording))}
    return plan_vod(files, LADDER, Compression(preset=VodPreset.SUPERFAST)).sources[0]


async def made(recording: Path, ranges: Sequence[range]) -> dict[RungName, list[bytes]]:
    """The segments of every rung, each of *ranges* encoded apart."""
    segments: dict[RungName, list[bytes]] = {}

    async def take(rung: RungName, segment: MediaSegment) -> None:
        segments.setdefault(rung, []).append(segment.data)

    for some in ranges:
        await encode(find_ffmpeg(), plan_of(recording), some, url=str(recording), take=take)
    return segments


def test_a_recording_that_grows_is_as_large_as_it_gets(recording: Path) -> None:
    """Its container says what the first picture is, which is what players begin with."""
    with av.open(str(recording)) as container:
        video = container.streams.video[0]
        assert (video.width, video.height) == SIZES[0]
    found = probe(str(recording))
    assert found.adaptive
    assert (found.width, found.height) == (480, 270)
    assert [(rung.name, rung.width, rung.height) for rung in plan_of(recording).rungs] == [
        ("270p", 480, 270),
        ("144p", 256, 144),
    ]


@pytest.mark.parametrize("ranges", [[range(3)], [range(1), range(1, 2), range(2, 3)]])
async def test_every_picture_is_there_once_in_one_size_whatever_ranges_are_encoded(
    recording: Path, ranges: Sequence[range], caplog: pytest.LogCaptureFixture
) -> None:
    segments = await made(recording, ranges)
    assert set(segments) == {"270p", "144p"}
    for rung in plan_of(recording).rungs:
        media = b"".join(segments[rung.name])
        assert [stamped.number for stamped in read_frame_numbers(media)] == list(range(CLIP.frames))
        with av.open(io.BytesIO(media), mode="r", format="mpegts") as container:
            sizes = {(picture.width, picture.height) for picture in container.decode(video=0)}
        assert sizes == {(rung.width, rung.height)}
    assert "FFmpeg message" not in caplog.messages


async def test_a_segment_is_measured_against_pictures_of_every_size(recording: Path) -> None:
    if not await has_vmaf(find_ffmpeg()):
        pytest.skip("this FFmpeg has no libvmaf")
    plan = plan_of(recording)
    (segment,) = (await made(recording, [range(1, 2)]))[RungName("270p")]
    assert await vmaf_of(find_ffmpeg(), plan, SegmentIndex(1), segment, url=str(recording)) > 80


def test_parameter_sets_that_come_out_of_band_are_not_looked_for(tmp_path: Path) -> None:
    """Pictures of a broadcaster that is no browser keep their size."""
    clip = replace(CLIP, width=256, height=144, frame_rate=Fraction(30), duration=timedelta(seconds=2))
    path = tmp_path / "full_stream.mp4"
    feed = growing_feed(clip, [(256, 144)], VideoCodec.H264, tmp_path)
    path.write_bytes(source_movie(feed, frame_rate=clip.frame_rate, adaptive=False))
    found = probe(str(path))
    assert not found.adaptive
    assert (found.width, found.height) == (256, 144)
