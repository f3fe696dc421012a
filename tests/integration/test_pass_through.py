"""Broadcasters whose source is passed through, is not any more, or changes: what their next session reports."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bucketcast.records import decode_record
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import SessionNumber, StreamId
from bucketcast.stream.stream_request import RungRequest, StreamRequest
from ingest.encode import find_ffmpeg
from ingest.feed import CodecConfiguration, EncodedFrame, FeedItem
from ingest.protocols.publishing import CloseReason
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.ingest_world import RUNG, IngestWorld

COPIED = StreamId("copied")


def clip(keyframe_interval: float, *, seconds: int, bitrate: int = 400_000) -> Clip:
    """A clip that fills the rung exactly."""
    return Clip(
        width=320,
        height=180,
        duration=timedelta(seconds=seconds),
        keyframe_interval=timedelta(seconds=keyframe_interval),
        video_bitrate=bitrate,
    )


ON_GRID, OFF_GRID = clip(1, seconds=4), clip(3.3, seconds=5)


def later(items: Iterable[FeedItem], by: timedelta) -> list[FeedItem]:
    """The frames among *items*, with all times *by* later."""
    return [
        replace(item, decode_time=item.decode_time + by, presentation_time=item.presentation_time + by)
        for item in items
        if isinstance(item, EncodedFrame)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """What came of a broadcast: by session, the codec it declared, its frames, and the faults it reported."""

    codecs: list[str]
    frames: list[list[int | None]]
    faults: list[tuple[InputFault, ...]]


async def broadcast(items: Sequence[FeedItem], *, pass_through: bool = True) -> Broadcast:
    """Send *items* to a stream of one rung and segments of one second, and close."""
    world = IngestWorld(find_ffmpeg())
    created = world.streams.create(
        StreamRequest(
            id=COPIED,
            rungs=(RungRequest(name=RUNG, video_kbps=400),),
            segment_seconds=1.0,
            pass_through=pass_through,
        )
    )
    broadcaster, _ = await world.authorize(created.stream_key)
    for item in items:
        await broadcaster.receive(item)
    await broadcaster.close(CloseReason.UNPUBLISHED)
    claims = [decode_record(ClaimRequest, body) for body in world.calls("/claim")]
    last = {
        renewal.session: renewal.report.faults
        for renewal in (decode_record(Renewal, body) for body in world.calls("/renew"))
    }
    return Broadcast(
        codecs=[claim.rungs[0].codecs for claim in claims],
        frames=[_frames(world, SessionNumber(number + 1)) for number in range(len(claims))],
        faults=[last[session] for session in sorted(last)],
    )


def _frames(world: IngestWorld, session: SessionNumber) -> list[int | None]:
    """The numbers of the frames that *session* has in the media bucket."""
    contents = world.media.contents(f"{COPIED}/{RUNG}/segment_")
    mine = sorted(name for name in contents if int(name.rpartition("segment_")[2].split("_")[0]) == session)
    return [stamped.number for name in mine for stamped in read_frame_numbers(contents[name])]


def profile(items: Iterable[FeedItem]) -> str:
    """The source's codec, from its AVCDecoderConfigurationRecord."""
    record = next(item.data for item in items if isinstance(item, CodecConfiguration))
    return f"avc1.{record[1:4].hex()},mp4a.40.2"


async def test_a_source_on_the_grid_is_passed_through_and_nothing_is_wrong() -> None:
    items = read_feed(make_clip(ON_GRID))
    result = await broadcast(items)
    assert result.codecs == [profile(items)]
    assert result.frames == [list(range(ON_GRID.frames))]
    assert result.faults == [()]


async def test_a_source_that_leaves_the_grid_goes_on_in_a_session_that_encodes_and_says_so() -> None:
    on = read_feed(make_clip(ON_GRID))
    # Twice: the second part would be on the grid again.
    off = later(read_feed(make_clip(OFF_GRID)), ON_GRID.duration)
    again = later(on, ON_GRID.duration + OFF_GRID.duration)
    result = await broadcast([*on, *off, *again])
    assert len(result.codecs) == 2
    sent = [*range(ON_GRID.frames), *range(OFF_GRID.frames), *range(ON_GRID.frames)]
    assert [number for frames in result.frames for number in frames] == sent
    assert result.faults == [(), (InputFault.NOT_PASSED_THROUGH,)]


async def test_a_source_that_cannot_be_passed_through_is_encoded_and_says_so() -> None:
    result = await broadcast(read_feed(make_clip(OFF_GRID)))
    assert result.frames == [list(range(OFF_GRID.frames))]
    assert result.faults == [(InputFault.NOT_PASSED_THROUGH,)]


async def test_a_source_whose_bit_rate_grows_beyond_the_rung_s_goes_on_encoded() -> None:
    """The sender's settings change: its format does not."""
    on = read_feed(make_clip(ON_GRID))
    large = clip(1, seconds=4, bitrate=4_000_000)
    beyond = later(read_feed(make_clip(large)), ON_GRID.duration)
    result = await broadcast([*on, *beyond])
    assert len(result.codecs) == 2
    numbers = [number for frames in result.frames for number in frames]
    assert set(numbers) == {*range(ON_GRID.frames), *range(large.frames)}
    # Where the copy ended between pictures that are sent out of order, one of them may be seen once more.
    assert len(numbers) <= ON_GRID.frames + large.frames + 2
    assert result.faults[1] == (InputFault.NOT_PASSED_THROUGH,)


async def test_a_jump_is_reported_by_the_session_after_it() -> None:
    items = read_feed(make_clip(ON_GRID))
    result = await broadcast([*items, *later(items, timedelta(seconds=60))], pass_through=False)
    assert result.faults == [(), (InputFault.TIMESTAMP_JUMP,)]
