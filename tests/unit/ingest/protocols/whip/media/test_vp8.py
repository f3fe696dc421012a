from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.picture_size import PictureSize
from ingest.protocols.whip.media.assembly import PacketGroup
from ingest.protocols.whip.media.picture import LostBeginning, Picture
from ingest.protocols.whip.media.rtp import InvalidRtp
from ingest.protocols.whip.media.vp8 import Vp8Depacketizer
from tools.rtp_streams import vp8_frame, vp8_payloads


def _read(payloads: Sequence[bytes], *, follows_hole: bool = False) -> Picture | None:
    depacketizer = Vp8Depacketizer()
    depacketizer.lose()
    return depacketizer.read(PacketGroup(0, 0.0, list(payloads), is_whole=True, follows_hole=follows_hole))


@pytest.mark.parametrize(
    "descriptor",
    [
        pytest.param("10", id="nothing optional"),
        pytest.param("30", id="not a reference"),
        pytest.param("90 80 7f", id="PictureID of 7 bits"),
        pytest.param("90 80 ff ff", id="PictureID of 15 bits"),
        pytest.param("90 40 01", id="TL0PICIDX"),
        pytest.param("90 20 80", id="TID"),
        pytest.param("90 10 1f", id="KEYIDX"),
        pytest.param("90 f0 80 01 02 9f", id="all"),
        pytest.param("90 00", id="an extension without anything"),
    ],
)
@pytest.mark.parametrize("size", [30, 3000])
def test_a_frame_is_read_behind_every_form_of_descriptor(descriptor: str, size: int) -> None:
    """RFC 7741, 4.2."""
    frame = vp8_frame(640, 360, b"\x5a" * size, keyframe=False)
    payloads = vp8_payloads(frame, descriptor=bytes.fromhex(descriptor))
    assert _read(payloads) == Picture(frame, None)


def test_a_keyframe_brings_its_header_and_size() -> None:
    frame = vp8_frame(1280, 720, b"\x5a" * 3000, keyframe=True)
    picture = _read(vp8_payloads(frame))
    assert picture is not None
    assert picture.data == frame
    assert picture.keyframe is not None
    assert (picture.keyframe.configuration, picture.keyframe.size) == (frame[:10], PictureSize(1280, 720))


def test_the_scale_is_no_part_of_the_size() -> None:
    """RFC 6386, 9.1."""
    picture = _read(vp8_payloads(vp8_frame(0x4000 | 640, 0xC000 | 360, b"", keyframe=True)))
    assert picture is not None
    assert picture.keyframe is not None
    assert picture.keyframe.size == PictureSize(640, 360)


def test_after_loss_a_keyframe_that_begins_is_whole() -> None:
    frame = vp8_frame(640, 360, b"\x5a" * 30, keyframe=True)
    picture = _read(vp8_payloads(frame), follows_hole=True)
    assert picture is not None
    assert picture.keyframe is not None


@pytest.mark.parametrize("first", [b"\x00", b"\x11"], ids=["in a partition", "with a later partition"])
def test_a_frame_that_does_not_begin_is_refused(first: bytes) -> None:
    with pytest.raises(LostBeginning):
        _read([first + b"data"], follows_hole=True)
    with pytest.raises(InvalidRtp):
        _read([first + b"data"])


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param("10", id="empty"),
        pytest.param("90", id="extension cut"),
        pytest.param("90 80", id="PictureID cut"),
        pytest.param("90 80 ff", id="long PictureID cut"),
        pytest.param("90 f0 01 02", id="fields cut"),
        pytest.param("10 30 00 00 9d 01 2a 00 05 d0", id="key frame's header cut"),
        pytest.param("10 30 00 00 9d 01 2b 00 05 d0 02 00", id="key frame without a start code"),
        pytest.param("10 30 00 00 9d 01 2a 00 05 00 00 00", id="key frame without a size"),
    ],
)
def test_what_is_no_frame_is_refused(payload: str) -> None:
    with pytest.raises(InvalidRtp):
        _read([bytes.fromhex(payload)])


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.booleans())
def test_arbitrary_payloads_are_read_or_refused(
    payloads: list[bytes],
    follows_hole: bool,  # noqa: FBT001 (hypothesis passes it by position)
) -> None:
    try:
        picture = _read(payloads, follows_hole=follows_hole)
    except (InvalidRtp, LostBeginning):
        return
    assert picture is not None
    assert picture.data
