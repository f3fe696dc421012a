"""How large the pictures of a recording become whose size changes: a browser's, which begin small and grow.

Their parameter sets come with the keyframes (ISO/IEC 14496-15, 5.3.3: avc3); the container states the first.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from av.container import InputContainer
from av.video.stream import VideoStream

from bucketcast.codecs.bits import InvalidBits
from bucketcast.codecs.picture_size import PictureSize
from bucketcast.codecs.sequence_parameter_set import parse_sequence_parameter_set
from bucketcast.recording.parameter_sets import LENGTH_BYTES

# As many keyframes are looked at, evenly spread: each is a request, after which two megabytes may be sent,
# of a file that may have thirty gigabytes. A size that is missed was shown for less than that part of the
# recording, and is worth no rung.
PLACES: Final = 32


def changes_size(video: VideoStream) -> bool:
    """Whether pictures of *video* bring their parameter sets along, and so may change their size."""
    return video.codec_context.codec_tag == "avc3"


def full_size(container: InputContainer, video: VideoStream) -> PictureSize:
    """Return the largest size, in the shape of the first, that pictures of *video* have in PLACES places.

    Raises what *container* raises where it cannot be read.
    """
    sizes = [PictureSize(video.width, video.height)]
    for keyframe in _keyframes(container, video):
        sizes += sizes_in(keyframe)
    return largest(sizes)


def largest(sizes: Sequence[PictureSize]) -> PictureSize:
    """The one of *sizes* with the most pixels that has the shape of the first."""
    alike = (size for size in sizes if size.has_shape_of(sizes[0]))
    return max(alike, key=lambda size: size.width * size.height)


def _keyframes(container: InputContainer, video: VideoStream) -> Iterator[bytes]:
    """The keyframes before PLACES evenly spread moments of *video*."""
    for place in range(PLACES):
        moment = (video.start_time or 0) + (video.duration or 0) * place // PLACES
        container.seek(moment, stream=video)
        yield bytes(next(container.demux(video)))


def sizes_in(sample: bytes) -> Iterator[PictureSize]:
    """Yield the sizes that the parameter sets in *sample* state; a unit stands behind its length (5.3.2)."""
    begin = 0
    while begin + LENGTH_BYTES < len(sample):
        length = int.from_bytes(sample[begin : begin + LENGTH_BYTES])
        begin += LENGTH_BYTES
        with suppress(InvalidBits):  # another kind of unit, or a set that no decoder reads
            yield parse_sequence_parameter_set(sample[begin : begin + length]).size
        begin += length
