"""Plans and segments as the tests of the VOD job need them."""

from datetime import timedelta
from fractions import Fraction

from bucketcast.hls import ByteRange
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, BroadcastNumber, RungName, SegmentIndex, StreamId
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, VodPlan, plan_vod
from ingest.vod.segment import VodSegment
from ingest.vod.source import Recording

NAMES = VodNames(stream=StreamId("concert"), broadcast=BroadcastNumber(7))
HIGH, LOW = RungName("720p"), RungName("360p")
CONFIGURATION = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("1080p"), video_bitrate=BitsPerSecond(5_000_000)),
        RungConfiguration(name=HIGH, video_bitrate=BitsPerSecond(2_800_000)),
        RungConfiguration(name=LOW, video_bitrate=BitsPerSecond(800_000)),
    )
)


def recording(
    *,
    width: int = 1280,
    height: int = 720,
    frame_rate: Fraction = Fraction(30),
    duration: Fraction = Fraction(20),
    start: Fraction = Fraction(0),
    sample_aspect_ratio: Fraction = Fraction(1),
    has_audio: bool = True,
) -> Recording:
    return Recording(
        width=width,
        height=height,
        sample_aspect_ratio=sample_aspect_ratio,
        frame_rate=frame_rate,
        start=start,
        duration=duration,
        has_audio=has_audio,
    )


def plan_of(source: Recording) -> VodPlan:
    return plan_vod(source, CONFIGURATION, Compression(), source="concert/recording/00000007/full_stream.mp4")


def segment(
    rung: RungName, index: int, *, size: int = 60_000, seconds: float = 6, i_frame: int = 9_400
) -> VodSegment:
    return VodSegment(
        name=NAMES.segment(rung, SegmentIndex(index)),
        rung=rung,
        index=SegmentIndex(index),
        size=size,
        duration=timedelta(seconds=seconds),
        i_frame=ByteRange(length=i_frame, offset=564),
    )


def rungs_of(plan: VodPlan) -> dict[RungName, tuple[VodSegment, ...]]:
    """Every segment of *plan*, as if it had been made."""
    grid = plan.grid
    ends = [grid.start(SegmentIndex(index)) for index in range(1, plan.segments)] + [plan.duration]
    return {
        rung.name: tuple(
            segment(rung.name, index, seconds=(end - grid.start(SegmentIndex(index))).total_seconds())
            for index, end in enumerate(ends)
        )
        for rung in plan.rungs
    }
