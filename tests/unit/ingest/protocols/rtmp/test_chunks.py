from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp.chunks import ChunkReader, ChunkWriter, Message, MessageType
from ingest.protocols.rtmp.errors import ProtocolError
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.messages import set_chunk_size

LIMITS = RtmpLimits()
VIDEO = MessageType.VIDEO
AUDIO = MessageType.AUDIO


def _message(body: bytes = b"", *, timestamp: int = 0, type_id: int = VIDEO, stream_id: int = 1) -> Message:
    return Message(type_id=type_id, stream_id=stream_id, timestamp=timestamp, body=body)


def _read(pieces: Iterable[bytes], limits: RtmpLimits = LIMITS) -> list[Message]:
    reader = ChunkReader(limits)
    reader.media_allowed = True
    messages: list[Message] = []
    for piece in pieces:
        reader.receive_data(piece)
        while (message := reader.next_message()) is not None:
            messages.append(message)
    return messages


def _octets(octets: str) -> bytes:
    return bytes.fromhex(octets)


TIMESTAMPS = st.one_of(
    st.integers(0, (1 << 32) - 1),
    st.sampled_from([0, 0xFFFFFE, 0xFFFFFF, 0x1000000, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]),
    st.integers(0, 100),
)
MESSAGES = st.builds(
    Message,
    type_id=st.sampled_from([VIDEO, AUDIO, MessageType.DATA_AMF0]),
    stream_id=st.sampled_from([0, 1, 0xFFFFFFFF]),
    timestamp=TIMESTAMPS,
    body=st.one_of(st.binary(max_size=20), st.sampled_from([bytes(127), bytes(128), bytes(129), bytes(700)])),
)
CHUNK_STREAM_IDS = st.sampled_from([2, 3, 63, 64, 319, 320, 65599])
SIZES = st.one_of(st.none(), st.integers(128, 1000), st.just(0xFFFFFF))


@given(
    st.lists(st.tuples(MESSAGES, CHUNK_STREAM_IDS, SIZES), max_size=12),
    st.lists(st.integers(1, 400), max_size=30),
)
def test_what_is_written_is_read_however_it_is_cut(
    written: list[tuple[Message, int, int | None]], cuts: list[int]
) -> None:
    """Any messages on any chunk streams, any chunk sizes between them, any split of the bytes."""
    writer = ChunkWriter()
    data = b""
    for message, chunk_stream_id, size in written:
        if size is not None:
            data += writer.write(set_chunk_size(size), 2)
        data += writer.write(message, chunk_stream_id)
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    assert _read([*pieces, data]) == [message for message, _, _ in written]


@given(st.lists(TIMESTAMPS, min_size=1, max_size=8), st.booleans(), st.integers(1, 5))
def test_extended_timestamps_are_read_repeated_or_not(
    timestamps: list[int],
    repeated: bool,  # noqa: FBT001 (hypothesis passes it by name)
    cut: int,
) -> None:
    """FFmpeg and OBS repeat the extended timestamp in chunks of type 3; old librtmp senders do not."""
    writer = ChunkWriter(repeat_extended_timestamp=repeated)
    messages = [_message(b"\xaa\xab" * 150, timestamp=timestamp) for timestamp in timestamps]
    data = b"".join(writer.write(message, 4) for message in messages)
    assert _read([data[start : start + cut] for start in range(0, len(data), cut)]) == messages


@pytest.mark.parametrize("repeated", [True, False])
def test_a_message_of_the_same_extended_delta_is_read_with_and_without_it(repeated: bool) -> None:  # noqa: FBT001
    """The third message's header is of type 3: senders differ in whether they repeat the delta there."""
    delta = 0x0100_0000
    writer = ChunkWriter(repeat_extended_timestamp=repeated)
    messages = [_message(bytes((number,)), timestamp=number * delta) for number in range(3)]
    assert _read([writer.write(message, 4) for message in messages]) == messages


def test_body_that_begins_like_the_extended_timestamp_waits_for_nothing_else() -> None:
    """A tail shorter than the timestamp it could be the beginning of, from a sender that does not repeat it."""
    writer = ChunkWriter(repeat_extended_timestamp=False)
    message = _message(bytes(128) + b"\x7f\x00", timestamp=0x7F123456)
    assert _read([writer.write(message, 4)]) == [message]


@given(st.binary(min_size=200, max_size=600), st.binary(min_size=200, max_size=600), st.randoms())
def test_messages_of_two_chunk_streams_may_be_interleaved(first: bytes, second: bytes, random: object) -> None:
    writer = ChunkWriter()
    a = writer.chunks(_message(first), 4)
    b = writer.chunks(_message(second, type_id=AUDIO), 5)
    mixed = []
    while a or b:
        source = a if not b or (a and random.random() < 0.5) else b  # type: ignore[attr-defined]
        mixed.append(source.pop(0))
    assert sorted(bytes(message.body) for message in _read(mixed)) == sorted([first, second])


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        pytest.param(
            "04 00000a 000001 08 01000000 aa  44 000017 000001 08 bb  84 000018 cc  c4 dd",
            [(10, b"\xaa"), (33, b"\xbb"), (57, b"\xcc"), (81, b"\xdd")],
            id="types 0 to 3, of which the last repeats the delta",
        ),
        pytest.param(
            "04 000017 000001 08 01000000 aa  c4 bb",
            [(0x17, b"\xaa"), (0x2E, b"\xbb")],
            id="type 3 after type 0 takes the timestamp as its delta",
        ),
        pytest.param(
            "04 100000 000001 08 01000000 aa  c4 bb",
            [(0x100000, b"\xaa"), (0x100000, b"\xbb")],
            id="type 3 after type 0 with a timestamp that is no delta",
        ),
        pytest.param(
            "04 ffffff 000001 08 01000000 01000000 aa  84 ffffff 01000001 bb  c4 01000001 cc  c4 dd",
            [(0x1000000, b"\xaa"), (0x2000001, b"\xbb"), (0x3000002, b"\xcc"), (0x4000003, b"\xdd")],
            id="extended delta, repeated by a type 3 header with and without it",
        ),
        pytest.param(
            "04 ffffff 000001 08 01000000 ffffffff aa  84 000002 bb",
            [(0xFFFFFFFF, b"\xaa"), (1, b"\xbb")],
            id="counter wraps",
        ),
        pytest.param("42 000000 000000 08", [(0, b"")], id="control stream opened by a header of type 1"),
        pytest.param(
            "00 02 000000 000001 08 01000000 aa  40 02 000005 000001 08 bb",
            [(0, b"\xaa"), (5, b"\xbb")],
            id="two octets of chunk stream id",
        ),
        pytest.param(
            "01 0201 000000 000001 08 01000000 aa  41 0201 000005 000001 08 bb",
            [(0, b"\xaa"), (5, b"\xbb")],
            id="three octets of chunk stream id",
        ),
    ],
)
def test_headers(octets: str, expected: list[tuple[int, bytes]]) -> None:
    data = _octets(octets)
    for pieces in ([data], [bytes((octet,)) for octet in data]):
        assert [(message.timestamp, message.body) for message in _read(pieces)] == expected


def test_abort_discards_a_partial_message() -> None:
    partial = _octets("04 000000 0000c8 09 01000000") + bytes(128)
    abort = _octets("02 000000 000004 02 00000000 00000004")
    complete = _octets("04 000000 000001 09 01000000 aa")
    assert [message.body for message in _read([partial + abort + complete])] == [b"\xaa"]


def test_abort_of_a_stream_without_a_partial_message_does_nothing() -> None:
    abort = _octets("02 000000 000004 02 00000000 00000009")
    assert _read([abort + _octets("04 000000 000001 09 01000000 aa")])[0].body == b"\xaa"


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param("84 000000", id="type 2 on a new chunk stream"),
        pytest.param("c4", id="type 3 on a new chunk stream"),
        pytest.param(
            "04 000000 0000c8 09 01000000" + "00" * 128 + "04 000000 000001 09 01000000",
            id="message in a message",
        ),
        pytest.param("02 000000 000004 01 00000000 00000000", id="chunk size of zero"),
        pytest.param("02 000000 000004 01 00000000 0000007f", id="chunk size below the bound"),
        pytest.param("02 000000 000002 01 00000000 1000", id="chunk size that is cut short"),
        pytest.param("02 000000 000001 02 00000000 04", id="abort that is cut short"),
        pytest.param("04 000000 800001 09 01000000", id="video above the bound"),
        pytest.param("04 000000 010001 08 01000000", id="audio above the bound"),
        pytest.param("04 000000 008001 14 01000000", id="command above the bound"),
        pytest.param("04 000000 008001 63 01000000", id="unknown type above the bound of commands"),
    ],
)
def test_what_breaks_the_protocol_or_the_bounds_is_refused(octets: str) -> None:
    data = _octets(octets)
    for pieces in ([data], [bytes((octet,)) for octet in data]):
        with pytest.raises(ProtocolError):
            _read(pieces)


def test_oversized_message_is_refused_at_its_header() -> None:
    """Not a byte of its body has come."""
    writer = ChunkWriter()
    header = writer.write(_message(bytes(LIMITS.audio_message_bytes + 1), type_id=AUDIO), 4)[:12]
    with pytest.raises(ProtocolError, match="65537 bytes"):
        _read([header])


def test_media_is_bounded_like_commands_until_it_is_allowed() -> None:
    reader = ChunkReader(LIMITS)
    reader.receive_data(_octets("04 000000 010000 09 01000000"))
    with pytest.raises(ProtocolError):
        reader.next_message()


def _partial(chunk_stream_id: int, length: int) -> bytes:
    header = bytes((chunk_stream_id, 0, 0, 0)) + length.to_bytes(3, "big") + bytes((VIDEO, 1, 0, 0, 0))
    return header + bytes(128)


def test_partial_messages_are_bounded_in_number() -> None:
    allowed = b"".join(_partial(3 + index, 200) for index in range(LIMITS.partial_messages))
    assert _read([allowed]) == []
    with pytest.raises(ProtocolError, match="interleaved"):
        _read([allowed + _partial(60, 200)])


def test_partial_messages_are_bounded_in_bytes() -> None:
    assert _read([_partial(3, 8 << 20) + _partial(4, 4 << 20)]) == []
    with pytest.raises(ProtocolError, match="interleaved"):
        _read([_partial(3, 8 << 20) + _partial(4, (4 << 20) + 1)])


def test_complete_messages_do_not_count_as_partial() -> None:
    writer = ChunkWriter()
    data = b"".join(writer.write(_message(bytes(4 << 20)), 4) for _ in range(5))
    assert len(_read([data])) == 5


def test_chunk_streams_are_bounded_in_number() -> None:
    writer = ChunkWriter()
    data = b"".join(writer.write(_message(b"a"), 3 + index) for index in range(LIMITS.chunk_streams))
    assert len(_read([data])) == LIMITS.chunk_streams
    with pytest.raises(ProtocolError, match="chunk streams"):
        _read([data + writer.write(_message(b"a"), 1000)])


def test_chunk_size_above_the_longest_message_means_the_longest_message() -> None:
    set_size = _octets("02 000000 000004 01 00000000 7fffffff")
    writer = ChunkWriter()
    writer.write(set_chunk_size(0x7FFFFFFF), 2)
    message = _message(bytes(100_000))
    assert _read([set_size + writer.write(message, 4)]) == [message]


def test_writer_refuses_chunk_stream_ids_that_do_not_exist() -> None:
    for chunk_stream_id in (1, 65600):
        with pytest.raises(ValueError, match="chunk stream"):
            ChunkWriter().write(_message(), chunk_stream_id)


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=10))
def test_any_bytes_are_messages_or_a_protocol_error(pieces: list[bytes]) -> None:
    try:
        messages = _read(pieces)
    except ProtocolError:
        return
    assert sum(len(message.body) for message in messages) <= sum(len(piece) for piece in pieces)


def test_between_messages_nothing_of_one_has_come() -> None:
    reader = ChunkReader(LIMITS)
    reader.media_allowed = True
    message = _message(bytes(200))
    *octets, last = ChunkWriter().write(message, 4)
    assert reader.is_between_messages
    for octet in octets:
        reader.receive_data(bytes((octet,)))
        assert reader.next_message() is None
        assert not reader.is_between_messages
    reader.receive_data(bytes((last,)))
    assert not reader.is_between_messages
    assert reader.next_message() == message
    assert reader.is_between_messages
