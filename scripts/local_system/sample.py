"""The sample broadcast: a moving picture with a burnt-in wall clock and a tone, as an encoder would send it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import font_hanken_grotesk

from bucketcast.stream.identifiers import RungName, SegmentIndex, SessionNumber, StreamId, parse_stream_id
from bucketcast.stream.object_names import segment_file_name

FRAME_RATE: Final = 30
KEYFRAME_SECONDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """A picture's size, the sender's bitrate, and the stream that is made for it with these rungs.

    A stream's rungs never change, so each size has a stream of its own.
    """

    stream: StreamId
    width: int
    height: int
    video_kbps: int
    rungs: tuple[tuple[RungName, int], ...]  # with kb/s


# What two cores carry in real time, with the sender and a browser beside the ingest.
SMALL: Final = SampleSize(
    stream=parse_stream_id("demo"),
    width=1280,
    height=720,
    video_kbps=3500,
    rungs=((RungName("720p"), 2800), (RungName("480p"), 1400), (RungName("360p"), 800)),
)
FULL: Final = SampleSize(
    stream=parse_stream_id("demo-1080p"),
    width=1920,
    height=1080,
    video_kbps=6000,
    rungs=(
        (RungName("1080p"), 5000),
        (RungName("720p"), 2800),
        (RungName("480p"), 1400),
        (RungName("360p"), 800),
    ),
)


def sample_arguments(ffmpeg: Path, size: SampleSize, address: str) -> list[str]:
    """The command that sends the sample to the RTMP *address*."""
    bitrate = f"{size.video_kbps}k"
    # The colons of the clock pass three parsers: the graph's, the filter's and the text expansion's.
    clock = (
        f"drawtext=fontfile='{font_hanken_grotesk.HankenGroteskBold}'"
        r":text='%{localtime\:%H\\\:%M\\\:%S}  %{frame_num}'"
        f":fontsize={size.height // 8}:fontcolor=white:box=1:boxcolor=black@0.6:boxborderw=16"
        ":x=(w-text_w)/2:y=h*0.7"
    )
    return [
        str(ffmpeg),
        *("-hide_banner", "-loglevel", "warning", "-nostdin"),
        "-re",  # as fast as a camera
        *("-f", "lavfi", "-i", f"testsrc2=size={size.width}x{size.height}:rate={FRAME_RATE}"),
        *("-f", "lavfi", "-i", "sine=frequency=440:beep_factor=2:sample_rate=48000"),
        *("-filter:v", clock),
        # A sender's settings: quick, no look-ahead, a keyframe every two seconds as OBS is told to.
        *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p"),
        *("-b:v", bitrate, "-maxrate", bitrate, "-bufsize", bitrate),
        *("-g", str(FRAME_RATE * KEYFRAME_SECONDS)),
        *("-c:a", "aac", "-b:a", "128k", "-ar", "48000", "-ac", "2"),
        *("-f", "flv", address),
    ]


def lists_session(playlist: bytes, session: SessionNumber) -> bool:
    """Whether the media *playlist* lists a segment of *session* or a later one: names sort as they play."""
    first = segment_file_name(session, SegmentIndex(0))
    uris = (line for line in playlist.decode().splitlines() if line and not line.startswith("#"))
    return any(uri.rpartition("/")[2] >= first for uri in uris)
