"""The recording as the job finds it: what its container says of its picture and sound."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.container import InputContainer

from bucketcast.codecs.picture_size import PictureSize
from bucketcast.errors import Unavailable
from ingest.encode.source import MAX_FRAME_RATE, MIN_FRAME_RATE, UnusableSource
from ingest.vod.growth import changes_size, full_size

# Requests for the header and the first pictures: what takes longer is not coming.
_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One MP4: its picture in coded pixels, and the times of its pictures in seconds.

    An *adaptive* one's pictures change their size, and this is the largest.
    """

    width: int
    height: int
    sample_aspect_ratio: Fraction
    frame_rate: Fraction
    start: Fraction  # when the first picture is shown
    duration: Fraction  # from then to the end of the last picture
    has_audio: bool
    adaptive: bool = False

    @property
    def frames(self) -> int:
        """How many pictures it has at its frame rate; at least one."""
        return max(1, round(self.duration * self.frame_rate))


def probe(url: str) -> Recording:
    """Return what the recording at *url* is; raises UnusableSource, and Unavailable where it cannot be read."""
    try:
        with av.open(url, timeout=_TIMEOUT_SECONDS) as container:
            return _recording(container)
    except (av.error.InvalidDataError, av.error.HTTPClientError, FileNotFoundError) as error:
        raise UnusableSource(f"the recording cannot be read: {error.strerror}") from error
    except (av.error.FFmpegError, OSError) as error:
        raise Unavailable(f"the recording cannot be reached: {error.strerror}") from error


def frame_rate(base: Fraction | None, average: Fraction | None) -> Fraction:
    """Return the constant rate that shows every picture of a source.

    *base* is the least rate that has a place for each picture, which a still picture does not lower; but it
    means nothing where the pictures' times follow no rate. Then it is *average*, within what we encode. Raises
    UnusableSource where both are unknown.
    """
    if base is not None and MIN_FRAME_RATE <= base <= MAX_FRAME_RATE:
        return base
    if not average:
        raise UnusableSource("the recording does not say its frame rate")
    return min(max(average, MIN_FRAME_RATE), MAX_FRAME_RATE)


def _recording(container: InputContainer) -> Recording:
    if not container.streams.video:
        raise UnusableSource("the recording has no picture")
    video = container.streams.video[0]
    if video.duration is None or video.time_base is None:
        raise UnusableSource("the recording does not say how long it is")
    adaptive = changes_size(video)
    size = full_size(container, video) if adaptive else PictureSize(video.width, video.height)
    return Recording(
        width=size.width,
        height=size.height,
        sample_aspect_ratio=video.sample_aspect_ratio or Fraction(1),
        frame_rate=frame_rate(video.base_rate, video.average_rate),
        start=(video.start_time or 0) * video.time_base,
        duration=video.duration * video.time_base,
        has_audio=bool(container.streams.audio),
        adaptive=adaptive,
    )
