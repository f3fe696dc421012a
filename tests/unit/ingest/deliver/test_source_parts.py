"""A feed is cut into parts that hold each frame once, in its order and at its time."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.opus import silent_packet
from bucketcast.recording.audio_format import AudioCoding
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.movie import write_movie
from bucketcast.recording.part import write_part
from bucketcast.recording.samples import SYNC_SAMPLE, SegmentSamples
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex
from ingest.deliver.source_parts import (
    FRAME_OVERHEAD,
    WITHOUT_PICTURES,
    SourceClock,
    SourceCutter,
    SourceFormat,
    SourcePart,
    source_format,
)
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from unit.bucketcast.recording.made_segments import CLOCK_START, FORMAT, head_of, piece, read_movie

SECOND = timedelta(seconds=1)
ORIGIN = timedelta(hours=3)
GRID = SegmentGrid(frame_rate=Fraction(30), segment_duration=2 * SECOND)
CLOCK = SourceClock(origin=ORIGIN, grid=GRID)
VIDEO = CodecConfiguration(codec=VideoCodec.H264, data=FORMAT.configuration)
MONO = CodecConfiguration(codec=AudioCodec.AAC, data=b"\x12\x08")  # 44.1 kHz
OPUS = CodecConfiguration(codec=AudioCodec.OPUS, data=b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00")
SOURCE = source_format([VIDEO, MONO], adaptive=False)


def picture(at: float, *, keyframe: bool = False, decoded: float | None = None) -> EncodedFrame:
    shown = ORIGIN + timedelta(seconds=at)
    return EncodedFrame(
        track=Track.VIDEO,
        decode_time=shown if decoded is None else ORIGIN + timedelta(seconds=decoded),
        presentation_time=shown,
        keyframe=keyframe,
        data=f"picture {at:.3f}".encode(),
    )


def sound(at: float, data: bytes | None = None) -> EncodedFrame:
    time = ORIGIN + timedelta(seconds=at)
    return EncodedFrame(
        track=Track.AUDIO,
        decode_time=time,
        presentation_time=time,
        keyframe=True,
        data=f"sound {at:.3f}".encode() if data is None else data,
    )


def cut(frames: Sequence[EncodedFrame], *, last: int = 0, per_part: int = 5) -> list[SourcePart]:
    cutter = SourceCutter(CLOCK, per_part=per_part)
    parts = [cutter.add(frame) for frame in frames] + [cutter.finish(SegmentIndex(last))]
    return [part for part in parts if part is not None]


def ranges(parts: Sequence[SourcePart]) -> list[tuple[int, int]]:
    return [(part.first, part.last) for part in parts]


def segments(part: SourcePart, source: SourceFormat = SOURCE) -> list[SegmentSamples]:
    return list(part.samples(source))


def test_parts_begin_with_the_first_keyframe_in_another_ten_seconds() -> None:
    frames = [picture(at, keyframe=at % 4 == 0) for at in range(1, 30)]
    parts = cut(frames)
    # From the first keyframe on, at 4 s. The others are 4 s apart: none is at 10 s, one is at 20.
    assert ranges(parts) == [(2, 5), (6, 9), (10, 14)]
    assert [part.frames[0].keyframe for part in parts] == [True] * 3


def test_the_last_part_reaches_as_far_as_the_segments() -> None:
    frames = [picture(at, keyframe=at == 0) for at in range(4)]
    assert ranges(cut(frames)) == [(0, 1)]
    assert ranges(cut(frames, last=2)) == [(0, 2)]


def test_sound_alone_ends_a_part_once_the_pictures_are_gone_for_long() -> None:
    """A muted camera: what was heard is not held back for its next keyframe."""
    lasting = WITHOUT_PICTURES.total_seconds()
    frames = [picture(0, keyframe=True), *(sound(at) for at in range(30)), picture(30)]
    parts = cut(frames)
    assert ranges(parts)[0] == (0, 4)
    assert parts[1].frames[0] == sound(lasting)
    assert parts[-1].frames[-1] == picture(30)
    assert [len(segments(part)) for part in parts] == [last - first + 1 for first, last in ranges(parts)]


def test_nothing_is_a_part_before_the_first_keyframe_but_the_sound_goes_along() -> None:
    assert cut([sound(0), picture(0.1)]) == []
    (part,) = cut([sound(-0.1), picture(0), picture(0.1, keyframe=True)])
    assert [frame.data for frame in part.frames] == [b"sound -0.100", b"picture 0.100"]


def test_what_is_given_up_is_not_in_any_part() -> None:
    cutter = SourceCutter(CLOCK, per_part=5)
    assert cutter.discard() is None
    for frame in (picture(4, keyframe=True), picture(5)):
        cutter.add(frame)
    assert cutter.open_bytes == 2 * (FRAME_OVERHEAD + len(b"picture 4.000"))
    assert cutter.discard() == 2
    for frame in (picture(6), picture(8, keyframe=True)):
        cutter.add(frame)
    part = cutter.finish(SegmentIndex(0))
    assert part is not None
    assert (part.first, part.frames) == (4, [picture(8, keyframe=True)])


def test_a_session_that_continues_another_begins_with_the_keyframe_that_it_needs() -> None:
    (part,) = cut([picture(-3, keyframe=True), picture(-1), picture(1)])
    (segment,) = segments(part)
    assert segment.video is not None
    assert segment.video.table.decode_time == CLOCK_START - 3 * 90_000
    assert len(segment.video.table) == 3


def test_what_is_before_all_clocks_is_refused() -> None:
    (part,) = cut([picture(-11, keyframe=True)])
    with pytest.raises(InvalidMedia, match="before its session's clock"):
        segments(part)


def test_pictures_of_one_time_follow_each_other() -> None:
    (part,) = cut([picture(0, keyframe=True), picture(0), picture(0.001)])
    (segment,) = segments(part)
    assert segment.video is not None
    assert list(segment.video.table.durations) == [1, 89, 89]


@st.composite
def feeds(draw: st.DrawFn) -> list[EncodedFrame]:
    """Groups of any length, at any rate, out of order or not, with sound that is early or late."""
    rate = draw(st.sampled_from([5, 24, 30]))
    reorder = draw(st.booleans())
    pictures: list[EncodedFrame] = []
    for length in draw(st.lists(st.integers(1, 8 * rate), min_size=1, max_size=6)):
        base = len(pictures)
        shown = list(range(base, base + length))
        if reorder:
            for place in range(1, length - 1, 2):
                shown[place], shown[place + 1] = shown[place + 1], shown[place]
        pictures += [
            picture(
                round(number / rate, 3),
                keyframe=place == 0,
                decoded=round((base + place - reorder) / rate, 3),
            )
            for place, number in enumerate(shown)
        ]
    late = draw(st.floats(-0.3, 0.3))
    count = int(len(pictures) / rate * 44_100 / 1024)
    sounds = [sound(round(number * 1024 / 44_100, 3)) for number in range(count)]
    return sorted(
        pictures + sounds,
        key=lambda one: one.decode_time.total_seconds() + (late if one.track is Track.AUDIO else 0),
    )


@given(feeds(), st.integers(1, 5))
def test_every_frame_is_shown_once_in_its_order_and_at_its_time(
    frames: list[EncodedFrame], per_part: int
) -> None:
    parts = cut(frames, per_part=per_part)
    bounds = ranges(parts)
    assert [first for first, _ in bounds[1:]] == [last + 1 for _, last in bounds[:-1]]
    written = [write_part(segments(part)) for part in parts]
    movie = write_movie(piece(part) for part in written)
    tracks = read_movie(b"".join((*movie.header, *(part.content for part in written))))
    pictures = [frame for frame in frames if frame.track is Track.VIDEO]
    begin = next(number for number, frame in enumerate(pictures) if frame.keyframe)
    shown = tracks["vide"].samples
    assert [one.media for one in shown] == [frame.data for frame in pictures]
    assert [one.sync for one in shown] == [frame.keyframe for frame in pictures]
    base = pictures[begin].presentation_time
    for one, frame in zip(shown, pictures, strict=True):
        # A thousandth of a second, which is what RTMP tells times in, is 90 ticks.
        assert abs(one.shown - (frame.presentation_time - base) / SECOND * 90_000) <= 90
    heard = {
        one.media: place
        for place, one in enumerate(tracks["soun"].samples if "soun" in tracks else ())
        if one.media.startswith(b"sound")
    }
    for frame in frames:
        at = (frame.presentation_time - base) / SECOND * 44_100 / 1024
        if frame.track is Track.AUDIO:
            assert abs(heard[frame.data] - at) <= 0.6


@st.composite
def uneven_feeds(draw: st.DrawFn) -> list[EncodedFrame]:
    """Clocks that stand still, are set back by seconds and leap; pictures that are shown at any time."""
    frames: list[EncodedFrame] = []
    at = 0.0
    for number in range(draw(st.integers(1, 60))):
        at = max(0.0, at + draw(st.sampled_from([0.3, 0.3, 0.3, 0.0, 0.001, -0.2, -9.0, 5.0])))
        shown = at + draw(st.sampled_from([0.0, 0.0, 0.0, 0.1, -0.1, 61.0]))
        frames.append(picture(round(shown, 3), keyframe=number % 7 == 0, decoded=round(at, 3)))
    return frames


@given(uneven_feeds())
def test_whatever_a_sender_s_clock_does_parts_that_can_be_made_go_into_one_movie(
    frames: list[EncodedFrame],
) -> None:
    written = []
    for part in cut(frames, per_part=1):
        with suppress(InvalidMedia):  # made of what viewers got, then
            written.append(write_part(segments(part, SourceFormat(video=FORMAT, audio=None))))
    if written:
        assert write_movie(piece(part) for part in written).frames <= len(frames)


@pytest.mark.parametrize("times", [[0, 0, 46, 46, 93, 93, 139, 139], [20, 3, 66, 50, 113, 96, 159, 143]])
def test_sound_whose_times_are_uneven_is_all_heard(times: list[int]) -> None:
    """Two frames at a time, or each by turns 20 ms early and late."""
    sounds = [sound(time / 1000) for time in times]
    written = write_part(segments(cut([picture(0, keyframe=True), *sounds])[0]))
    movie = write_movie([piece(written)])
    heard = [one.media for one in read_movie(b"".join((*movie.header, written.content)))["soun"].samples]
    begin = heard.index(sounds[0].data)
    assert heard[begin:] == [frame.data for frame in sounds]


def test_a_pause_in_sound_that_is_uneven_is_silent() -> None:
    sounds = [sound(time) for time in (0, 0.03, 0.046, 1.0, 1.023)]
    written = write_part(segments(cut([picture(0, keyframe=True), *sounds])[0]))
    movie = write_movie([piece(written)])
    heard = [one.media for one in read_movie(b"".join((*movie.header, written.content)))["soun"].samples]
    assert heard.index(b"sound 1.000") == round(44_100 / 1024)


def test_what_is_not_recorded_is_the_other_tracks_alone() -> None:
    """A source whose sound is not to be recorded has its pictures recorded."""
    (part,) = cut([picture(0, keyframe=True), sound(0)])
    (segment,) = segments(part, SourceFormat(video=FORMAT, audio=None))
    assert segment.audio is None
    assert segment.video is not None
    assert list(segment.video.table.flags) == [SYNC_SAMPLE]


def test_sound_in_other_packets_than_of_20_ms_is_refused() -> None:
    source = source_format([VIDEO, OPUS], adaptive=True)
    (part,) = cut([picture(0, keyframe=True), sound(0, silent_packet(2)), sound(0.02, silent_packet(2, 10))])
    with pytest.raises(InvalidMedia, match="20 ms"):
        segments(part, source)
    whole = replace(part, frames=part.frames[:2])
    assert head_of(write_part(segments(whole, source))).audio_format == source.audio


def test_the_format_is_what_the_feed_says() -> None:
    assert SOURCE.video == FORMAT
    assert SOURCE.audio is not None
    assert (SOURCE.audio.coding, SOURCE.audio.sample_rate, SOURCE.audio.channels) == (
        AudioCoding.AAC,
        44_100,
        1,
    )
    adaptive = source_format([VIDEO, OPUS], adaptive=True)
    assert adaptive.video.in_band
    assert adaptive.audio is not None
    assert adaptive.audio.coding is AudioCoding.OPUS
    assert source_format([VIDEO], adaptive=False).audio is None
    # A session that continues another begins with the silence that was put in there.
    assert source_format([VIDEO, MONO, sound(0)], adaptive=False, has_sound=False).audio is None


@pytest.mark.parametrize(
    "items",
    [
        [],
        [MONO],
        [CodecConfiguration(codec=VideoCodec.VP8, data=bytes(10))],
        [VIDEO, CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("2b118800"))],
        [VIDEO, OPUS, sound(0, silent_packet(2, 10))],
    ],
    ids=["nothing", "sound alone", "VP8", "HE-AAC", "Opus in packets of 10 ms"],
)
def test_what_a_recording_has_no_room_for_is_refused(items: list[FeedItem]) -> None:
    with pytest.raises(InvalidMedia):
        source_format(items, adaptive=False)
