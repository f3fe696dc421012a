from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.feed.frames import CodecConfiguration, EncodedFrame, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.publishing import StreamKey
from ingest.protocols.rtmp import messages
from ingest.protocols.rtmp.amf0 import EcmaArray, Value
from ingest.protocols.rtmp.chunks import ChunkReader, ChunkWriter, Message, MessageType
from ingest.protocols.rtmp.connection import Event, PublishRequested, ServerConnection, Stage, Unpublished
from ingest.protocols.rtmp.errors import ProtocolError, Refusal, RtmpError, UnsupportedCodec
from ingest.protocols.rtmp.handshake import PACKET_BYTES, RANDOM_BYTES
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.messages import Command, UserControlType
from tools.rtmp_client import recorded_publication

LIMITS = RtmpLimits()
AVC = bytes.fromhex("0142c01effe10000")
AVC_HEADER = bytes.fromhex("1700000000") + AVC


def media(type_id: int, body: bytes, timestamp: int = 0) -> Message:
    return Message(type_id=type_id, stream_id=1, timestamp=timestamp, body=body)


class Peer:
    """A client and the connection under test, without a network between them."""

    def __init__(self, limits: RtmpLimits = LIMITS) -> None:
        self.connection = ServerConnection(limits=limits, random=bytes(RANDOM_BYTES))
        self._writer = ChunkWriter()
        self._reader = ChunkReader(LIMITS)

    def shake_hands(self) -> "Peer":
        self.connection.receive_data(b"\x03" + bytes(2 * PACKET_BYTES))
        assert len(self.connection.data_to_send()) == 1 + 2 * PACKET_BYTES
        return self

    def connect(self, *, app: Value = "live") -> "Peer":
        self.shake_hands()
        assert self.send(messages.command("connect", 1, {"app": app, "tcUrl": "rtmp://host/live"})) == []
        self.answers()
        return self

    def request(self, key: str = "key") -> Event:
        (event,) = self.send(messages.command("publish", 5, None, key, "live", stream_id=1))
        return event

    def publish(self) -> "Peer":
        self.connect().request()
        self.connection.accept_publish()
        self.answers()
        return self

    def send(self, *sent: Message) -> list[Event]:
        self.connection.receive_data(b"".join(self._writer.write(message, 3) for message in sent))
        return self.events()

    def events(self) -> list[Event]:
        events = []
        while (event := self.connection.next_event()) is not None:
            events.append(event)
        return events

    def answered(self) -> list[Message]:
        self._reader.receive_data(self.connection.data_to_send())
        answers = []
        while (message := self._reader.next_message()) is not None:
            answers.append(message)
        return answers

    def answers(self) -> list[Command]:
        parsed = (messages.parse(message, LIMITS) for message in self.answered())
        return [message for message in parsed if isinstance(message, Command)]

    def status(self) -> tuple[str, str]:
        """The name of the only answer, and its code."""
        (answer,) = self.answers()
        information = answer.arguments[1]
        assert isinstance(information, dict)
        assert isinstance(information["code"], str)
        return answer.name, information["code"]


def test_publisher_comes_from_handshake_to_frames() -> None:
    peer = Peer().shake_hands()
    assert peer.send(messages.command("connect", 1, {"app": "live", "tcUrl": "rtmp://host/live"})) == []
    assert [message.type_id for message in peer.answered()] == [5, 6, 20]
    calls = [
        messages.command("releaseStream", 2, None, "key"),
        messages.command("FCPublish", 3, None, "key"),
        messages.command("createStream", 4, None),
    ]
    assert peer.send(*calls) == []
    assert [(answer.name, answer.transaction, answer.arguments) for answer in peer.answers()] == [
        ("_result", 2, (None,)),
        ("_result", 3, (None,)),
        ("_result", 4, (None, 1.0)),
    ]
    assert peer.request("key") == PublishRequested(stream_key=StreamKey("key"))
    peer.connection.accept_publish()
    assert peer.status() == ("onStatus", "NetStream.Publish.Start")
    metadata = messages.data(
        "@setDataFrame", "onMetaData", EcmaArray(encoder="obs", width=640.0, framerate=30.0), stream_id=1
    )
    frame = bytes.fromhex("1701000000") + b"picture"
    assert peer.send(metadata, media(9, AVC_HEADER), media(9, frame, 40)) == [
        SourceMetadata(frame_rate=Fraction(30)),
        CodecConfiguration(codec=VideoCodec.H264, data=AVC),
        EncodedFrame(
            track=Track.VIDEO,
            decode_time=timedelta(milliseconds=40),
            presentation_time=timedelta(milliseconds=40),
            keyframe=True,
            data=b"picture",
        ),
    ]
    assert peer.send(messages.command("FCUnpublish", 6, None, "key")) == [Unpublished()]
    assert peer.status() == ("onStatus", "NetStream.Unpublish.Success")
    assert peer.connection.stage is Stage.CLOSED


@pytest.mark.parametrize("app", ["live", "live/", "/live", "live?token=1"])
def test_application_is_live(app: str) -> None:
    assert Peer().connect(app=app).connection.stage is Stage.CONNECTED


@pytest.mark.parametrize("app", ["", "other", "live/key", None, 5.0])
def test_other_application_is_refused_in_the_answer_to_connect(app: Value) -> None:
    peer = Peer().shake_hands()
    with pytest.raises(Refusal, match="rtmp://host/live/") as refused:
        peer.send(messages.command("connect", 1, {"app": app}))
    assert refused.value.code == "NetConnection.Connect.Rejected"
    assert peer.status() == ("_error", "NetConnection.Connect.Rejected")
    assert peer.connection.stage is Stage.CLOSED


def test_key_is_the_publish_name_without_its_query() -> None:
    event = Peer().connect().request("key?bandwidthtest=true")
    assert isinstance(event, PublishRequested)
    assert event.stream_key == StreamKey("key")


@pytest.mark.parametrize("arguments", [(), (None,), (None, ""), (None, "?a"), (None, 5.0), (None, "x" * 257)])
def test_key_that_cannot_be_one_is_refused(arguments: tuple[Value, ...]) -> None:
    peer = Peer().connect()
    with pytest.raises(Refusal):
        peer.send(messages.command("publish", 5, *arguments, stream_id=1))
    assert peer.status() == ("onStatus", "NetStream.Publish.BadName")


def test_nothing_is_read_until_publishing_was_accepted() -> None:
    """Media that follows at once waits, and is neither lost nor looked at."""
    peer = Peer().connect()
    requested = peer.send(
        messages.command("publish", 5, None, "key", "live", stream_id=1),
        media(9, AVC_HEADER),
        media(9, b"\x14"),
    )
    assert [type(event) for event in requested] == [PublishRequested]
    assert peer.events() == []
    peer.connection.accept_publish()
    assert peer.connection.next_event() == CodecConfiguration(codec=VideoCodec.H264, data=AVC)
    with pytest.raises(UnsupportedCodec):
        peer.connection.next_event()


def test_refused_publisher_is_told_why() -> None:
    peer = Peer().connect()
    peer.request()
    peer.connection.close("NetStream.Publish.Denied", "Wrong key.")
    (answer,) = peer.answered()
    assert messages.parse(answer, LIMITS) == Command(
        name="onStatus",
        transaction=0.0,
        arguments=(
            None,
            {"level": "error", "code": "NetStream.Publish.Denied", "description": "Wrong key."},
        ),
    )
    assert answer.stream_id == 1
    assert peer.events() == []


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("NetStream.Unpublish.Success", "status"),
        ("NetConnection.Connect.AppShutdown", "error"),
        ("NetStream.Publish.BadName", "error"),
    ],
)
def test_what_succeeded_is_no_error(code: str, level: str) -> None:
    """A broadcast that was ended, or taken over, has not failed."""
    peer = Peer().publish()
    peer.connection.close(code, "It is over.")
    (answer,) = peer.answers()
    assert answer.arguments == (None, {"level": level, "code": code, "description": "It is over."})


def test_only_one_status_ends_a_connection() -> None:
    peer = Peer().publish()
    peer.connection.close("NetStream.Publish.BadName", "Replaced.")
    peer.connection.fail("Also failed.")
    peer.connection.time_out()
    assert peer.status() == ("onStatus", "NetStream.Publish.BadName")


@pytest.mark.parametrize("body", ["90 68766331", "14", "1c"])
def test_unsupported_video_is_refused_by_name(body: str) -> None:
    peer = Peer().publish()
    with pytest.raises(UnsupportedCodec):
        peer.send(media(9, bytes.fromhex(body)))
    assert peer.status() == ("onStatus", "NetStream.Publish.Rejected")


def test_second_publish_is_refused() -> None:
    peer = Peer().publish()
    with pytest.raises(Refusal):
        peer.request()
    assert peer.status() == ("onStatus", "NetStream.Publish.BadName")


@pytest.mark.parametrize("name", ["play", "play2"])
def test_players_are_refused(name: str) -> None:
    peer = Peer().connect()
    with pytest.raises(Refusal):
        peer.send(messages.command(name, 5, None, "key", stream_id=1))
    assert peer.status() == ("onStatus", "NetStream.Play.Failed")


def test_acknowledgement_of_ours_and_unknown_messages_are_ignored() -> None:
    assert Peer().publish().send(messages.acknowledgement(5), media(99, b"")) == []


def test_unknown_call_is_answered_with_an_error_and_goes_on() -> None:
    peer = Peer().connect()
    peer.send(messages.command("_checkbw", 9, None))
    assert peer.status() == ("_error", "NetConnection.Call.Failed")
    peer.send(messages.command("notify", 0, None))
    assert peer.answers() == []
    assert peer.connection.stage is Stage.CONNECTED


@pytest.mark.parametrize("name", ["publish", "createStream", "releaseStream", "deleteStream", "play"])
def test_command_before_connect_is_a_protocol_error(name: str) -> None:
    with pytest.raises(ProtocolError, match=name):
        Peer().shake_hands().send(messages.command(name, 1, None, "key"))


def test_second_connect_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="connect"):
        Peer().connect().send(messages.command("connect", 1, {"app": "live"}))


def test_connect_without_properties_is_a_protocol_error() -> None:
    for arguments in ((), ("live",)):
        with pytest.raises(ProtocolError, match="properties"):
            Peer().shake_hands().send(messages.command("connect", 1, *arguments))


@pytest.mark.parametrize(
    "message",
    [
        media(9, AVC_HEADER),
        media(8, b"\xaf\x00\x12\x10"),
        media(22, b""),
        messages.data("@setDataFrame", "onMetaData", {}, stream_id=1),
    ],
)
def test_media_before_publishing_is_a_protocol_error(message: Message) -> None:
    with pytest.raises(ProtocolError, match="Media came before"):
        Peer().connect().send(message)


def test_aggregate_gives_its_frames_on_the_clock_of_the_connection() -> None:
    def tag(timestamp: int, body: bytes) -> bytes:
        return (
            b"\x09" + len(body).to_bytes(3, "big") + timestamp.to_bytes(3, "big") + bytes(4) + body + bytes(4)
        )

    peer = Peer().publish()
    body = tag(500, AVC_HEADER) + tag(500, b"\x17\x01\0\0\0a") + tag(540, b"\x27\x01\0\0\0b")
    events = peer.send(media(22, body, 1_000))
    times = [event.decode_time for event in events if isinstance(event, EncodedFrame)]
    assert times == [timedelta(seconds=1), timedelta(seconds=1, milliseconds=40)]


def test_times_do_not_wrap() -> None:
    peer = Peer().publish()
    peer.send(media(9, AVC_HEADER))
    frame = bytes.fromhex("2701000000") + b"a"
    peer.send(media(9, frame, (1 << 31) - 1))
    peer.send(media(9, frame, 0x90000000))
    (wrapped,) = peer.send(media(9, frame, 39))
    assert isinstance(wrapped, EncodedFrame)
    assert wrapped.decode_time == timedelta(milliseconds=(1 << 32) + 39)


def test_ping_is_answered_with_its_timestamp() -> None:
    peer = Peer().connect()
    peer.send(messages.user_control(UserControlType.PING_REQUEST, b"abcd"))
    (pong,) = peer.answered()
    assert (pong.type_id, bytes(pong.body)) == (MessageType.USER_CONTROL, b"\x00\x07abcd")


def test_flood_of_pings_is_bounded() -> None:
    ping = messages.user_control(UserControlType.PING_REQUEST, b"abcd")
    with pytest.raises(ProtocolError, match="Too many requests"):
        Peer().connect().send(*[ping] * 10_000)


def test_data_other_than_metadata_is_ignored() -> None:
    assert Peer().publish().send(messages.data("onTextData", {}, stream_id=1)) == []


def test_peer_bandwidth_that_differs_is_answered_with_a_window() -> None:
    peer = Peer().connect()
    wish = messages.set_peer_bandwidth(1_000_000, messages.PeerBandwidthLimit.DYNAMIC)
    peer.send(wish)
    assert [bytes(message.body) for message in peer.answered()] == [(1_000_000).to_bytes(4, "big")]
    peer.send(wish)
    assert peer.answered() == []


def test_acknowledgement_is_due_when_the_window_is_full() -> None:
    peer = Peer().publish()
    assert not peer.connection.acknowledgement_due
    peer.send(messages.window_acknowledgement_size(10_000))
    peer.connection.acknowledge()
    peer.answered()
    peer.send(media(8, b"\xaf\x01" + bytes(9_000)))
    assert not peer.connection.acknowledgement_due
    peer.send(media(8, b"\xaf\x01" + bytes(2_000)))
    assert peer.connection.acknowledgement_due
    peer.connection.acknowledge()
    assert not peer.connection.acknowledgement_due
    (acknowledgement,) = peer.answered()
    assert int.from_bytes(acknowledgement.body, "big") > 11_000


def test_window_of_zero_asks_for_nothing() -> None:
    peer = Peer().publish()
    peer.send(messages.window_acknowledgement_size(0), media(8, b""))
    assert not peer.connection.acknowledgement_due


@pytest.mark.parametrize(
    ("peer", "code"),
    [
        (Peer().connect(), "NetConnection.Connect.IdleTimeOut"),
        (Peer().publish(), "NetStream.Publish.Idle"),
    ],
    ids=["connected", "publishing"],
)
def test_peer_that_took_too_long_is_told_so(peer: Peer, code: str) -> None:
    peer.connection.time_out()
    assert peer.status() == ("onStatus", code)


@pytest.mark.parametrize(
    ("peer", "code"),
    [(Peer().connect(), "NetConnection.Call.Failed"), (Peer().publish(), "NetStream.Failed")],
    ids=["connected", "publishing"],
)
def test_peer_that_broke_the_protocol_is_told_so(peer: Peer, code: str) -> None:
    peer.connection.fail("Why.")
    assert peer.status() == ("onStatus", code)


def test_nothing_is_said_to_a_peer_that_has_not_connected() -> None:
    for peer in (Peer(), Peer().shake_hands()):
        peer.connection.fail("Why.")
        assert peer.connection.data_to_send() == b""


def _run(connection: ServerConnection, pieces: Iterable[bytes]) -> None:
    """What the server does, with a handler that lets everybody in."""
    for piece in pieces:
        connection.receive_data(piece)
        while (event := connection.next_event()) is not None:
            if isinstance(event, PublishRequested):
                connection.accept_publish()
        if connection.acknowledgement_due:
            connection.acknowledge()
        assert len(connection.data_to_send()) < 2 * LIMITS.write_bytes


RECORDING = recorded_publication("key")


def test_recording_is_a_whole_publication() -> None:
    connection = ServerConnection(limits=LIMITS, random=bytes(RANDOM_BYTES))
    _run(connection, [RECORDING])
    assert connection.stage is Stage.CLOSED


@settings(max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(1 + 2 * PACKET_BYTES, len(RECORDING) - 1), st.binary(max_size=6)), max_size=6
    ),
    st.integers(0, len(RECORDING)),
    st.integers(1, 2_000),
    st.binary(max_size=100),
)
def test_whatever_a_peer_sends_is_parsed_or_refused(
    mutations: list[tuple[int, bytes]], length: int, cut: int, tail: bytes
) -> None:
    """No other error ever, whatever is changed in a publication, wherever it is cut, whatever follows."""
    data = bytearray(RECORDING)
    for position, octets in mutations:
        data[position : position + len(octets)] = octets
    sent = bytes(data[:length]) + tail
    connection = ServerConnection(limits=LIMITS, random=bytes(RANDOM_BYTES))
    try:
        _run(connection, [sent[start : start + cut] for start in range(0, len(sent), cut)])
    except ProtocolError as error:
        connection.fail(error.description)
    except RtmpError:
        assert connection.stage is Stage.CLOSED


MESSAGES = st.one_of(
    st.builds(
        messages.command,
        st.sampled_from(["connect", "publish", "play", "createStream", "FCUnpublish", "other"]),
        st.floats(allow_nan=False),
        st.one_of(st.none(), st.just({"app": "live"}), st.just("key")),
        st.one_of(st.none(), st.just("key")),
    ),
    st.builds(
        Message,
        type_id=st.integers(0, 25),
        stream_id=st.integers(0, 2),
        timestamp=st.integers(0, (1 << 32) - 1),
        body=st.one_of(
            st.binary(max_size=40), st.sampled_from([AVC_HEADER, b"\x17\x01\0\0\0a", b"\xaf\x00\x12\x10"])
        ),
    ),
)


@settings(max_examples=200)
@given(st.lists(MESSAGES, max_size=12), st.sampled_from(["shake_hands", "connect", "publish"]))
def test_whatever_messages_come_they_are_handled_or_refused(sent: list[Message], start: str) -> None:
    """Well-formed messages in any order, so that the search gets behind the chunk layer."""
    peer: Peer = getattr(Peer(), start)()
    writer = ChunkWriter()
    # The bodies of random messages of these two types would only desynchronise the writer.
    chunks = [writer.write(message, 5) for message in sent if message.type_id not in (1, 2)]
    try:
        _run(peer.connection, chunks)
    except RtmpError as error:
        peer.connection.fail(error.description)
        assert peer.connection.stage is Stage.CLOSED
