"""Stream record, session record, seal: what is stored create-only, and read back as it was."""

from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest

from bucketcast.errors import InvalidInput
from bucketcast.records import decode_record, encode_record
from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.identifiers import (
    BroadcastNumber,
    DiscontinuitySequenceNumber,
    MediaSequenceNumber,
    RungName,
    SessionNumber,
)
from bucketcast.stream.lifecycle import StreamState
from bucketcast.stream.seal import Seal
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from bucketcast.stream.stream_record import StreamRecord, document_of
from fakes import EPOCH
from stream_world import FIRST, SLOTS, STREAM, A, encoded_rung

RECORD = StreamRecord(
    stream=STREAM, number=3, created=EPOCH, key_hash="00", configuration=StreamConfiguration(pass_through=True)
)
RECORDS = [
    RECORD,
    SessionRecord(
        stream=STREAM,
        session=SessionNumber(2),
        broadcast=BroadcastNumber(1),
        encoder=A,
        start=EPOCH,
        segment_duration=timedelta(seconds=1.5),
        frame_rate=FrameRate(numerator=30_000, denominator=1001),
        rungs=tuple(map(encoded_rung, SLOTS)),
    ),
    Seal(
        stream=STREAM,
        session=FIRST,
        broadcast=BroadcastNumber(1),
        last_index=-1,
        next_media_sequence=MediaSequenceNumber(0),
        next_discontinuity_sequence=DiscontinuitySequenceNumber(0),
    ),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_read_as_it_was_written(record: msgspec.Struct) -> None:
    assert decode_record(type(record), encode_record(record)) == record


def test_a_seal_that_does_not_say_so_ends_no_broadcast() -> None:
    """A rebuilt stream would otherwise start a new one, and its viewers would be told that it is over."""
    fields = msgspec.json.decode(encode_record(RECORDS[-1]))
    del fields["ended"]
    assert not decode_record(Seal, msgspec.json.encode(fields)).ended


def test_a_stream_that_has_only_its_record_is_idle() -> None:
    document = document_of(RECORD)
    assert (document.stream, document.state, document.since, document.record_number) == (
        STREAM,
        StreamState.IDLE,
        EPOCH,
        3,
    )
    assert (document.configuration, document.key_hash) == (RECORD.configuration, "00")
    assert (document.sessions, document.window, document.last_broadcast, document.broadcast) == ((), (), 0, 1)


def test_a_frame_rate_is_an_exact_fraction() -> None:
    assert FrameRate(numerator=30_000, denominator=1001).fraction == Fraction(30_000, 1001)
    for numerator, denominator in ((0, 1), (1, 0), (-1, -1)):
        with pytest.raises(InvalidInput, match="two positive numbers"):
            FrameRate(numerator=numerator, denominator=denominator)


@pytest.mark.parametrize(
    ("name", "width", "height", "codecs"),
    [
        ("wide", 640, 360, "avc1.64001f"),
        ("360p", 0, 360, "avc1.64001f"),
        ("360p", 640, -1, "avc1.64001f"),
        ("360p", 640, 360, ""),
        ("360p", 640, 360, 'avc1"\n#EXT'),
    ],
)
def test_a_rung_that_no_playlist_could_declare_is_refused(
    name: str, width: int, height: int, codecs: str
) -> None:
    """Once it were claimed, every publication of the stream would fail."""
    with pytest.raises(InvalidInput):
        EncodedRung(name=RungName(name), width=width, height=height, codecs=codecs)
