"""What a depacketiser makes of packets: an encoded picture, and of a keyframe what it brings along."""

from dataclasses import dataclass
from typing import NamedTuple

from bucketcast.codecs.picture_size import PictureSize


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """What a keyframe says of itself and those after it: *configuration* as a feed has it, and its *size*."""

    configuration: bytes
    size: PictureSize


class Picture(NamedTuple):
    """One encoded picture, as a feed has it; *keyframe* is None where it needs others to be decoded."""

    data: bytes
    keyframe: Keyframe | None


class LostBeginning(Exception):
    """A picture's first packets may be among those that were lost before it."""
