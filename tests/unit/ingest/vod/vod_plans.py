"""Plans and segments as the tests of the VOD job need them."""

from datetime import timedelta
from fractions import Fraction

from bucketcast.hls import ByteRange
from bucketcast.recording.names import recording_file_name
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, BroadcastNumber, RungName, SegmentIndex, StreamId
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, SourcePlan, VodPlan, plan_vod
from ingest.vod.segment import VodSegment
from ingest.vod.source import Recording

NAMES = VodNames(stream=StreamId("concert"), broadcast=BroadcastNumber(7))
FULL, HIGH, LOW = RungName("1080p"), RungName("720p"), RungName("360p")
CONFIGURATION = StreamConfiguration(
    rungs=(
        RungConfiguration(name=FULL, video_bitrate=BitsPerSecond(5_000_000)),
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
    adaptive: bool = False,
) -> Recording:
    return Recording(
        width=width,
        height=height,
        sample_aspect_ratio=sample_aspect_ratio,
        frame_rate=frame_rate,
        start=start,
        duration=duration,
        has_audio=has_audio,
        adaptive=adaptive,
    )


def plan_of(*files: Recording) -> VodPlan:
    """The plan for a recording of these *files*, one or more."""
    names = [recording_file_name(NAMES.stream, NAMES.broadcast, number) for number in range(1, len(files) + 1)]
    return plan_vod(dict(zip(names, files, strict=True)), CONFIGURATION, Compression())


def source_of(file: Recording) -> SourcePlan:
    """The plan for the only *file* of a recording."""
    return plan_of(file).sources[0]


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
    """Every segment of *plan*, as if it had been made, by the rung that was encoded."""
    return {
        name: tuple(
            segment(name, source.first_segment + index, seconds=duration.total_seconds())
            for source in plan.sources
            if name in [rung.name for rung in source.rungs]
            for index in range(source.segments)
            for duration in (source.duration_of(SegmentIndex(index)),)
        )
        for name in plan.slots
    }
