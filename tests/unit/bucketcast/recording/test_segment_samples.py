"""A segment's transport stream is read whole, or refused with the one error."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.samples import OTHER_SAMPLE, SYNC_SAMPLE, SegmentSamples
from bucketcast.recording.segment_samples import MAX_SEGMENT_BYTES, read_segment
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import silent_segment
from unit.bucketcast.recording.made_segments import (
    AUDIO_PID,
    FORMAT,
    PICTURE_SET,
    SEQUENCE_SET,
    VIDEO_PID,
    access_unit,
    adts,
    keyframe,
    packets,
    pes,
    picture,
    table_packet,
)

SECOND = timedelta(seconds=1)
START = 900_000


def video(content: bytes, shown: int, decoded: int | None = None) -> bytes:
    return packets(VIDEO_PID, pes(content, shown, decoded))


def sound(frames: bytes, time: int) -> bytes:
    return packets(AUDIO_PID, pes(frames, time))


def read(*content: bytes, start: timedelta = timedelta(0)) -> SegmentSamples:
    return read_segment(b"".join(content), index=SegmentIndex(7), start=start, duration=SECOND)


WHOLE = (
    table_packet(),
    table_packet(0x1000),
    video(keyframe(), START, START - 3000),
    sound(adts(b"\x21\x10\x05"), START),
    video(picture(b"\x9a" * 400), START + 6000, START),
    sound(adts(b"\x21\x10\x06", checksum=True) + adts(b"\x21\x10\x07"), START + 1920),
    video(picture(), START + 3000, START + 3000),
)


def test_samples_have_their_times_sizes_and_bytes() -> None:
    found = read(*WHOLE)
    assert (found.index, found.video_format) == (7, FORMAT)
    assert found.video is not None
    table = found.video.table
    assert table.decode_time == START - 3000
    # The last one lasts until the segment's end, as far as decoding is ahead.
    assert list(table.durations) == [3000, 3000, 90_000 - 6000]
    assert list(table.composition_offsets) == [3000, 6000, 0]
    assert list(table.flags) == [SYNC_SAMPLE, OTHER_SAMPLE, OTHER_SAMPLE]
    assert found.video.media == b"".join(
        (
            *(b"\x00\x00\x00\x03", b"\x65\x88\x80"),
            *(b"\x00\x00\x01\x91", b"\x41" + b"\x9a" * 400),
            *(b"\x00\x00\x00\x03", b"\x41\x9a\x80"),
        )
    )
    assert list(table.sizes) == [7, 405, 7]
    assert found.audio is not None
    assert found.audio.media == b"\x21\x10\x05\x21\x10\x06\x21\x10\x07"
    assert (found.audio.table.decode_time, list(found.audio.table.durations)) == (START, [1920] * 3)


def test_sound_that_comes_twice_is_taken_once() -> None:
    """A bug cost the last segment of a session its pictures too (P10)."""
    twice = sound(adts(b"\x21\x10\x05") + adts(b"\x21\x10\x06"), START)
    found = read(video(keyframe(), START), twice, twice, sound(adts(b"\x21\x10\x07"), START + 3840))
    assert found.video is not None
    assert found.audio is not None
    assert found.audio.media == b"\x21\x10\x05\x21\x10\x06\x21\x10\x07"


def test_silence_in_a_gap_s_place_has_no_pictures() -> None:
    found = read_segment(silent_segment(SECOND, SECOND), index=SegmentIndex(1), start=SECOND, duration=SECOND)
    assert (found.video, found.video_format) == (None, None)
    assert found.audio is not None
    assert found.audio.table.end <= START + 2 * 90_000


def test_a_segment_may_be_silent_without_a_frame_of_sound() -> None:
    assert read(video(keyframe(), START)).audio is None


@given(st.integers(0, 10 * 366 * 86_400))
def test_times_do_not_wrap_at_33_bits(seconds: int) -> None:
    start = timedelta(seconds=seconds)
    begin = START + seconds * 90_000
    found = read(video(keyframe(), begin), video(picture(), begin + 3000), start=start)
    assert found.video is not None
    assert found.video.table.decode_time == begin


def test_pictures_without_a_decoding_time_are_decoded_when_they_are_shown() -> None:
    found = read(video(keyframe(), START))
    assert found.video is not None
    assert list(found.video.table.composition_offsets) == [0]


def test_zeros_around_nal_units_belong_to_none() -> None:
    content = (
        b"\x00\x00" + access_unit(SEQUENCE_SET, PICTURE_SET + b"\x00\x00") + access_unit(b"\x65\x80\x00\x00")
    )
    found = read(video(content, START))
    assert found.video is not None
    assert found.video.media == b"\x00\x00\x00\x02\x65\x80"
    assert found.video_format == FORMAT


def test_parameter_sets_that_come_again_are_left_out_and_others_stay_and_are_said_to() -> None:
    again = video(keyframe(), START + 3000)
    other = video(access_unit(b"\x68\xee\x01", b"\x65\x80"), START + 6000)
    assert read(video(keyframe(), START), again).video_format == FORMAT
    found = read(video(keyframe(), START), again, other)
    assert found.video_format is not None
    assert found.video_format.in_band
    assert found.video_format.configuration == FORMAT.configuration
    assert found.video is not None
    assert found.video.media.endswith(b"\x00\x00\x00\x03\x68\xee\x01\x00\x00\x00\x02\x65\x80")


def test_filler_is_left_out() -> None:
    found = read(video(keyframe() + access_unit(b"\x0c\xff\xff\x80"), START))
    assert found.video is not None
    assert len(found.video.media) == 7


def test_a_last_picture_beyond_the_segment_s_end_lasts_a_moment() -> None:
    found = read(video(keyframe(), START), video(picture(), START + 95_000))
    assert found.video is not None
    assert found.video.table.durations[-1] == 1


CLOCK = bytes((0x47, 0x01, 0x00, 0x20, 183)).ljust(188, b"\xff")


def test_packets_with_a_clock_alone_hold_no_media() -> None:
    assert read(CLOCK, *WHOLE) == read(*WHOLE)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no whole packets"),
        (CLOCK + b"\x47", "no whole packets"),
        (bytes(188) * (MAX_SEGMENT_BYTES // 188 + 1), "too many"),
        (bytes(188), "broken"),
        (b"\x47\x81" + CLOCK[2:], "broken"),
        (b"\x47\x02" + CLOCK[2:], "no table, picture or sound"),
        (bytes((0x47, 1, 0, 0x10)).ljust(188, b"\xff"), "starts within"),
        (packets(VIDEO_PID, b"\x00\x00\x02" + bytes(30)), "header"),
        (packets(VIDEO_PID, b"\x00\x00\x01"), "header"),
        (packets(VIDEO_PID, b"\x00\x00\x01\xe0\x00\x00\x80\x00\x05" + bytes(5)), "no time"),
        (packets(VIDEO_PID, b"\x00\x00\x01\xe0\x00\x00\x80\x80\x04" + bytes(5)), "no time"),
        (packets(VIDEO_PID, b"\x00\x00\x01\xe0\x00\x00\x80\xc0\x05" + bytes(20)), "no time"),
        (packets(VIDEO_PID, b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + bytes(3)), "no time"),
        (video(keyframe(), START - 900_001), "outside its segment"),
        (video(keyframe(), START + 61 * 90_000), "outside its segment"),
        (video(keyframe(), START, START + 1), "before it is decoded"),
        (video(keyframe(), START) * 2, "not in order"),
        (video(b"", START), "start code"),
        (video(b"\x01" + keyframe(), START), "start code"),
        (video(access_unit(b"", b"\x65"), START), "empty NAL unit"),
        (video(access_unit(SEQUENCE_SET, PICTURE_SET), START), "a picture is empty"),
        (video(access_unit(PICTURE_SET, b"\x65\x80"), START), "no sequence parameter set"),
        (video(access_unit(SEQUENCE_SET, PICTURE_SET, b"\x41\x80"), START), "keyframe"),
        (sound(b"\xff\xf1\x4c", START), "not AAC-LC"),
        (sound(adts(b"abc").replace(b"\x4c", b"\x50"), START), "not AAC-LC"),
        (sound(adts(b""), START), "does not fit"),
        (sound(adts(b"abcd")[:-1], START), "does not fit"),
    ],
)
def test_what_our_encoder_would_not_write_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(InvalidMedia, match=reason):
        read(content)


@given(
    st.integers(0, len(b"".join(WHOLE)) // 188),
    st.lists(st.tuples(st.integers(0, 188 * len(WHOLE) - 1), st.integers(0, 255)), max_size=8),
)
def test_no_change_of_its_bytes_does_harm(first: int, changes: list[tuple[int, int]]) -> None:
    content = bytearray(b"".join(WHOLE)[188 * first :])
    for place, value in changes:
        if place < len(content):
            content[place] = value
    try:
        found = read(bytes(content))
    except InvalidMedia:
        return
    for samples in filter(None, (found.video, found.audio)):
        assert sum(samples.table.sizes) == len(samples.media)


@given(st.binary(max_size=700))
def test_no_bytes_do_harm(data: bytes) -> None:
    try:
        read(b"".join(b"\x47" + data[begin : begin + 187].ljust(187) for begin in range(0, len(data), 187)))
    except InvalidMedia:
        return
