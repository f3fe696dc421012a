import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.handshake import PACKET_BYTES, RANDOM_BYTES, ServerHandshake

RANDOM = bytes(range(256)) * 5 + bytes(RANDOM_BYTES - 5 * 256)
OLD_C1 = bytes(8) + b"\x55" * (PACKET_BYTES - 8)
DIGEST_C1 = b"\x00\x00\x01\x02\x09\x00\x7c\x02" + b"\x66" * (PACKET_BYTES - 8)


@pytest.mark.parametrize("c1", [OLD_C1, DIGEST_C1], ids=["version zero", "digest"])
@given(cut=st.integers(1, 2 * PACKET_BYTES))
def test_answer_is_the_plain_one_however_the_packets_are_cut(c1: bytes, cut: int) -> None:
    handshake = ServerHandshake(RANDOM)
    data = b"\x03" + c1 + b"\x77" * PACKET_BYTES + b"rest"
    sent, rest = b"", b""
    for piece in (data[:cut], data[cut:]):
        answer, behind = handshake.receive_data(piece)
        sent += answer
        rest += behind
    assert handshake.complete
    assert sent == b"\x03" + bytes(8) + RANDOM + c1
    assert rest == b"rest"


def test_server_answers_before_c2() -> None:
    """A client sends C2 only when it has S1."""
    handshake = ServerHandshake(RANDOM)
    answer, _ = handshake.receive_data(b"\x03" + OLD_C1)
    assert len(answer) == 1 + 2 * PACKET_BYTES
    assert not handshake.complete


def test_version_that_is_not_known_is_answered_with_three() -> None:
    answer, _ = ServerHandshake(RANDOM).receive_data(b"\x06" + OLD_C1)
    assert answer[0] == 3


@pytest.mark.parametrize("text", [b"GET / HTTP/1.1\r\n", b"\xff", b" "])
def test_other_protocol_is_refused_at_its_first_byte(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="not RTMP"):
        ServerHandshake(RANDOM).receive_data(text)


def test_random_bytes_must_fill_the_packet() -> None:
    with pytest.raises(ValueError, match="1528"):
        ServerHandshake(b"")
