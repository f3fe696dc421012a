from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.picture_size import PictureSize
from bucketcast.codecs.sequence_parameter_set import MAX_PARAMETER_SET_BYTES
from ingest.protocols.whip.media.assembly import PacketGroup
from ingest.protocols.whip.media.h264 import (
    MAX_NAL_UNITS,
    MAX_PICTURE_PARAMETER_SETS,
    H264Depacketizer,
    has_b_slices,
)
from ingest.protocols.whip.media.picture import LostBeginning, Picture
from ingest.protocols.whip.media.rtp import InvalidRtp
from tools.rtp_streams import (
    filling,
    h264_payloads,
    length_prefixed,
    picture_set,
    sequence_set,
    slice_unit,
)

SPS, PPS = sequence_set(1280, 720), picture_set()
IDR, SLICE = slice_unit(filling(50), idr=True), slice_unit(filling(20))
CONFIGURATION = (
    bytes((1, *SPS[1:4], 0xFF, 0xE1)) + len(SPS).to_bytes(2) + SPS + b"\x01" + len(PPS).to_bytes(2) + PPS
)


def _group(payloads: Sequence[bytes], *, follows_hole: bool = False) -> PacketGroup:
    return PacketGroup(0, 0.0, list(payloads), is_whole=True, follows_hole=follows_hole)


def _read(depacketizer: H264Depacketizer, *units: bytes, follows_hole: bool = False) -> Picture | None:
    return depacketizer.read(_group(h264_payloads(units), follows_hole=follows_hole))


def _data(picture: Picture | None) -> bytes:
    assert picture is not None
    return picture.data


def _units(data: bytes) -> list[bytes]:
    units = []
    while data:
        size = int.from_bytes(data[:4])
        units.append(data[4 : 4 + size])
        data = data[4 + size :]
    return units


@given(st.lists(st.binary(min_size=2, max_size=60), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_any_packetisation_gives_the_same_picture(bodies: list[bytes], random: Random) -> None:
    slices = [slice_unit(body.replace(b"\x00", b"\x01")) for body in bodies]
    picture = H264Depacketizer().read(_group(h264_payloads(slices, mtu=40, random=random)))
    assert picture == Picture(length_prefixed(slices), None)


def test_each_kind_of_packet_is_read() -> None:
    """RFC 6184, 5.6, 5.7.1 and 5.8."""
    large = slice_unit(filling(3000), idr=True)
    payloads = h264_payloads([SPS, PPS, large])
    assert [payload[0] & 0x1F for payload in payloads] == [24, 28, 28, 28]
    assert _data(H264Depacketizer().read(_group(payloads))) == length_prefixed([SPS, PPS, large])
    assert _data(H264Depacketizer().read(_group([SPS, PPS, large]))) == length_prefixed([SPS, PPS, large])


def test_a_fragment_that_begins_and_ends_a_unit_is_read() -> None:
    """RFC 6184, 5.8 forbids it; some hardware sends it."""
    picture = H264Depacketizer().read(_group([bytes((0x5C, 0xC1)) + SLICE[1:]]))
    assert picture == Picture(length_prefixed([SLICE]), None)


def test_a_keyframe_brings_its_configuration_and_size() -> None:
    picture = _read(H264Depacketizer(), SPS, PPS, IDR)
    assert picture is not None
    assert picture.keyframe is not None
    assert picture.keyframe.size == PictureSize(1280, 720)
    assert picture.keyframe.configuration == CONFIGURATION


def test_a_high_profile_record_goes_on_after_the_sets() -> None:
    """ISO/IEC 14496-15, 5.3.3.1.2."""
    picture = _read(H264Depacketizer(), sequence_set(1280, 720, profile=100), PPS, IDR)
    assert picture is not None
    assert picture.keyframe is not None
    assert picture.keyframe.configuration.endswith(PPS + b"\xfd\xf8\xf8\x00")


def test_delimiters_and_filler_are_dropped_and_sei_is_kept() -> None:
    delimiter, filler, sei = b"\x09\xf0", b"\x0c\xff\xff\x80", b"\x06\x05\x01\x02\x80"
    picture = _read(H264Depacketizer(), delimiter, SPS, PPS, sei, IDR, filler)
    assert _data(picture) == length_prefixed([SPS, PPS, sei, IDR])


def test_slices_of_one_picture_stay_together() -> None:
    slices = [slice_unit(filling(900, number), first_macroblock=number * 900) for number in range(4)]
    assert _data(_read(H264Depacketizer(), *slices)) == length_prefixed(slices)


def test_parameter_sets_with_a_time_of_their_own_go_before_the_next_picture() -> None:
    depacketizer = H264Depacketizer()
    assert _read(depacketizer, SPS) is None
    assert _read(depacketizer, PPS) is None
    assert _data(_read(depacketizer, IDR)) == length_prefixed([SPS, PPS, IDR])
    assert _read(depacketizer, picture_set(3)) is None
    assert _data(_read(depacketizer, SLICE)) == length_prefixed([picture_set(3), SLICE])


def test_every_keyframe_has_its_parameter_sets() -> None:
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    assert _data(_read(depacketizer, IDR)) == length_prefixed([SPS, PPS, IDR])
    assert _data(_read(depacketizer, PPS, IDR)) == length_prefixed([SPS, PPS, IDR])


def test_a_keyframe_has_the_sets_that_it_refers_to_and_no_others() -> None:
    other_sps, other_pps = sequence_set(640, 360, set_id=1), picture_set(1, sequence_set_id=1)
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    idr = slice_unit(filling(50), idr=True, picture_set_id=1)
    picture = _read(depacketizer, other_sps, other_pps, idr)
    assert picture is not None
    assert picture.keyframe is not None
    assert picture.keyframe.size == PictureSize(640, 360)
    assert SPS not in picture.keyframe.configuration
    assert _units(_data(_read(depacketizer, IDR))) == [SPS, PPS, IDR]


def test_a_new_sequence_set_comes_before_the_picture_sets_that_are_still_of_use() -> None:
    """FFmpeg forgets the picture sets of a sequence set that is replaced."""
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    larger = sequence_set(1920, 1080)
    assert _units(_data(_read(depacketizer, larger, IDR))) == [larger, PPS, IDR]


def test_the_latest_set_of_an_id_counts() -> None:
    """A browser that grows sends another picture size under the same id."""
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    picture = _read(depacketizer, sequence_set(640, 360), PPS, IDR)
    assert picture is not None
    assert picture.keyframe is not None
    assert picture.keyframe.size == PictureSize(640, 360)


def test_a_keyframe_that_nothing_describes_is_refused() -> None:
    depacketizer = H264Depacketizer()
    with pytest.raises(InvalidRtp):
        _read(depacketizer, IDR)
    with pytest.raises(InvalidRtp):
        _read(depacketizer, PPS, IDR)


def test_after_loss_a_keyframe_whose_sets_may_be_lost_is_doubted_once() -> None:
    """Its sender repeats them; one that has ceased to do so loses one keyframe, and no more."""
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    with pytest.raises(LostBeginning):
        _read(depacketizer, IDR, follows_hole=True)
    assert _data(_read(depacketizer, IDR, follows_hole=True)) == length_prefixed([SPS, PPS, IDR])


def test_sets_lost_in_a_picture_that_was_not_whole_are_doubted_too() -> None:
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    depacketizer.lose()
    assert _read(depacketizer, PPS) is None
    with pytest.raises(LostBeginning):
        _read(depacketizer, IDR)


def test_after_loss_a_keyframe_with_its_sets_is_whole() -> None:
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    assert _data(_read(depacketizer, SPS, PPS, IDR, follows_hole=True)) == length_prefixed([SPS, PPS, IDR])


def test_after_loss_a_keyframe_of_a_sender_that_sent_its_sets_once_is_whole() -> None:
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    _read(depacketizer, IDR)
    assert _data(_read(depacketizer, IDR, follows_hole=True)) == length_prefixed([SPS, PPS, IDR])


@pytest.mark.parametrize("idr", [True, False])
def test_after_loss_a_picture_that_begins_with_a_later_slice_lacks_its_beginning(idr: bool) -> None:  # noqa: FBT001
    depacketizer = H264Depacketizer()
    _read(depacketizer, SPS, PPS, IDR)
    _read(depacketizer, IDR)
    with pytest.raises(LostBeginning):
        _read(depacketizer, slice_unit(filling(9), idr=idr, first_macroblock=40), follows_hole=True)
    assert _read(depacketizer, SLICE, follows_hole=True) == Picture(length_prefixed([SLICE]), None)


def test_a_payload_that_is_a_byte_stream_is_taken_apart() -> None:
    """Start codes never reach the feed."""
    stream = SPS + b"\x00\x00\x00\x01" + PPS + b"\x00\x00\x01" + IDR + b"\x00\x00\x01"
    assert _data(H264Depacketizer().read(_group([stream]))) == length_prefixed([SPS, PPS, IDR])


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param([b"\x7a" + bytes(20)], id="MTAP16, of the interleaved mode"),
        pytest.param([b"\x5d\x81" + bytes(20)], id="FU-B, of the interleaved mode"),
        pytest.param([b"\x00\x00\x00\x01"], id="no unit type"),
        pytest.param([b"\x5c"], id="fragment cut"),
        pytest.param([b"\x5c\x01abc"], id="fragment without a beginning"),
        pytest.param([b"\x5c\x81abc"], id="fragment without an end"),
        pytest.param([b"\x5c\x81abc", SLICE], id="fragment not gone on with"),
        pytest.param([b"\x5c\x81abc", b"\x5c\x81abc"], id="fragment that begins twice"),
        pytest.param([b"\x78\x00\x05abc"], id="aggregation cut"),
        pytest.param([b"\x78\x00\x00abc"], id="aggregation of nothing"),
        pytest.param([b"\x78\x00"], id="aggregation's length cut"),
        pytest.param([b"\x78" + b"\x00\x01\x41" * (MAX_NAL_UNITS + 1)], id="too many units"),
        pytest.param([b"\x41" + b"\x00\x00\x01\x41" * (MAX_NAL_UNITS + 1)], id="too many units in a stream"),
        pytest.param([b"\x67" + bytes((1,)) * MAX_PARAMETER_SET_BYTES], id="parameter set too large"),
        pytest.param([b"\x68"], id="parameter set cut"),
        pytest.param([SPS, PPS, b"\x65"], id="slice cut"),
    ],
)
def test_what_is_no_picture_is_refused(payloads: list[bytes]) -> None:
    with pytest.raises(InvalidRtp):
        H264Depacketizer().read(_group(payloads))


@pytest.mark.parametrize("kind", range(10))
def test_b_slices_are_told_by_their_type(kind: int) -> None:
    """ITU-T H.264, table 7-6."""
    sei = b"\x06" + filling(40)
    later = slice_unit(filling(20), kind=kind, first_macroblock=300)
    assert has_b_slices(length_prefixed([SPS, PPS, sei, later])) == (kind in {1, 6})


@pytest.mark.parametrize(
    "data", [b"", length_prefixed([SPS]), length_prefixed([b"\x41"]), length_prefixed([b"\x41\0"])]
)
def test_what_cannot_be_read_has_no_b_slices(data: bytes) -> None:
    assert not has_b_slices(data)


def test_sets_of_an_offer_describe_pictures_until_others_come() -> None:
    depacketizer = H264Depacketizer([SPS, PPS])
    assert _data(_read(depacketizer, IDR)) == length_prefixed([SPS, PPS, IDR])
    assert _data(_read(depacketizer, IDR, follows_hole=True)) == length_prefixed([SPS, PPS, IDR])
    other = sequence_set(640, 360)
    assert _data(_read(depacketizer, other, PPS, IDR)) == length_prefixed([other, PPS, IDR])
    assert _data(_read(depacketizer, IDR)) == length_prefixed([other, PPS, IDR])


@pytest.mark.parametrize("sets", [[SPS[:5], PPS], [b"\x67", PPS], [SPS, bytes(MAX_PARAMETER_SET_BYTES + 1)]])
def test_sets_of_an_offer_that_cannot_be_read_describe_nothing(sets: list[bytes]) -> None:
    with pytest.raises(InvalidRtp, match="without its parameter sets"):
        _read(H264Depacketizer(sets), IDR)


def test_what_is_remembered_is_bounded() -> None:
    depacketizer = H264Depacketizer()
    for number in range(256):
        assert _read(depacketizer, picture_set(number)) is None
    picture = _read(depacketizer, SPS, slice_unit(filling(9), idr=True, picture_set_id=255))
    assert picture is not None
    assert len(_units(picture.data)) == MAX_PICTURE_PARAMETER_SETS + 2
    with pytest.raises(InvalidRtp):
        _read(depacketizer, SPS, slice_unit(filling(9), idr=True, picture_set_id=1))


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), max_size=6), st.booleans()
)
def test_arbitrary_payloads_are_read_or_refused_and_hold_no_start_codes(
    groups: list[list[bytes]],
    follows_hole: bool,  # noqa: FBT001 (hypothesis passes it by position)
) -> None:
    depacketizer = H264Depacketizer()
    for payloads in groups:
        try:
            picture = depacketizer.read(_group(payloads, follows_hole=follows_hole))
        except (InvalidRtp, LostBeginning):
            continue
        if picture is not None:
            assert all(b"\x00\x00\x01" not in unit for unit in _units(picture.data))


def test_eight_megabytes_of_zeros_cost_little() -> None:
    """What a search for start codes must not be slow at."""
    zeros = [b"\x5c\x81" + bytes(60_000), *[b"\x5c\x01" + bytes(60_000)] * 130, b"\x5c\x41\x00\x00\x01\x41\x80"]
    picture = H264Depacketizer().read(_group(zeros))
    assert picture is not None
    assert len(picture.data) < 100
