"""The sender: a ready-made clip by copy over RTMP, in real time, over and over, in a process of its own.

`python -m benchmark.sender CLIP HOST PORT LOG` publishes the name in $BENCHMARK_STREAM_KEY until SIGTERM, and
writes the number of each frame and the time at which it was sent to LOG.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import av

from benchmark.processes import cpu_seconds
from benchmark.sent_frames import SentFrames, parse_sent_frames
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, Track, VideoCodec
from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.messages import Command
from tools.frame_strip import Clip
from tools.rtmp_client import PublishFailed, RtmpPublisher

KEY_VARIABLE: Final = "BENCHMARK_STREAM_KEY"
# How long a server may take to listen: FFmpeg and nginx do within a second on a busy machine.
CONNECT_SECONDS: Final = 10.0
# The last frames are written and unpublish is answered in a moment, or the server is gone.
STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A clip's configurations, and its frames in the order of sending, from time 0 to *duration*."""

    configurations: tuple[CodecConfiguration, ...]
    frames: tuple[EncodedFrame, ...]
    frame_rate: Fraction
    duration: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SentClip:
    """What a sender did: the frames it *sent*, its own *cpu* per second, how *late* its latest frame was."""

    sent: SentFrames
    cpu: float
    late: float


def read_source(path: Path, frame_rate: Fraction) -> Source:
    """Read the MP4 at *path*, which has H.264 at *frame_rate* and AAC."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        configurations = (
            CodecConfiguration(codec=VideoCodec.H264, data=bytes(video.codec_context.extradata or b"")),
            CodecConfiguration(codec=AudioCodec.AAC, data=bytes(audio.codec_context.extradata or b"")),
        )
        frames = [
            EncodedFrame(
                track=Track.VIDEO if packet.stream is video else Track.AUDIO,
                decode_time=_time(packet.dts, packet.time_base),
                presentation_time=_time(packet.pts, packet.time_base),
                keyframe=packet.is_keyframe,
                data=bytes(packet),
            )
            for packet in container.demux(video, audio)
            if packet.size
        ]
    pictures = sum(frame.track is Track.VIDEO for frame in frames)
    duration = timedelta(microseconds=round(pictures * 1_000_000 / frame_rate))
    # Sound before the first picture is the encoder's priming; sound after the last would overlap the next lap.
    kept = [
        frame
        for frame in frames
        if frame.track is Track.VIDEO or timedelta(0) <= frame.presentation_time < duration
    ]
    kept.sort(key=lambda frame: frame.decode_time)
    return Source(configurations=configurations, frames=tuple(kept), frame_rate=frame_rate, duration=duration)


def feed(source: Source) -> Iterator[tuple[EncodedFrame, int | None]]:
    """*source* over and over without end, each frame with its number if it is a picture; times from 0 on."""
    # Decode times of pictures that are shown out of order begin before 0; RTMP has no sign.
    lead = -min(frame.decode_time for frame in source.frames)
    for lap in count():
        offset = lead + lap * source.duration
        for frame in source.frames:
            shown = frame.presentation_time + lap * source.duration
            number = round(shown / timedelta(seconds=1) * source.frame_rate)
            moved = replace(
                frame,
                decode_time=frame.decode_time + offset,
                presentation_time=frame.presentation_time + offset,
            )
            yield moved, number if frame.track is Track.VIDEO else None


class Sender:
    """The sender's process, from entering the context to leaving it."""

    def __init__(self, clip: Clip, path: Path, address: tuple[str, int], key: str, *, folder: Path) -> None:
        """Send *clip*, which lies at *path*, to the application `live` at *address*; log to *folder*."""
        self._clip = clip
        self._log = folder / "sent-frames"
        host, port = address
        self._command = [sys.executable, "-m", "benchmark.sender", str(path), host, str(port), str(self._log)]
        self._environment = {**os.environ, KEY_VARIABLE: key}

    def __enter__(self) -> Self:
        """Start to send."""
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdin=subprocess.DEVNULL, start_new_session=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, if `stop` did not."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> SentClip:
        """Unpublish, and return what was sent; raises subprocess.CalledProcessError if it had failed."""
        cpu = 0.0
        if self._process.poll() is None:
            cpu = cpu_seconds(self._process.pid) / (time.monotonic() - self._began)
            self._process.terminate()
        if status := self._process.wait(STOP_SECONDS):
            raise subprocess.CalledProcessError(status, self._command)
        sent = parse_sent_frames(self._log.read_text().splitlines(), clip_frames=self._clip.frames)
        rate = float(self._clip.frame_rate)
        ahead = [time - number / rate for number, time in enumerate(sent.times)]
        return SentClip(sent=sent, cpu=cpu, late=max(ahead) - min(ahead))


class LenientPublisher(RtmpPublisher):
    """A publisher that passes over what a server says amiss: FFmpeg's onFCPublish has no transaction number."""

    async def _next_command(self) -> Command:
        while True:
            with suppress(ProtocolError):
                return await super()._next_command()


async def send(source: Source, address: tuple[str, int], key: str, log: Path) -> None:
    """Send *source* in real time until SIGTERM; raises PublishFailed."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    with log.open("w") as times:
        async with LenientPublisher() as publisher:
            await _publish(publisher, address, key)
            for configuration in source.configurations:
                await publisher.send_item(configuration)
            began = loop.time()
            for frame, number in feed(source):
                await asyncio.sleep(began + frame.decode_time.total_seconds() - loop.time())
                if stopping.is_set():
                    break
                if number is not None:
                    times.write(f"{number} {time.time():.6f}\n")
                await publisher.send_item(frame)
            # FFmpeg and nginx close the connection without an answer.
            with suppress(TimeoutError, PublishFailed):
                await asyncio.wait_for(publisher.unpublish(), STOP_SECONDS / 2)


async def _publish(publisher: RtmpPublisher, address: tuple[str, int], key: str) -> None:
    deadline = time.monotonic() + CONNECT_SECONDS
    while True:
        try:
            return await publisher.publish(address, key)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def _time(count: int | None, base: Fraction | None) -> timedelta:
    if count is None or base is None:
        raise ValueError("a packet of the clip has no time")
    return timedelta(microseconds=round(count * base * 1_000_000))


def main(arguments: Sequence[str]) -> None:
    """Send as the command line says."""
    path, host, port, log = arguments
    with av.open(path) as container:
        rate = container.streams.video[0].average_rate
    assert rate is not None
    source = read_source(Path(path), Fraction(rate))
    asyncio.run(send(source, (host, int(port)), os.environ[KEY_VARIABLE], Path(log)))


if __name__ == "__main__":
    main(sys.argv[1:])
