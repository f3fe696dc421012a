"""A real FFmpeg encodes what browsers send: pictures whose size and rate change, or that stop for a while."""

import io
import os
import random
import shutil
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import pytest

from bucketcast.stream.configuration import Preset, RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from ingest.encode import CutSegment, Opened, Opening, SessionEncoder, find_ffmpeg, plan_encoding
from ingest.encode.ladder import EncodingPlan
from ingest.encode.still_picture import PATIENCE
from ingest.feed import EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from tools.clip_feed import growing_feed, read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers

FFMPEG = find_ffmpeg()
OTHER = shutil.which("ffmpeg")
CLIP = Clip(width=480, height=270, duration=timedelta(seconds=4.5), video_bitrate=1_000_000, b_frames=0)
SIZES = ((256, 144), (320, 180), (480, 270))
CONFIGURATION = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("270p"), video_bitrate=BitsPerSecond(800_000)),
        RungConfiguration(name=RungName("144p"), video_bitrate=BitsPerSecond(400_000)),
    ),
    segment_duration=timedelta(seconds=1),
    preset=Preset.ULTRAFAST,
)
DECLARED = SourceMetadata(width=480, height=270, adaptive=True)
LENGTH = 30  # frames of a segment


@dataclass(kw_only=True)
class Encoded:
    """What came of a feed."""

    plan: EncodingPlan
    encoder: SessionEncoder
    segments: dict[RungName, list[CutSegment]] = field(default_factory=dict)

    def numbers(self, rung: RungName) -> list[int | None]:
        media = b"".join(segment.data for segment in self.segments[rung])
        return [stamped.number for stamped in read_frame_numbers(media)]


def open_feed(items: Sequence[FeedItem]) -> tuple[Opened, Sequence[FeedItem]]:
    opening = Opening(DECLARED)
    for number, item in enumerate(items, 1):
        if (opened := opening.add(item)) is not None:
            return opened, items[number:]
    raise AssertionError("the feed is too short to open")


async def encode(items: Sequence[FeedItem], ffmpeg: Path = FFMPEG, *, kill_at: int | None = None) -> Encoded:
    """Encode *items*, with an FFmpeg that is killed when it has made segment *kill_at*."""
    opened, rest = open_feed(items)
    plan = plan_encoding(CONFIGURATION, opened.source)

    async def deliver(segment: CutSegment) -> None:
        if segment.index == kill_at and encoder.restarts == 0 and encoder.pid is not None:
            os.kill(encoder.pid, signal.SIGKILL)
        encoded.segments.setdefault(segment.rung, []).append(segment)

    encoder = SessionEncoder(plan, origin=opened.origin, ffmpeg=ffmpeg, on_segment=deliver)
    encoded = Encoded(plan=plan, encoder=encoder)
    await encoder.start(opened.items)
    try:
        for item in rest:
            await encoder.write(item)
        await encoder.finish()
    finally:
        await encoder.abort()
    return encoded


def assert_exact(encoded: Encoded, frames: int) -> None:
    """Every segment of every rung has its frames in the rung's size, and a keyframe at the first one alone."""
    assert encoded.encoder.lost == 0
    for rung in encoded.plan.rungs:
        counts = []
        for number, segment in enumerate(encoded.segments[rung.name]):
            assert segment.index == number
            with av.open(io.BytesIO(segment.data), mode="r", format="mpegts") as container:
                pictures = list(container.decode(video=0))
            assert {(picture.width, picture.height) for picture in pictures} == {(rung.width, rung.height)}
            assert [picture.key_frame for picture in pictures] == [True] + [False] * (len(pictures) - 1)
            assert pictures[0].pts == 900_000 + 90_000 * number
            counts.append(len(pictures))
        whole, rest = divmod(frames, LENGTH)
        assert counts == [LENGTH] * whole + [rest] * bool(rest)


@pytest.fixture(scope="module", params=VideoCodec)
def feed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[FeedItem]:
    """Four seconds and a half that grow from 256x144 to 480x270."""
    codec: VideoCodec = request.param
    return growing_feed(CLIP, SIZES, codec, tmp_path_factory.mktemp(codec))


@pytest.mark.parametrize("ffmpeg", [FFMPEG, OTHER], ids=["from the packages", "on the path"])
async def test_pictures_that_grow_are_all_there_in_one_size(
    feed: list[FeedItem], ffmpeg: Path | str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """And FFmpeg, whose old versions would say at every picture that its size is another, is not heard."""
    if ffmpeg is None:
        pytest.skip("ffmpeg is not installed")
    encoded = await encode(feed, Path(ffmpeg))
    assert [(rung.width, rung.height) for rung in encoded.plan.rungs] == [(480, 270), (256, 144)]
    assert_exact(encoded, CLIP.frames)
    assert encoded.encoder.restarts == 0
    for rung in encoded.plan.rungs:
        assert encoded.numbers(rung.name) == list(range(CLIP.frames))
    assert "FFmpeg message" not in caplog.messages


async def test_an_ffmpeg_that_is_replaced_goes_on_in_the_size_that_pictures_have_then(
    feed: list[FeedItem],
) -> None:
    """It is told the first size, and finds the parameter sets of another one in band."""
    encoded = await encode(feed, kill_at=2)
    assert encoded.encoder.restarts == 1
    assert_exact(encoded, CLIP.frames)
    for rung in encoded.plan.rungs:
        assert encoded.numbers(rung.name) == list(range(CLIP.frames))


async def test_pictures_out_of_order_whose_decode_times_nobody_knows_are_shown_in_order() -> None:
    clip = replace(CLIP, b_frames=2)
    items = [
        replace(item, decode_time=item.presentation_time) if isinstance(item, EncodedFrame) else item
        for item in read_feed(make_clip(clip))
        if item.track is Track.VIDEO
    ]
    encoded = await encode(items)
    assert_exact(encoded, clip.frames)
    assert encoded.numbers(RungName("270p")) == list(range(clip.frames))


def retimed(items: Iterable[FeedItem], intervals: Sequence[timedelta]) -> list[FeedItem]:
    """The pictures of *items* without the sound, each after the one before by the next of *intervals*."""
    time, found = timedelta(seconds=100), list[FeedItem]()
    upcoming = iter(intervals)
    for item in items:
        if item.track is Track.AUDIO:
            continue
        if isinstance(item, EncodedFrame):
            found.append(replace(item, decode_time=time, presentation_time=time))
            time += next(upcoming)
        else:
            found.append(item)
    return found


async def test_a_rate_that_varies_from_5_to_60_becomes_a_constant_one(feed: list[FeedItem]) -> None:
    """And the sound that is missing beside it is silence, which is AAC in whatever file."""
    third = CLIP.frames // 3
    rates = [15] * third + [60] * third + [5] * third
    encoded = await encode(retimed(feed, [timedelta(seconds=1) / rate for rate in rates]))
    assert encoded.plan.source.frame_rate == 30
    seconds = Fraction(third, 15) + Fraction(third, 60) + Fraction(third - 1, 5)
    numbers = encoded.numbers(RungName("270p"))
    assert numbers == sorted(number for number in numbers if number is not None)
    runs = [len(list(run)) for _, run in groupby(numbers)]
    assert set(runs[: third - 1]) == {2}  # 15 a second: each picture twice
    assert set(runs[1 - third : -1]) == {6}  # 5 a second: six times
    # The last one is shown as long as FFmpeg takes a picture to last.
    assert 0 < len(numbers) - seconds * 30 <= 6
    assert_exact(encoded, len(numbers))


def pictures(items: Iterable[FeedItem]) -> list[EncodedFrame]:
    return [item for item in items if isinstance(item, EncodedFrame) and item.track is Track.VIDEO]


def muted(items: Sequence[FeedItem], hole: timedelta) -> list[FeedItem]:
    """*items* with a camera that is muted after two seconds for as long as *hole*, and sound that goes on."""
    begin = pictures(items)[0].presentation_time + timedelta(seconds=2)
    ends = max(item.presentation_time for item in items if isinstance(item, EncodedFrame))

    def delayed(item: EncodedFrame) -> EncodedFrame:
        by = hole if item.track is Track.VIDEO and item.presentation_time >= begin else timedelta(0)
        return replace(item, decode_time=item.decode_time + by, presentation_time=item.presentation_time + by)

    frames = [delayed(item) for item in items if isinstance(item, EncodedFrame)]
    configurations = [item for item in items if not isinstance(item, EncodedFrame)]
    kept = [item for item in frames if item.presentation_time <= ends]
    return [*configurations, *sorted(kept, key=lambda item: item.presentation_time)]


async def test_a_muted_camera_leaves_its_last_picture_and_goes_on_where_it_was(feed: list[FeedItem]) -> None:
    """The picture after the hole is no keyframe: it refers to what was there before."""
    assert not pictures(feed)[60].keyframe
    encoded = await encode(muted(feed, timedelta(seconds=2)))
    assert_exact(encoded, CLIP.frames)
    assert encoded.numbers(RungName("270p")) == [*range(60), *[59] * 60, *range(60, 75)]


async def test_segments_are_made_while_sound_goes_on_alone(feed: list[FeedItem]) -> None:
    encoded = await encode(muted(feed, timedelta(minutes=1)))
    numbers = encoded.numbers(RungName("270p"))
    assert numbers == [*range(60), *[59] * (len(numbers) - 60)]
    assert len(numbers) > CLIP.frames - 30 * PATIENCE.total_seconds()
    assert_exact(encoded, len(numbers))


async def test_damaged_pictures_cost_no_segment_and_no_frame(feed: list[FeedItem]) -> None:
    chance = random.Random(1)
    # What is lost behind it is shown no more: the feed ends.
    last_keyframe = [item for item in pictures(feed) if item.keyframe][-1]
    damaged: list[FeedItem] = []
    for item in feed:
        if (
            not isinstance(item, EncodedFrame)
            or item.track is Track.AUDIO
            or item.keyframe
            or item.decode_time > last_keyframe.decode_time
            or chance.random() > 0.2
        ):
            damaged.append(item)
            continue
        data = bytearray(item.data[: chance.randrange(1, len(item.data) + 1)])
        for _ in range(10):
            data[chance.randrange(len(data))] = chance.randrange(256)
        damaged.append(replace(item, data=bytes(data)))
    assert_exact(await encode(damaged), CLIP.frames)
