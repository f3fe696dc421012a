import io
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from typing import NamedTuple

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.file_clock import LEAD, MAX_DURATION, UnwritableFrame
from ingest.feed.matroska import MAX_BLOCK_BYTES, TICK, MatroskaWriter

ORIGIN = timedelta(hours=3)
VP8 = CodecConfiguration(codec=VideoCodec.VP8, data=bytes.fromhex("3046019d012ae0010e01"))
AVC = CodecConfiguration(
    codec=VideoCodec.H264,
    data=bytes.fromhex("0142000affe100096742000af82a0a0a0a01000468ce3c80"),
)
OPUS = CodecConfiguration(
    codec=AudioCodec.OPUS, data=b"OpusHead\x01\x02" + bytes.fromhex("0000 80bb0000 0000 00")
)
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1190"))


def writer() -> MatroskaWriter:
    return MatroskaWriter(
        ORIGIN, width=480, height=270, frame_rate=Fraction(30), sample_rate=48_000, channels=2
    )


def frame(track: Track, since: timedelta, data: bytes = b"x", *, keyframe: bool = True) -> EncodedFrame:
    time = ORIGIN + since
    return EncodedFrame(track=track, decode_time=time, presentation_time=time, keyframe=keyframe, data=data)


def file(*items: FeedItem) -> bytes:
    one = writer()
    return one.header() + b"".join(map(one.write, items))


@pytest.mark.parametrize(
    ("video", "audio"), [(VP8, OPUS), (AVC, OPUS), (VP8, AAC)], ids=["VP8, Opus", "H.264, Opus", "VP8, AAC"]
)
def test_a_foreign_demuxer_reads_back_what_was_written(
    video: CodecConfiguration, audio: CodecConfiguration
) -> None:
    # Demuxers look at what they read: an IDR picture and another, a VP8 key frame and an inter frame.
    key, inter = (b"\0\0\0\x01\x65", b"\0\0\0\x01\x41") if video is AVC else (VP8.data, b"\x31inter")
    written = file(
        video,
        audio,
        frame(Track.VIDEO, timedelta(0), key),
        frame(Track.AUDIO, timedelta(milliseconds=-7), b"\xf8\xff\xfe"),
        frame(Track.VIDEO, timedelta(microseconds=16_700), inter, keyframe=False),
        frame(Track.VIDEO, timedelta(seconds=5), key),
    )
    with av.open(io.BytesIO(written), mode="r", format="matroska") as container:
        streams = {stream.type: stream for stream in container.streams}
        packets = [
            (packet.stream.type, (packet.pts or 0) * (packet.time_base or 1), packet.is_keyframe, bytes(packet))
            for packet in container.demux()
            if packet.size
        ]
        names = (streams["video"].codec_context.name, streams["audio"].codec_context.name)
        assert container.streams.video[0].average_rate == 30
        assert names == (str(video.codec), str(audio.codec))
        assert bytes(streams["audio"].codec_context.extradata or b"") == audio.data
        if video is AVC:
            assert bytes(streams["video"].codec_context.extradata or b"") == AVC.data
    assert packets == [
        ("video", 10, True, key),
        ("audio", Fraction("9.993"), True, b"\xf8\xff\xfe"),
        ("video", Fraction("10.0167"), False, inter),
        ("video", 15, True, key),
    ]


class Block(NamedTuple):
    track: int
    ticks: int
    keyframe: bool
    data: bytes


def read_number(data: bytes, offset: int, *, with_marker: bool) -> tuple[int, int]:
    """A variable-size integer (RFC 8794, 4), and where it ends."""
    length = 9 - data[offset].bit_length()
    value = int.from_bytes(data[offset : offset + length])
    return value if with_marker else value & ~(1 << 7 * length), offset + length


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of *data*; those of unknown size are empty, and their contents come next."""
    offset = 0
    while offset < len(data):
        identifier, offset = read_number(data, offset, with_marker=True)
        size, start = read_number(data, offset, with_marker=False)
        unknown = size == 2 ** (7 * (start - offset)) - 1
        offset = start if unknown else start + size
        yield identifier, data[start:offset]


def blocks(data: bytes) -> list[Block]:
    """The blocks of a file, with the times of their clusters added."""
    found, cluster = [], 0
    for identifier, content in elements(data):
        if identifier == 0xE7:
            cluster = int.from_bytes(content)
        if identifier == 0xA3:
            relative = int.from_bytes(content[1:3], signed=True)
            found.append(Block(content[0] & 0x7F, cluster + relative, bool(content[3] & 0x80), content[4:]))
    return found


FRAMES = st.lists(
    st.builds(
        frame,
        st.sampled_from(Track),
        st.timedeltas(min_value=-LEAD, max_value=timedelta(seconds=20))
        | st.timedeltas(min_value=-LEAD, max_value=MAX_DURATION - LEAD),
        st.binary(max_size=300),
        keyframe=st.booleans(),
    ),
    max_size=20,
)


@given(FRAMES)
def test_every_frame_is_in_its_place_with_its_bytes_and_its_time_to_half_a_tick(
    frames: list[EncodedFrame],
) -> None:
    found = blocks(file(VP8, OPUS, *frames))
    assert [(block.track, block.keyframe, block.data) for block in found] == [
        (1 if frame.track is Track.VIDEO else 2, frame.keyframe, frame.data) for frame in frames
    ]
    for block, item in zip(found, frames, strict=True):
        exact = item.presentation_time - ORIGIN + LEAD
        assert abs(block.ticks * TICK - exact) <= TICK / 2


def test_opus_packets_and_milliseconds_are_exact() -> None:
    times = [timedelta(microseconds=2500) * number for number in range(100)]
    found = blocks(file(VP8, OPUS, *(frame(Track.AUDIO, time) for time in times)))
    assert [block.ticks * TICK - LEAD for block in found] == times


def test_configurations_are_written_once_before_the_first_frame_and_may_be_repeated() -> None:
    one = writer()
    assert one.write(VP8) == one.write(OPUS) == b""
    first = one.write(frame(Track.VIDEO, timedelta(0)))
    assert [identifier for identifier, _ in elements(first)] == [0x1654AE6B, 0x1F43B675, 0xE7, 0xA3]
    assert one.write(OPUS) == b""
    assert [identifier for identifier, _ in elements(one.write(frame(Track.AUDIO, timedelta(0))))] == [0xA3]


def test_a_format_that_changes_behind_the_first_frame_is_refused() -> None:
    one = writer()
    one.write(VP8)
    one.write(frame(Track.VIDEO, timedelta(0)))
    for configuration in (OPUS, AVC):
        with pytest.raises(UnwritableFrame, match="format"):
            one.write(configuration)


@pytest.mark.parametrize(
    "item",
    [
        frame(Track.VIDEO, -LEAD - timedelta(milliseconds=1)),
        frame(Track.VIDEO, MAX_DURATION),
        frame(Track.VIDEO, timedelta(0), bytes(MAX_BLOCK_BYTES + 1)),
        frame(Track.AUDIO, timedelta(0)),
    ],
    ids=["before the session", "after 49 days", "too large", "of no known format"],
)
def test_what_there_is_no_room_for_is_refused(item: EncodedFrame) -> None:
    one = writer()
    one.write(VP8)
    with pytest.raises(UnwritableFrame):
        one.write(item)
