"""VP8 pictures out of their packets (RFC 7741)."""

from typing import Final

from bucketcast.codecs.picture_size import PictureSize
from ingest.protocols.whip.media.assembly import PacketGroup
from ingest.protocols.whip.media.picture import Keyframe, LostBeginning, Picture
from ingest.protocols.whip.media.rtp import InvalidRtp

# RFC 7741, 4.2: the payload descriptor.
_EXTENDED, _START, _PARTITION = 0x80, 0x10, 0x07
_HAS_PICTURE_ID, _HAS_TL0PICIDX, _HAS_TID, _HAS_KEYIDX = 0x80, 0x40, 0x20, 0x10
_LONG_PICTURE_ID: Final = 0x80
# RFC 6386, 9.1: the frame tag's lowest bit is 0 in a key frame; after the tag come a start code and the size.
_INTER_FRAME: Final = 0x01
_START_CODE: Final = b"\x9d\x01\x2a"
_KEYFRAME_HEADER_BYTES: Final = 10
_SIZE: Final = 0x3FFF  # the upper two bits ask for scaling


class Vp8Depacketizer:
    """Makes pictures of VP8 frames as RFC 6386 has them."""

    def lose(self) -> None:
        """Take note that packets were lost: a key frame brings all that describes it along."""

    def read(self, group: PacketGroup) -> Picture | None:
        """Return the picture in *group*.

        Raises:
            InvalidRtp: the payloads are not of RFC 7741.
            LostBeginning: packets were lost before *group*, and it lacks its beginning.
        """
        first = group.payloads[0][0]
        if not first & _START or first & _PARTITION:
            if group.follows_hole:
                raise LostBeginning
            raise InvalidRtp("a VP8 picture has no beginning")
        data = b"".join([payload[_descriptor_bytes(payload) :] for payload in group.payloads])
        if not data:
            raise InvalidRtp("a VP8 picture is empty")
        return Picture(data, None if data[0] & _INTER_FRAME else _keyframe(data))


def _descriptor_bytes(payload: bytes) -> int:
    if not payload[0] & _EXTENDED:
        return 1
    extension = payload[1] if len(payload) > 1 else 0
    size = 2
    if extension & _HAS_PICTURE_ID:
        size += 2 if payload[2:3] >= bytes((_LONG_PICTURE_ID,)) else 1
    if extension & _HAS_TL0PICIDX:
        size += 1
    if extension & (_HAS_TID | _HAS_KEYIDX):
        size += 1
    if size > len(payload):
        raise InvalidRtp("a VP8 payload is cut short")
    return size


def _keyframe(data: bytes) -> Keyframe:
    header = data[:_KEYFRAME_HEADER_BYTES]
    if len(header) < _KEYFRAME_HEADER_BYTES or header[3:6] != _START_CODE:
        raise InvalidRtp("a VP8 key frame has no header")
    size = PictureSize(
        int.from_bytes(header[6:8], "little") & _SIZE, int.from_bytes(header[8:10], "little") & _SIZE
    )
    if not min(size):
        raise InvalidRtp("a VP8 key frame has no size")
    return Keyframe(configuration=header, size=size)
