import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media.rtp import (
    InvalidRtp,
    TimestampUnwrapper,
    parse_rtp,
    restore_retransmission,
)
from tools.rtp_streams import RtpSource


@given(
    st.binary(max_size=50),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**16 - 1),
    st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 255)),
)
def test_a_packet_is_read_without_extension_and_padding(
    payload: bytes,
    timestamp: int,
    sequence_number: int,
    rest: tuple[bool, int, int],
) -> None:
    marker, extension_words, padding = rest
    source = RtpSource(ssrc=77, payload_type=111, sequence_number=sequence_number)
    data = source.packet(
        payload, timestamp=timestamp, marker=marker, extension=bytes(4 * extension_words), padding=padding
    )
    packet = parse_rtp(data, arrived=1.5)
    assert packet == (111, marker, sequence_number, timestamp, 77, payload, 1.5)


def test_contributing_sources_are_passed_over() -> None:
    data = RtpSource().packet(b"payload", timestamp=1)
    data = bytes((data[0] | 2,)) + data[1:12] + bytes(8) + data[12:]
    assert parse_rtp(data, arrived=0).payload == b"payload"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x80\x60" + bytes(9), id="cut within the header"),
        pytest.param(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), id="a STUN message"),
        pytest.param(b"\x40\x60" + bytes(20), id="another version"),
        pytest.param(b"\x81\x60" + bytes(10), id="contributing sources cut"),
        pytest.param(b"\x90\x60" + bytes(12), id="extension's header cut"),
        pytest.param(b"\x90\x60" + bytes(10) + b"\xbe\xde\x00\x02" + bytes(4), id="extension cut"),
        pytest.param(b"\xa0\x60" + bytes(11), id="padding without a length"),
        pytest.param(b"\xa0\x60" + bytes(10) + b"\x02", id="more padding than there is"),
    ],
)
def test_what_is_no_packet_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRtp):
        parse_rtp(data, arrived=0)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_packet_or_refused(data: bytes) -> None:
    try:
        packet = parse_rtp(data, arrived=0)
    except InvalidRtp:
        return
    assert len(packet.payload) <= len(data) - 12


def test_a_retransmission_is_restored() -> None:
    """RFC 4588, section 4: all but the SSRC, payload type and sequence number is as it was."""
    original = RtpSource(sequence_number=65_535).packet(b"payload", timestamp=9, marker=True)
    again = RtpSource(ssrc=5, payload_type=97, sequence_number=3).again(original)
    restored = restore_retransmission(parse_rtp(again, arrived=2), payload_type=96, ssrc=0x1234)
    assert restored == parse_rtp(original, arrived=2)


def test_a_retransmission_of_padding_alone_restores_nothing() -> None:
    probe = parse_rtp(RtpSource().packet(b"", timestamp=0, padding=200), arrived=0)
    assert restore_retransmission(probe, payload_type=96, ssrc=1) is None


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20))
def test_timestamps_unwrap_wherever_they_begin(first: int, steps: list[int]) -> None:
    unwrapper = TimestampUnwrapper(first)
    time = first
    assert unwrapper.unwrap(first) == first
    for step in steps:
        time += step
        assert unwrapper.unwrap(time & 0xFFFFFFFF) == time
