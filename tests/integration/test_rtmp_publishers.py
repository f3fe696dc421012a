"""Real publishers, byte by byte: what FFmpeg and GStreamer publish is what PyAV reads from the same file."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from ingest.feed.frames import CodecConfiguration, EncodedFrame, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import CloseReason
from ingest.protocols.rtmp import RtmpServer
from tools.recording_sessions import KEY, RecordingHandler, RecordingSession
from tools.rtmp_client import publish

FFMPEG: str = imageio_ffmpeg.get_ffmpeg_exe()
PUBLISHER_SECONDS = 40
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, its codec configurations, and its frames of each track in decode order."""

    path: Path
    configurations: dict[Track, bytes]
    frames: dict[Track, list[EncodedFrame]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    """Six seconds at 6 Mb/s with B-frames: more than one window of acknowledgement, and every timestamp."""
    path = tmp_path_factory.mktemp("rtmp") / "clip.flv"
    subprocess.run(
        [
            *(FFMPEG, "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30000/1001"),
            *(
                "-f",
                "lavfi",
                "-i",
                "sine=440",
                "-t",
                "6",
                "-c:v",
                "libx264",
                "-preset",
                "ultrafast",
                "-bf",
                "2",
            ),
            # Without a bitrate that is filled up a test picture would be too small.
            *("-g", "60", "-b:v", "6M", "-minrate", "6M", "-maxrate", "6M", "-bufsize", "3M"),
            *("-x264-params", "nal-hrd=cbr", "-c:a", "aac", str(path)),
        ],
        check=True,
        timeout=PUBLISHER_SECONDS,
    )
    return _read(path)


def _read(path: Path) -> Clip:
    configurations: dict[Track, bytes] = {}
    frames: dict[Track, list[EncodedFrame]] = {Track.VIDEO: [], Track.AUDIO: []}
    with av.open(str(path)) as container:
        for stream in container.streams:
            configurations[Track(stream.type)] = bytes(stream.codec_context.extradata or b"")
        for packet in container.demux():
            if packet.dts is None or packet.pts is None:
                continue
            track = Track(packet.stream.type)
            frame = EncodedFrame(
                track=track,
                decode_time=round(packet.dts * packet.time_base * 1000) * MILLISECOND,
                presentation_time=round(packet.pts * packet.time_base * 1000) * MILLISECOND,
                keyframe=packet.is_keyframe,
                data=bytes(packet),
            )
            frames[track].append(frame)
    return Clip(path, configurations, frames)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[RecordingHandler, str, RtmpServer]]:
    handler = RecordingHandler()
    async with RtmpServer(handler) as server:
        await server.start("127.0.0.1", 0)
        host, port = server.address
        yield handler, f"rtmp://{host}:{port}/live", server


async def run(*command: str) -> tuple[int, str]:
    """Run a publisher to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(PUBLISHER_SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def closed(handler: RecordingHandler) -> RecordingSession:
    (session,) = handler.sessions
    async with asyncio.timeout(PUBLISHER_SECONDS):
        await session.closed.wait()
    return session


def copy(clip: Clip, url: str, *more: str) -> tuple[str, ...]:
    return (
        FFMPEG,
        "-v",
        "error",
        *more,
        "-copyts",
        "-i",
        str(clip.path),
        "-c",
        "copy",
        "-copyts",
        "-f",
        "flv",
        url,
    )


def of(session: RecordingSession, track: Track) -> list[EncodedFrame]:
    return [frame for frame in session.frames if frame.track is track]


def assert_is(session: RecordingSession, clip: Clip, *, timestamps: bool = True) -> None:
    """Every byte of every frame came, in order, once; and its times, its configuration before it."""
    assert {
        item.track: item.data for item in session.items if isinstance(item, CodecConfiguration)
    } == clip.configurations
    for track, frames in clip.frames.items():
        received = of(session, track)
        assert [frame.data for frame in received] == [frame.data for frame in frames]
        assert [frame.keyframe for frame in received] == [frame.keyframe for frame in frames]
        if timestamps:
            assert received == frames
    for _, items in groupby(sorted(session.items, key=lambda item: item.track), key=lambda item: item.track):
        assert isinstance(next(items), CodecConfiguration)


async def test_ffmpeg_by_copy_is_byte_exact(clip: Clip) -> None:
    async with serving() as (handler, url, _server):
        code, said = await run(*copy(clip, f"{url}/{KEY}"))
        session = await closed(handler)
    assert code == 0, said
    assert_is(session, clip)
    assert session.reasons == [CloseReason.UNPUBLISHED]
    assert session.said[0] == SourceMetadata(frame_rate=Fraction(30_000, 1001))


@pytest.mark.parametrize("bits", [24, 31])
async def test_ffmpeg_over_a_wrap_of_the_counter(clip: Clip, bits: int) -> None:
    """The clock begins 3 s before: FFmpeg goes on with extended timestamps at 24 bits, and from zero at 31."""
    start = (1 << bits) - 3_000
    async with serving() as (handler, url, _server):
        code, said = await run(*copy(clip, f"{url}/{KEY}", "-itsoffset", f"{start / 1000:.3f}"))
        session = await closed(handler)
    assert code == 0, said
    assert_is(session, clip, timestamps=False)
    for track, frames in clip.frames.items():
        times = [frame.decode_time for frame in of(session, track)]
        assert times == [frame.decode_time + start * MILLISECOND for frame in frames]


async def test_ffmpeg_with_a_wrong_key_fails_and_says_why(clip: Clip) -> None:
    async with serving() as (handler, url, server):
        code, said = await run(*copy(clip, f"{url}/wrong"))
        assert server.connections <= 1
    assert code != 0
    assert "The stream key is wrong." in said
    assert handler.sessions == []


async def test_ffmpeg_with_another_application_fails_and_says_why(clip: Clip) -> None:
    async with serving() as (handler, url, _server):
        code, said = await run(*copy(clip, f"{url.replace('/live', '/other')}/{KEY}"))
    assert code != 0
    assert "rtmp://host/live/" in said
    assert handler.sessions == []


@pytest.mark.parametrize(
    ("encoder", "source", "codec"),
    [
        (
            ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
            "testsrc2=r=30",
            "HEVC video",
        ),
        (("-c:v", "libsvtav1", "-preset", "12"), "testsrc2=r=30:s=320x180", "AV1 video"),
        (("-c:a", "libopus"), "sine=440", "Opus audio"),
        (("-c:a", "libmp3lame"), "sine=440", "MP3 audio"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_ffmpeg_with_another_codec_fails_and_says_why(
    encoder: tuple[str, ...], source: str, codec: str
) -> None:
    async with serving() as (handler, url, _server):
        code, said = await run(
            # In real time: the refusal comes while media is being sent.
            *(FFMPEG, "-v", "error", "-re", "-f", "lavfi", "-i", source, "-t", "20"),
            *(*encoder, "-f", "flv", f"{url}/{KEY}"),
        )
        session = await closed(handler)
    assert code != 0
    assert f"{codec} is not supported here" in said
    assert session.frames == []
    assert session.reasons == [CloseReason.REFUSED_CODEC]


@pytest.fixture(params=["rtmpsink", "rtmp2sink"])
def gstreamer_sink(request: pytest.FixtureRequest) -> str:
    """The sinks of gstreamer1.0-plugins-bad: librtmp's, which reads nothing any more, and GStreamer's own."""
    if shutil.which("gst-launch-1.0") is None:
        pytest.skip("gst-launch-1.0 is not installed")
    sink: str = request.param
    for element in (sink, "flvmux", "flvdemux", "h264parse", "aacparse"):
        if subprocess.run(["gst-inspect-1.0", element], capture_output=True, check=False).returncode:
            pytest.skip(f"GStreamer's {element} is not installed")
    return sink


def pipeline(clip: Clip, sink: str, url: str) -> Iterator[str]:
    yield from ("gst-launch-1.0", "-q", "filesrc", f"location={clip.path}", "!", "flvdemux", "name=d")
    yield from ("d.video", "!", "queue", "!", "h264parse", "!", "flvmux", "name=m", "streamable=true")
    # As fast as it goes: the end is sent and the socket closed with most of the clip in the kernel.
    yield from ("!", sink, "sync=false", f"location={url}")
    yield from ("d.audio", "!", "queue", "!", "aacparse", "!", "m.")


async def test_gstreamer_by_copy_is_byte_exact(clip: Clip, gstreamer_sink: str) -> None:
    """Faster than real time, and closed at once: nothing of the tail is lost."""
    async with serving() as (handler, url, _server):
        code, said = await run(*pipeline(clip, gstreamer_sink, f"{url}/{KEY}"))
        session = await closed(handler)
    assert code == 0, said
    assert_is(session, clip, timestamps=False)
    assert session.reasons == [CloseReason.UNPUBLISHED]
    # Its clock begins with the first picture that is shown, and what is before that is at zero.
    start = clip.frames[Track.VIDEO][0].presentation_time
    for track, frames in clip.frames.items():
        for received, frame in zip(of(session, track), frames, strict=True):
            # The muxer rounds the nanoseconds that it was given once more.
            for got, sent in (
                (received.decode_time, frame.decode_time),
                (received.presentation_time, frame.presentation_time),
            ):
                assert abs(got - max(sent - start, timedelta())) <= 2 * MILLISECOND


async def test_gstreamer_with_a_wrong_key_fails(clip: Clip, gstreamer_sink: str) -> None:
    async with serving() as (handler, url, _server):
        code, _said = await run(*pipeline(clip, gstreamer_sink, f"{url}/wrong"))
    assert code != 0
    assert handler.sessions == []


async def test_publisher_of_these_tests_is_byte_exact_too(clip: Clip) -> None:
    items = [CodecConfiguration(codec=VideoCodec.H264, data=clip.configurations[Track.VIDEO])]
    frames = clip.frames[Track.VIDEO]
    async with serving() as (handler, _url, server):
        await publish(server.address, KEY, [*items, *frames])
        session = await closed(handler)
    assert session.frames == frames
