"""A real FFmpeg encodes real feeds: what comes out, and what happens when it dies, hangs or never starts."""

import asyncio
import io
import os
import signal
import stat
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import pytest

from bucketcast.stream.bandwidth import declared_bandwidth
from bucketcast.stream.configuration import Preset, RungConfiguration, StreamConfiguration
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from ingest.encode import (
    CutSegment,
    EncoderFailed,
    EncoderOverloaded,
    Opened,
    Opening,
    SessionEncoder,
    SessionOver,
    SourceChanged,
    find_ffmpeg,
    overload,
    plan_encoding,
    session_encoder,
)
from ingest.encode.process import MAX_LOGGED_LINES
from ingest.encode.transport_stream import MediaSegment
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track
from tools.clip_feed import read_feed
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.pace import in_real_time, slowed

FFMPEG = find_ffmpeg()
CONFIGURATION = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("180p"), video_bitrate=BitsPerSecond(400_000)),
        RungConfiguration(name=RungName("144p"), video_bitrate=BitsPerSecond(250_000)),
    ),
    segment_duration=timedelta(seconds=1),
)


def clip_at(rate: Fraction) -> Clip:
    """A clip whose keyframes are further apart than segments are long, and off their grid."""
    return Clip(
        width=320,
        height=180,
        frame_rate=rate,
        duration=timedelta(seconds=6),
        keyframe_interval=timedelta(milliseconds=1700),
        video_bitrate=600_000,
    )


CLIP = clip_at(Fraction(30000, 1001))

Interference = Callable[[SessionEncoder, CutSegment], Awaitable[None]]


@dataclass(kw_only=True)
class Encoded:
    """What a session's encoder delivered, rung by rung."""

    opened: Opened
    encoder: SessionEncoder
    segments: dict[RungName, list[CutSegment]] = field(default_factory=dict)
    over: SessionOver | None = None

    def media(self, rung: RungName) -> bytes:
        return b"".join(segment.data for segment in self.segments[rung])


def open_feed(items: Sequence[FeedItem], opening: Opening | None = None) -> tuple[Opened, list[FeedItem]]:
    """The opening of *items*, and those that are left."""
    opening = opening or Opening()
    for number, item in enumerate(items, 1):
        if (opened := opening.add(item)) is not None:
            return opened, list(items[number:])
    raise AssertionError("the feed is too short to open")


async def encode(
    items: Sequence[FeedItem],
    configuration: StreamConfiguration = CONFIGURATION,
    *,
    ffmpeg: Path = FFMPEG,
    first: int = 0,
    stall_timeout: timedelta = timedelta(seconds=10),
    interfere: Interference | None = None,
    opening: Opening | None = None,
    opened: Opened | None = None,
) -> Encoded:
    """Encode *items*, behind those of *opened*, as fast as it goes.

    *interfere* sees each segment before it counts as delivered.
    """

    async def deliver(segment: CutSegment) -> None:
        if interfere is not None:
            await interfere(encoder, segment)
        encoded.segments.setdefault(segment.rung, []).append(segment)

    opened, rest = open_feed(items, opening) if opened is None else (opened, list(items))
    encoder = SessionEncoder(
        plan_encoding(configuration, opened.source, source_delay=opened.source_delay),
        origin=opened.origin,
        ffmpeg=ffmpeg,
        on_segment=deliver,
        first=SegmentIndex(first),
        stall_timeout=stall_timeout,
    )
    encoded = Encoded(opened=opened, encoder=encoder)
    await encoder.start(opened.items)
    try:
        for item in rest:
            await encoder.write(item)
    except SessionOver as over:
        encoded.over = over
    try:
        await encoder.finish()
    finally:
        await encoder.abort()
    return encoded


def packet_times(media: bytes, kind: str) -> list[int]:
    """The presentation times of *media*'s packets of *kind*, in order, in ticks of 90 kHz."""
    with av.open(io.BytesIO(media), mode="r", format="mpegts") as container:
        return sorted(
            packet.pts for packet in container.demux() if packet.pts is not None and packet.stream.type == kind
        )


def ticks_of(frame: int, rate: Fraction) -> int:
    """When *frame* is shown, in ticks of 90 kHz; halves are rounded up, as FFmpeg does."""
    return 900_000 + int(frame * 90_000 / rate + Fraction(1, 2))


def keyframe_times(media: bytes) -> list[int]:
    with av.open(io.BytesIO(media), mode="r", format="mpegts") as container:
        packets = container.demux(container.streams.video[0])
        return [packet.pts for packet in packets if packet.pts is not None and packet.is_keyframe]


def assert_exact(encoded: Encoded, clip: Clip, *, first_frame: int = 0) -> None:
    """Every rung has every frame of *clip* once, in order, at its time, and keyframes on the grid alone."""
    grid = plan_encoding(CONFIGURATION, encoded.opened.source).grid
    assert set(encoded.segments) == {rung.name for rung in CONFIGURATION.rungs}
    cuts = [
        [(segment.index, segment.start, segment.duration) for segment in segments]
        for segments in encoded.segments.values()
    ]
    assert cuts[0] == cuts[1]
    for (index, start, duration), (following, next_start, _) in pairwise(cuts[0]):
        assert following == index + 1
        assert next_start == start + duration == grid.start(following)
    assert cuts[0][-1][1] + cuts[0][-1][2] == grid.time_of_frame(clip.frames)
    for rung, segments in encoded.segments.items():
        for segment in segments:
            assert keyframe_times(segment.data) == [ticks_of(grid.first_frame(segment.index), clip.frame_rate)]
        media = encoded.media(rung)
        numbers = [stamped.number for stamped in read_frame_numbers(media)]
        assert numbers == list(range(first_frame, clip.frames))
        assert packet_times(media, "video") == [
            ticks_of(frame, clip.frame_rate) for frame in range(first_frame, clip.frames)
        ]
        sound = packet_times(media, "audio")
        assert {after - before for before, after in pairwise(sound)} == {1920}
        assert (sound[0] - 900_000) % 1920 == 0


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30), Fraction(30000, 1001)], ids=str)
async def test_every_frame_is_in_every_rung_once_and_all_rungs_are_cut_alike(rate: Fraction) -> None:
    clip = clip_at(rate)
    encoded = await encode(read_feed(make_clip(clip)))
    assert encoded.opened.source.frame_rate == rate
    assert_exact(encoded, clip)
    assert (encoded.encoder.restarts, encoded.encoder.lost) == (0, 0)
    assert encoded.encoder.lag == timedelta(0)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(60)], ids=str)
async def test_a_killed_ffmpeg_is_replaced_at_exactly_the_first_missing_segment(rate: Fraction) -> None:
    clip = clip_at(rate)
    killed: set[int] = set()

    async def kill(encoder: SessionEncoder, segment: CutSegment) -> None:
        # One rung has segment 2 then, the other may not.
        if segment.index == 2 and not killed and encoder.pid is not None:
            killed.add(encoder.pid)
            os.kill(encoder.pid, signal.SIGKILL)

    encoded = await encode(read_feed(make_clip(clip)), interfere=kill)
    assert_exact(encoded, clip)
    assert encoded.encoder.restarts == 1


async def test_what_a_replacement_can_no_longer_make_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bound of what is kept is below a group here, so that the next one is the first to start from."""
    monkeypatch.setattr(session_encoder, "MAX_KEPT_BYTES", 40_000)
    opened, rest = open_feed(read_feed(make_clip(CLIP)))
    delivered: dict[RungName, list[int]] = {rung.name: [] for rung in CONFIGURATION.rungs}
    second = asyncio.Event()

    async def deliver(segment: CutSegment) -> None:
        delivered[segment.rung].append(segment.index)
        if all(indexes[-1:] == [1] for indexes in delivered.values()):
            second.set()

    encoder = SessionEncoder(
        plan_encoding(CONFIGURATION, opened.source), origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver
    )
    await encoder.start()
    for item in (*opened.items, *rest):
        late = isinstance(item, EncodedFrame) and item.decode_time - opened.origin > timedelta(seconds=3)
        if late and encoder.restarts == 0 and not second.is_set():
            await second.wait()
            assert encoder.pid is not None
            os.kill(encoder.pid, signal.SIGKILL)
        await encoder.write(item)
    await encoder.finish()
    # The third group starts at 3.4 s, the first whole segment after it at 4 s.
    assert list(delivered.values()) == [[0, 1, 4, 5], [0, 1, 4, 5]]
    assert (encoder.restarts, encoder.lost) == (1, 4)


async def test_of_a_feed_that_ends_with_nothing_kept_the_rest_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_encoder, "MAX_KEPT_BYTES", 0)
    killed: set[int] = set()

    async def kill(encoder: SessionEncoder, segment: CutSegment) -> None:
        if segment.index == 1 and not killed and encoder.pid is not None and encoder.waiting == timedelta(0):
            killed.add(encoder.pid)
            os.kill(encoder.pid, signal.SIGKILL)

    encoded = await encode(read_feed(make_clip(CLIP)), interfere=kill)
    made = sum(len(segments) for segments in encoded.segments.values())
    assert made + encoded.encoder.lost == 12


async def test_a_segment_that_is_made_again_for_another_rung_is_delivered_once() -> None:
    opened, _ = open_feed(read_feed(make_clip(CLIP)))
    plan = plan_encoding(CONFIGURATION, opened.source)
    delivered: list[SegmentIndex] = []

    async def deliver(segment: CutSegment) -> None:
        delivered.append(segment.index)

    encoder = SessionEncoder(plan, origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver)
    for index in map(SegmentIndex, (0, 1, 1, 0, 2)):
        segment = MediaSegment(
            index=index, start=plan.grid.start(index), duration=timedelta(seconds=1), data=b""
        )
        await encoder._deliver(plan.rungs[0], segment)
    assert delivered == [0, 1, 2]


async def test_a_picture_from_long_before_the_session_is_another_session() -> None:
    opened, _ = open_feed(read_feed(make_clip(CLIP)))
    plan = plan_encoding(CONFIGURATION, opened.source)

    async def deliver(segment: CutSegment) -> None:
        raise AssertionError("nothing is encoded")

    encoder = SessionEncoder(plan, origin=opened.origin + timedelta(hours=1), ffmpeg=FFMPEG, on_segment=deliver)
    with pytest.raises(SourceChanged, match="not within the session"):
        await encoder.write(opened.items[-1])


async def test_a_hung_ffmpeg_is_replaced() -> None:
    stopped: set[int] = set()

    async def stop(encoder: SessionEncoder, segment: CutSegment) -> None:
        if segment.index == 1 and not stopped and encoder.pid is not None:
            stopped.add(encoder.pid)
            os.kill(encoder.pid, signal.SIGSTOP)

    encoded = await encode(read_feed(make_clip(CLIP)), interfere=stop, stall_timeout=timedelta(seconds=1))
    assert_exact(encoded, CLIP)
    assert encoded.encoder.restarts == 1


async def test_another_encoder_of_the_session_makes_the_same_segments_from_any_index_on() -> None:
    whole = await encode(read_feed(make_clip(CLIP)))
    part = await encode(read_feed(make_clip(CLIP)), first=3)
    assert_exact(part, CLIP, first_frame=90)
    for rung, segments in part.segments.items():
        for mine, theirs in zip(segments, whole.segments[rung][3:], strict=True):
            assert (mine.index, mine.start, mine.duration) == (theirs.index, theirs.start, theirs.duration)
            for kind in ("video", "audio"):
                assert packet_times(mine.data, kind) == packet_times(theirs.data, kind)


async def test_a_replacement_after_a_day_goes_through_the_wrap_of_timestamps() -> None:
    """33 bits of 90 kHz wrap after 26.5 hours; FLV's 24 bits have wrapped several times before."""
    opened, rest = open_feed(read_feed(make_clip(CLIP)))
    plan = plan_encoding(CONFIGURATION, opened.source)
    first = plan.grid.index_of_frame(plan.grid.frame_at(Fraction(2**33, 90_000) - 13))
    delivered: list[CutSegment] = []

    async def deliver(segment: CutSegment) -> None:
        if segment.rung == RungName("144p"):
            delivered.append(segment)

    encoder = SessionEncoder(
        plan,
        origin=opened.origin - plan.grid.start(first),
        ffmpeg=FFMPEG,
        on_segment=deliver,
        first=first,
    )
    await encoder.start()
    for item in (*opened.items, *rest):
        await encoder.write(item)
    await encoder.finish()
    assert [segment.index - first for segment in delivered] == list(range(len(delivered)))
    assert delivered[0].start == plan.grid.start(first)
    assert delivered[-1].start + delivered[-1].duration == plan.grid.time_of_frame(
        plan.grid.first_frame(first) + CLIP.frames
    )
    numbers = [stamped.number for segment in delivered for stamped in read_frame_numbers(segment.data)]
    assert numbers == list(range(CLIP.frames))


@pytest.mark.parametrize("pass_through", [False, True])
async def test_the_sound_of_a_session_that_ends_with_a_whole_segment_goes_on_to_its_last_picture(
    *, pass_through: bool
) -> None:
    """Some of it would belong to the next segment, whose first picture is decoded before it is shown."""
    clip = copied_clip(1, seconds=6)
    configuration = msgspec.structs.replace(CONFIGURATION, pass_through=pass_through)
    opening = Opening(pass_through=configuration if pass_through else None)
    encoded = await encode(read_feed(make_clip(clip)), configuration, opening=opening)
    assert (encoded.opened.source_delay is not None) == pass_through
    for rung in configuration.rungs:
        assert [segment.index for segment in encoded.segments[rung.name]] == list(range(6))
        end = packet_times(encoded.media(rung.name), "audio")[-1] + 1920
        assert end >= 900_000 + 6 * 90_000 - 1920


async def test_a_source_without_sound_gets_a_silent_track() -> None:
    items = [item for item in read_feed(make_clip(CLIP)) if item.track is Track.VIDEO]
    encoded = await encode(items)
    assert_exact(encoded, CLIP)
    media = encoded.media(RungName("144p"))
    with av.open(io.BytesIO(media), mode="r", format="mpegts") as container:
        assert not any(frame.to_ndarray().any() for frame in container.decode(audio=0))


def without(items: Sequence[FeedItem], track: Track, start: float, end: float) -> list[FeedItem]:
    """*items* without the frames of *track* that are shown from *start* to *end*, in seconds from the first."""
    origin = next(item.presentation_time for item in items if isinstance(item, EncodedFrame))
    return [
        item
        for item in items
        if not isinstance(item, EncodedFrame)
        or item.track is not track
        or not start <= (item.presentation_time - origin).total_seconds() < end
    ]


@pytest.mark.parametrize(
    ("track", "start", "end"),
    [
        (Track.VIDEO, 1.69, 3.39),  # one group: from a keyframe to the next
        (Track.AUDIO, 1.5, 4),
        (Track.AUDIO, 3, 60),
    ],
    ids=["a hole in the picture", "a hole in the sound", "sound that ends"],
)
async def test_a_hole_in_the_source_is_none_in_the_segments(track: Track, start: float, end: float) -> None:
    encoded = await encode(without(read_feed(make_clip(CLIP)), track, start, end))
    for rung, segments in encoded.segments.items():
        assert [segment.index for segment in segments] == list(range(len(segments)))
        media = encoded.media(rung)
        assert packet_times(media, "video") == [
            ticks_of(frame, CLIP.frame_rate) for frame in range(CLIP.frames)
        ]
        sound = packet_times(media, "audio")
        assert {after - before for before, after in pairwise(sound)} == {1920}
        # The last frames of sound may end with the source's.
        assert sound[-1] > 900_000 + 90_000 * (CLIP.duration.total_seconds() - 0.5)


def make_source(path: Path, *options: str) -> list[FeedItem]:
    """The feed of what FFmpeg makes of *options*."""
    subprocess.run(
        [
            *(str(FFMPEG), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *options),
            *("-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac", str(path)),
        ],
        check=True,
    )
    return read_feed(path)


async def test_an_odd_picture_loses_a_line_and_a_column(tmp_path: Path) -> None:
    items = make_source(
        tmp_path / "odd.flv", "-f", "lavfi", "-i", "testsrc2=s=241x181:r=25", "-t", "2", "-pix_fmt", "yuv444p"
    )
    configuration = StreamConfiguration(rungs=CONFIGURATION.rungs[:1])
    encoded = await encode(items, configuration)
    with av.open(io.BytesIO(encoded.media(RungName("180p"))), mode="r", format="mpegts") as container:
        picture = next(container.decode(video=0))
        assert (picture.width, picture.height, picture.format.name) == (240, 180, "yuv420p")


@pytest.mark.parametrize("seconds", [1, 2])
async def test_noise_does_not_exceed_the_declared_bandwidth(seconds: int, tmp_path: Path) -> None:
    items = make_source(
        tmp_path / "noise.flv",
        *("-f", "lavfi", "-i", "color=gray:s=320x180:r=30,noise=alls=100:allf=t+u"),
        *("-f", "lavfi", "-i", "anoisesrc=r=48000:a=0.9", "-t", "6", "-b:v", "8M"),
    )
    configuration = StreamConfiguration(rungs=CONFIGURATION.rungs, segment_duration=timedelta(seconds=seconds))
    encoded = await encode(items, configuration)
    for rung in configuration.rungs:
        declared = declared_bandwidth(rung, configuration.audio_bitrate, configuration.segment_duration)
        for segment in encoded.segments[rung.name]:
            assert len(segment.data) * 8 / segment.duration.total_seconds() <= declared


@pytest.mark.parametrize("preset", [Preset.ULTRAFAST, Preset.SUPERFAST, Preset.MEDIUM])
async def test_the_segments_say_of_themselves_what_codecs_declares(preset: Preset) -> None:
    configuration = StreamConfiguration(rungs=CONFIGURATION.rungs, preset=preset)
    items = read_feed(make_clip(CLIP))
    encoded = await encode(items, configuration)
    for rung in plan_encoding(configuration, encoded.opened.source).rungs:
        media = encoded.media(rung.name)
        parameter_set = media.index(b"\x00\x00\x01\x67") + 4
        assert rung.codecs == f"avc1.{media[parameter_set : parameter_set + 3].hex()},mp4a.40.2"


async def test_a_changed_source_is_said_and_what_came_before_is_delivered() -> None:
    opened, rest = open_feed(read_feed(make_clip(CLIP)))
    delivered: list[CutSegment] = []

    async def deliver(segment: CutSegment) -> None:
        delivered.append(segment)

    plan = plan_encoding(CONFIGURATION, opened.source)
    encoder = SessionEncoder(plan, origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver)
    await encoder.start()
    for item in (*opened.items, *rest[:40]):
        await encoder.write(item)
    with pytest.raises(SourceChanged):
        await encoder.write(CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1208")))
    await encoder.finish()
    assert {segment.rung for segment in delivered} == {rung.name for rung in plan.rungs}


async def test_what_delivery_raises_ends_the_encoder_and_reaches_the_writer() -> None:
    async def refuse(encoder: SessionEncoder, segment: CutSegment) -> None:
        raise ConnectionError("no place for a segment")

    with pytest.raises(ConnectionError, match="no place"):
        await encode(read_feed(make_clip(CLIP)), interfere=refuse)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_an_aborted_encoder_leaves_no_process_and_no_descriptor() -> None:
    opened, _ = open_feed(read_feed(make_clip(CLIP)))
    before = open_descriptors()
    first = asyncio.Event()

    async def deliver(segment: CutSegment) -> None:
        first.set()

    encoder = SessionEncoder(
        plan_encoding(CONFIGURATION, opened.source), origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver
    )
    await encoder.start()
    for item in read_feed(make_clip(CLIP)):
        await encoder.write(item)
    await first.wait()
    pid = encoder.pid
    assert pid is not None
    await encoder.abort()
    assert encoder.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(EncoderFailed):
        await encoder.write(opened.items[-1])
    # Transports close their descriptors in the loop's next turn.
    await asyncio.sleep(0)
    assert open_descriptors() <= before + 1


def program(folder: Path, text: str) -> Path:
    path = folder / "ffmpeg"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# The last argument ends with the number of the last rung's pipe.
GARBAGE = 'for last; do :; done; exec head -c 100000 /dev/zero >"/proc/self/fd/${last##*pipe:}"'


@pytest.mark.parametrize(
    "text", ["exit 1", "exit 0", GARBAGE, None], ids=["fails", "does nothing", "writes garbage", "is absent"]
)
async def test_an_ffmpeg_that_always_fails_is_given_up(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_encoder, "RESTART_DELAYS", (timedelta(0),) * 3)
    ffmpeg = tmp_path / "absent" if text is None else program(tmp_path, text)
    with pytest.raises(EncoderFailed):
        await encode(read_feed(make_clip(CLIP)), ffmpeg=ffmpeg)


async def test_of_an_ffmpeg_that_talks_without_end_only_so_much_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_encoder, "RESTART_DELAYS", (timedelta(0),))
    ffmpeg = program(tmp_path, "yes complaint | head -n 5000 >&2; head -c 100000 /dev/zero >&2; exit 1")
    with pytest.raises(EncoderFailed):
        await encode(read_feed(make_clip(CLIP)), ffmpeg=ffmpeg)
    lines = [record for record in caplog.records if record.message == "FFmpeg message"]
    assert len(lines) == MAX_LOGGED_LINES
    assert "FFmpeg said more than is logged" in caplog.messages


async def test_a_writer_is_held_up_while_ffmpeg_is_far_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_encoder, "MAX_WAITING_MEDIA", timedelta(seconds=2))
    opened, rest = open_feed(read_feed(make_clip(CLIP)))

    async def deliver(segment: CutSegment) -> None:
        raise AssertionError("nothing is encoded")

    encoder = SessionEncoder(
        plan_encoding(CONFIGURATION, opened.source),
        origin=opened.origin,
        ffmpeg=program(tmp_path, "exec sleep 60"),
        on_segment=deliver,
    )
    await encoder.start()
    # Each frame so large that a few fill the pipe and the buffer before it.
    written: list[timedelta] = []

    async def write() -> None:
        for item in (*opened.items, *rest):
            if isinstance(item, EncodedFrame) and item.track is Track.VIDEO:
                written.append(item.presentation_time)
                large = EncodedFrame(
                    track=item.track,
                    decode_time=item.decode_time,
                    presentation_time=item.presentation_time,
                    keyframe=item.keyframe,
                    data=bytes(200_000),
                )
                await encoder.write(large)
            else:
                await encoder.write(item)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write(), 1)
    assert timedelta(seconds=2) < encoder.waiting < timedelta(seconds=2.2)
    await encoder.abort()
    assert max(written) < timedelta(seconds=4)


COPYING = StreamConfiguration(rungs=CONFIGURATION.rungs, pass_through=True)


def copied_clip(keyframe_interval: float, *, seconds: int = 9, b_frames: int = 2) -> Clip:
    """A clip of the top rung's size and bit rate."""
    return Clip(
        width=320,
        height=180,
        duration=timedelta(seconds=seconds),
        keyframe_interval=timedelta(seconds=keyframe_interval),
        video_bitrate=400_000,
        b_frames=b_frames,
    )


def coded_pictures(media: bytes) -> list[bytes]:
    """The pictures of *media* as they are coded, without what a multiplexer puts around them."""
    with av.open(io.BytesIO(media), mode="r", format="mpegts") as container:
        return [
            unit
            for packet in container.demux(container.streams.video[0])
            for unit in bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
            if unit[0] & 0x1F in {1, 5}
        ]


def assert_copied(encoded: Encoded, clip: Clip) -> None:
    """Both rungs have every frame of *clip* once, the same cuts and the same sound."""
    top, low = (encoded.segments[rung.name] for rung in COPYING.rungs)
    assert [(s.index, s.start, s.duration) for s in top] == [(s.index, s.start, s.duration) for s in low]
    for copied, made in zip(top, low, strict=True):
        assert packet_times(copied.data, "audio") == packet_times(made.data, "audio")
        pairs = zip(packet_times(copied.data, "video"), packet_times(made.data, "video"), strict=True)
        # Half a millisecond, to which the feed is rounded.
        assert all(abs(mine - exact) <= 45 for mine, exact in pairs)
    for rung in COPYING.rungs:
        assert [stamped.number for stamped in read_frame_numbers(encoded.media(rung.name))] == list(
            range(clip.frames)
        )


@pytest.mark.parametrize(
    ("preset", "b_frames"), [(Preset.ULTRAFAST, 0), (Preset.SUPERFAST, 0), (Preset.SUPERFAST, 2)]
)
async def test_a_source_whose_keyframes_lie_on_the_grid_is_the_top_rung_itself(
    preset: Preset, b_frames: int
) -> None:
    clip = copied_clip(2, b_frames=b_frames)
    items = read_feed(make_clip(clip))
    configuration = replace_preset(COPYING, preset)
    encoded = await encode(items, configuration, opening=Opening(pass_through=configuration))
    assert encoded.opened.source_delay == b_frames
    assert encoded.over is None
    assert_copied(encoded, clip)
    sent = [item for item in items if isinstance(item, EncodedFrame) and item.track is Track.VIDEO]
    top = COPYING.rungs[0]
    pictures = coded_pictures(encoded.media(top.name))
    assert len(pictures) == len(sent)
    assert all(picture in item.data for picture, item in zip(pictures, sent, strict=True))
    for segment in encoded.segments[top.name]:
        declared = declared_bandwidth(top, COPYING.audio_bitrate, COPYING.segment_duration)
        assert len(segment.data) * 8 / segment.duration.total_seconds() <= declared
    plan = plan_encoding(configuration, encoded.opened.source, source_delay=b_frames)
    media = encoded.media(top.name)
    parameter_set = media.index(b"\0\0\1\x67") + 4
    assert plan.rungs[0].codecs == f"avc1.{media[parameter_set : parameter_set + 3].hex()},mp4a.40.2"


def replace_preset(configuration: StreamConfiguration, preset: Preset) -> StreamConfiguration:
    return msgspec.structs.replace(configuration, preset=preset)


async def test_a_source_that_is_the_only_rung_is_not_decoded_at_all() -> None:
    clip = copied_clip(1)
    configuration = msgspec.structs.replace(
        COPYING, rungs=COPYING.rungs[:1], segment_duration=timedelta(seconds=1)
    )
    encoded = await encode(
        read_feed(make_clip(clip)), configuration, opening=Opening(pass_through=configuration)
    )
    assert [segment.index for segment in encoded.segments[RungName("180p")]] == list(range(9))
    numbers = [stamped.number for stamped in read_frame_numbers(encoded.media(RungName("180p")))]
    assert numbers == list(range(clip.frames))


async def test_a_replacement_copies_from_exactly_the_first_missing_segment() -> None:
    clip = copied_clip(2)
    killed: set[int] = set()

    async def kill(encoder: SessionEncoder, segment: CutSegment) -> None:
        if segment.index == 1 and not killed and encoder.pid is not None:
            killed.add(encoder.pid)
            os.kill(encoder.pid, signal.SIGKILL)

    encoded = await encode(
        read_feed(make_clip(clip)), COPYING, opening=Opening(pass_through=COPYING), interfere=kill
    )
    assert encoded.encoder.restarts == 1
    assert_copied(encoded, clip)


async def test_a_source_whose_keyframes_lie_elsewhere_is_encoded() -> None:
    clip = copied_clip(3.3)
    encoded = await encode(read_feed(make_clip(clip)), COPYING, opening=Opening(pass_through=COPYING))
    assert encoded.opened.source_delay is None
    assert encoded.opened.not_copied == "its keyframes do not lie where segments begin"
    assert_copied(encoded, clip)


async def test_a_copy_goes_on_after_a_month() -> None:
    clip = copied_clip(2)
    opened, rest = open_feed(read_feed(make_clip(clip)))
    plan = plan_encoding(COPYING, opened.source, source_delay=2)
    first = SegmentIndex(30 * 24 * 1800)
    delivered: dict[RungName, list[CutSegment]] = {}

    async def deliver(segment: CutSegment) -> None:
        delivered.setdefault(segment.rung, []).append(segment)

    encoder = SessionEncoder(
        plan, origin=opened.origin - plan.grid.start(first), ffmpeg=FFMPEG, on_segment=deliver, first=first
    )
    await encoder.start()
    for item in (*opened.items, *rest):
        await encoder.write(item)
    await encoder.finish()
    for rung in COPYING.rungs:
        assert [segment.index - first for segment in delivered[rung.name]] == list(range(5))
        numbers = [stamped.number for s in delivered[rung.name] for stamped in read_frame_numbers(s.data)]
        assert numbers == list(range(clip.frames))


async def test_a_source_that_leaves_the_grid_goes_on_encoded_without_a_frame_lost() -> None:
    on, off = copied_clip(2, seconds=6), copied_clip(3.3)
    beyond = [later(item, on.duration) for item in read_feed(make_clip(off)) if isinstance(item, EncodedFrame)]
    items = [*read_feed(make_clip(on)), *beyond]
    first = await encode(items, COPYING, opening=Opening(pass_through=COPYING))
    assert first.opened.source_delay is not None
    assert first.over is not None
    assert first.over.fault is InputFault.NOT_PASSED_THROUGH
    successor = first.over.successor
    assert successor is not None
    # The keyframe at 6 s is the last that lies on the grid, the next comes at 9.3 s; and of the pictures around
    # the boundary at 8 s, some of those before are sent after the first beyond.
    copied = round((successor.origin - first.opened.origin - on.duration).total_seconds() * on.frame_rate)
    assert 56 < copied <= 60
    taken = items.index(successor.items[-1]) + 1
    second = await encode(items[taken:], COPYING, opened=successor)
    for rung in COPYING.rungs:
        assert [stamped.number for stamped in read_frame_numbers(first.media(rung.name))] == [
            *range(on.frames),
            *range(copied),
        ]
        assert [stamped.number for stamped in read_frame_numbers(second.media(rung.name))] == list(
            range(copied, off.frames)
        )
        assert packet_times(second.media(rung.name), "video")[0] == 900_000


def later(frame: EncodedFrame, by: timedelta) -> EncodedFrame:
    return replace(frame, decode_time=frame.decode_time + by, presentation_time=frame.presentation_time + by)


async def test_what_an_overloaded_encoder_cannot_make_is_left_out_of_every_rung_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """FFmpeg is stopped for longer than latency may grow, while the broadcaster goes on in real time."""
    bound = timedelta(seconds=3)
    monkeypatch.setattr(overload, "MAX_LAG", bound)
    monkeypatch.setattr(session_encoder, "_WATCH_INTERVAL", timedelta(milliseconds=50))
    clip = replace(CLIP, duration=timedelta(seconds=9))
    opened, rest = open_feed(read_feed(make_clip(clip)))
    delivered: dict[RungName, list[SegmentIndex]] = {rung.name: [] for rung in CONFIGURATION.rungs}
    stopped: set[int] = set()
    lags: list[timedelta] = []

    async def deliver(segment: CutSegment) -> None:
        delivered[segment.rung].append(segment.index)
        if segment.index == 1 and not stopped and encoder.pid is not None:
            stopped.add(encoder.pid)
            os.kill(encoder.pid, signal.SIGSTOP)

    encoder = SessionEncoder(
        plan_encoding(CONFIGURATION, opened.source), origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver
    )
    await encoder.start()
    loop = asyncio.get_running_loop()
    start = loop.time()
    for item in (*opened.items, *rest):
        if isinstance(item, EncodedFrame):
            due = start + (item.decode_time - opened.origin).total_seconds()
            await asyncio.sleep(max(0.0, due - loop.time()))
        await encoder.write(item)
        lags.append(encoder.lag)
    assert encoder.overloaded
    await encoder.finish()
    made, also_made = delivered.values()
    assert made == also_made
    lacking = set(range(9)) - set(made)
    assert lacking
    assert encoder.restarts >= 1
    assert encoder.lost == 2 * len(lacking)
    assert max(lags) < 2 * bound
    assert lags[-1] < bound


THREE = StreamConfiguration(
    rungs=(
        RungConfiguration(name=RungName("360p"), video_bitrate=BitsPerSecond(600_000)),
        *CONFIGURATION.rungs,
    ),
    segment_duration=timedelta(seconds=1),
)


async def encode_in_real_time(
    items: Sequence[FeedItem],
    configuration: StreamConfiguration,
    *,
    keeps_up_with: int,
    opening: Opening | None = None,
    interfere: Interference | None = None,
) -> list[Encoded]:
    """Encode *items* as they would come from a broadcaster, in as many sessions as it takes.

    FFmpeg is slow with more rungs than it *keeps_up_with*.
    """
    sessions: list[Encoded] = []

    async def begin(opened: Opened, shed: RungName | None = None) -> Encoded:
        async def deliver(segment: CutSegment) -> None:
            if interfere is not None:
                await interfere(encoder, segment)
            session.segments.setdefault(segment.rung, []).append(segment)

        plan = plan_encoding(configuration, opened.source, source_delay=opened.source_delay, shed=shed)
        encoder = SessionEncoder(plan, origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver)
        session = Encoded(opened=opened, encoder=encoder)
        sessions.append(session)
        await encoder.start(opened.items)
        if len(plan.rungs) > keeps_up_with:
            await stack.enter_async_context(slowed(encoder, speed=0.1, after=1))
        return session

    async with AsyncExitStack() as stack:
        opened, rest = open_feed(items, opening)
        session = await begin(opened)
        async for item in in_real_time(rest):
            try:
                await session.encoder.write(item)
            except EncoderOverloaded as over:
                session.over = over
            if (ended := session.over) is not None:
                assert isinstance(ended, EncoderOverloaded)
                assert ended.successor is not None
                await session.encoder.finish()
                session = await begin(ended.successor, ended.shed)
                await session.encoder.write(item)
        async with asyncio.timeout(2):  # one that does not keep up would take far longer
            while session.encoder.lag >= overload.NOTED_LAG:  # noqa: ASYNC110 - nothing but time makes it so
                await asyncio.sleep(0.05)
        await session.encoder.finish()
    return sessions


@pytest.fixture
def soon_overloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes an encoder eleven seconds takes it three."""
    monkeypatch.setattr(overload, "NOTED_LAG", timedelta(seconds=1.5))
    monkeypatch.setattr(overload, "MEASURED_FOR", timedelta(seconds=1))
    monkeypatch.setattr(session_encoder, "_WATCH_INTERVAL", timedelta(milliseconds=100))


def frame_numbers(sessions: Sequence[Encoded], rung: RungName) -> list[int | None]:
    return [
        stamped.number
        for session in sessions
        if rung in session.segments
        for stamped in read_frame_numbers(session.media(rung))
    ]


@pytest.mark.usefixtures("soon_overloaded")
async def test_an_encoder_that_is_too_slow_for_three_rungs_goes_on_with_two_and_no_frame_is_lost() -> None:
    clip = replace(CLIP, width=640, height=360, duration=timedelta(seconds=9))
    sessions = await encode_in_real_time(read_feed(make_clip(clip)), THREE, keeps_up_with=2)
    first, second = sessions
    assert isinstance(first.over, EncoderOverloaded)
    assert (first.over.shed, first.over.fault) == (RungName("360p"), InputFault.ENCODER_OVERLOADED)
    top, *others = (rung.name for rung in THREE.rungs)
    indexes = [[segment.index for segment in first.segments[rung]] for rung in (top, *others)]
    assert indexes == [list(range(len(indexes[0])))] * 3
    assert frame_numbers(sessions, top) == frame_numbers([first], others[0])
    for rung in others:
        assert frame_numbers(sessions, rung) == list(range(clip.frames))
        assert packet_times(second.media(rung), "video")[0] == 900_000
        sound = packet_times(second.media(rung), "audio")
        assert {after - before for before, after in pairwise(sound)} == {1920}
    assert [(session.encoder.restarts, session.encoder.lost) for session in sessions] == [(0, 0), (0, 0)]


@pytest.mark.usefixtures("soon_overloaded")
async def test_beside_a_copied_rung_the_largest_that_is_encoded_is_shed_and_the_copy_goes_on() -> None:
    """Nothing is observed anew: the source is what it was."""
    clip = copied_clip(1, seconds=11)
    configuration = msgspec.structs.replace(COPYING, segment_duration=timedelta(seconds=1))
    sessions = await encode_in_real_time(
        read_feed(make_clip(clip)),
        configuration,
        keeps_up_with=1,
        opening=Opening(pass_through=configuration),
    )
    first, second = sessions
    assert isinstance(first.over, EncoderOverloaded)
    assert first.over.shed == RungName("144p")
    assert list(second.segments) == [RungName("180p")]
    assert second.opened.source_delay == first.opened.source_delay == 2
    assert frame_numbers(sessions, RungName("180p")) == list(range(clip.frames))


async def test_an_ffmpeg_that_was_stopped_for_three_seconds_catches_up_and_nothing_is_shed() -> None:
    stopped: list[asyncio.TimerHandle] = []

    async def stop(encoder: SessionEncoder, segment: CutSegment) -> None:
        if segment.index == 0 and not stopped and encoder.pid is not None:
            os.kill(encoder.pid, signal.SIGSTOP)
            stopped.append(asyncio.get_running_loop().call_later(3, os.kill, encoder.pid, signal.SIGCONT))

    (session,) = await encode_in_real_time(
        read_feed(make_clip(CLIP)), CONFIGURATION, keeps_up_with=2, interfere=stop
    )
    assert stopped
    assert_exact(session, CLIP)
    assert session.encoder.restarts == 0


@pytest.mark.usefixtures("soon_overloaded")
async def test_who_ends_a_broadcast_while_its_encoder_is_overloaded_loses_nothing() -> None:
    """No session follows then: what waits is encoded by this one."""
    opened, rest = open_feed(read_feed(make_clip(CLIP)))
    encoded: dict[RungName, bytes] = {}

    async def deliver(segment: CutSegment) -> None:
        encoded[segment.rung] = encoded.get(segment.rung, b"") + segment.data

    plan = plan_encoding(CONFIGURATION, opened.source)
    encoder = SessionEncoder(plan, origin=opened.origin, ffmpeg=FFMPEG, on_segment=deliver)
    await encoder.start((*opened.items, *rest))
    async with slowed(encoder, speed=0.3):
        while not encoder._pace.cannot_catch_up:  # noqa: ASYNC110 - nothing but time makes it so
            await asyncio.sleep(0.05)
    await encoder.finish()
    for rung in plan.rungs:
        numbers = [stamped.number for stamped in read_frame_numbers(encoded[rung.name])]
        assert numbers == list(range(CLIP.frames))
    assert (encoder.restarts, encoder.lost) == (0, 0)
