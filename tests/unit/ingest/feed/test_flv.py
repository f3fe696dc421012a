import io
from datetime import timedelta

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.file_clock import LEAD, MAX_DURATION, UnwritableFrame
from ingest.feed.flv import MAX_TAG_BYTES, FlvWriter

ORIGIN = timedelta(hours=3)
# Baseline, 16 x 16: enough for a demuxer, which does not decode.
AVC = CodecConfiguration(
    codec=VideoCodec.H264,
    data=bytes.fromhex("014200 0affe1 0009 6742000af82a0a0a0a 01000468ce3c80".replace(" ", "")),
)
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1190"))


def picture(
    decode: timedelta, *, shown: timedelta | None = None, keyframe: bool = False, data: bytes = b"p"
) -> EncodedFrame:
    return EncodedFrame(
        track=Track.VIDEO,
        decode_time=decode,
        presentation_time=decode if shown is None else shown,
        keyframe=keyframe,
        data=data,
    )


def sound(time: timedelta, data: bytes = b"s") -> EncodedFrame:
    return EncodedFrame(track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=data)


def milliseconds(tag: bytes) -> int:
    return int.from_bytes(tag[4:7]) | tag[7] << 24


def test_a_foreign_demuxer_reads_back_what_was_written() -> None:
    writer = FlvWriter(ORIGIN)
    items: list[FeedItem] = [
        AVC,
        AAC,
        picture(ORIGIN - timedelta(milliseconds=40), shown=ORIGIN, keyframe=True, data=b"\0\0\0\x01\x65"),
        sound(ORIGIN, b"\x21\x10"),
        picture(ORIGIN, shown=ORIGIN + timedelta(milliseconds=80), data=b"\0\0\0\x01\x41"),
    ]
    file = io.BytesIO(writer.header() + b"".join(writer.write(item) for item in items))
    lead = LEAD // timedelta(milliseconds=1)
    with av.open(file, mode="r", format="flv") as container:
        packets = [
            (packet.stream.type, packet.dts, packet.pts, packet.is_keyframe, bytes(packet))
            for packet in container.demux()
            if packet.size
        ]
        assert bytes(container.streams.video[0].codec_context.extradata or b"") == AVC.data
        assert bytes(container.streams.audio[0].codec_context.extradata or b"") == AAC.data
    assert packets == [
        ("video", lead - 40, lead, True, b"\0\0\0\x01\x65"),
        ("audio", lead, lead, True, b"\x21\x10"),
        ("video", lead, lead + 80, False, b"\0\0\0\x01\x41"),
    ]


@given(st.timedeltas(min_value=-LEAD, max_value=MAX_DURATION - LEAD))
def test_times_count_from_the_origin_to_the_nearest_millisecond(time: timedelta) -> None:
    tag = FlvWriter(ORIGIN).write(sound(ORIGIN + time))
    assert abs(timedelta(milliseconds=milliseconds(tag)) - LEAD - time) <= timedelta(microseconds=500)


def test_beyond_24_bits_the_upper_byte_carries_on() -> None:
    """16,777,216 ms are 4.66 hours."""
    tag = FlvWriter(ORIGIN).write(sound(ORIGIN - LEAD + timedelta(milliseconds=2**24 + 5)))
    assert tag[4:8] == b"\x00\x00\x05\x01"


def test_a_configuration_takes_the_time_of_the_frame_before_it() -> None:
    writer = FlvWriter(ORIGIN)
    writer.write(picture(ORIGIN + timedelta(seconds=1)))
    assert milliseconds(writer.write(AVC)) == 11_000
    assert milliseconds(writer.write(AAC)) == 0


@pytest.mark.parametrize(
    "item",
    [
        sound(ORIGIN - LEAD - timedelta(milliseconds=1)),
        sound(ORIGIN + MAX_DURATION),
        picture(ORIGIN, shown=ORIGIN + timedelta(hours=3)),
        picture(ORIGIN, data=bytes(MAX_TAG_BYTES)),
    ],
    ids=["before the session", "after 49 days", "shown hours later", "too large"],
)
def test_what_flv_has_no_room_for_is_refused(item: EncodedFrame) -> None:
    with pytest.raises(UnwritableFrame):
        FlvWriter(ORIGIN).write(item)
