from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from itertools import cycle, pairwise, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode import transport_stream
from ingest.encode.transport_stream import InvalidTransportStream, MediaSegment, SegmentCutter

CLOCK_START = timedelta(seconds=10)
GRID = SegmentGrid(frame_rate=Fraction(30000, 1001), segment_duration=timedelta(seconds=1))
VIDEO, AUDIO, TABLES, MAP, DESCRIPTION = 0x100, 0x101, 0x0, 0x1000, 0x11


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What one PES packet or table becomes: transport packets of one PID, the first of which begins it."""

    pid: int
    packets: bytes


def timestamp(mark: int, ticks: int) -> bytes:
    ticks %= 2**33
    return bytes((
        mark << 4 | ticks >> 29 & 0x0E | 1,
        ticks >> 22 & 0xFF,
        ticks >> 14 & 0xFE | 1,
        ticks >> 7 & 0xFF,
        ticks << 1 & 0xFE | 1,
    ))  # fmt: skip


def packets(pid: int, payload: bytes, adaptation: bytes = b"") -> bytes:
    """*payload* in as many packets as it takes; all but the first are filled up with a single payload."""
    result = b""
    start = 0x40
    while payload:
        room = 184 - (len(adaptation) + 1 if adaptation else 0)
        taken, payload = payload[:room], payload[room:]
        stuffing = room - len(taken)
        if stuffing and not adaptation:
            adaptation, stuffing = b"\x00", max(0, stuffing - 2)
        field = adaptation + b"\xff" * stuffing
        control = 0x30 if field else 0x10
        header = bytes((0x47, start | pid >> 8, pid & 0xFF, control))
        body = (bytes((len(field),)) + field if field else b"") + taken
        result += header + body[:184].ljust(184, b"\xff")
        start, adaptation = 0, b""
    return result


def pes(ticks: int, decode: int | None = None, *, size: int = 30) -> bytes:
    times = timestamp(3, ticks) + timestamp(1, decode) if decode is not None else timestamp(2, ticks)
    flags = 0xC0 if decode is not None else 0x80
    return b"\x00\x00\x01\xe0\x00\x00\x80" + bytes((flags, len(times))) + times + bytes(size)


def ticks_of(frame: int, grid: SegmentGrid = GRID) -> int:
    return 900_000 + round(frame * 90_000 / grid.frame_rate)


def picture(
    frame: int, *, keyframe: bool = False, delay: int = 2, size: int = 300, grid: SegmentGrid = GRID
) -> list[Unit]:
    tables = [Unit(pid=pid, packets=packets(pid, b"\0table")) for pid in (TABLES, MAP)] if keyframe else []
    payload = pes(ticks_of(frame, grid), ticks_of(frame - delay, grid), size=size)
    return [*tables, Unit(pid=VIDEO, packets=packets(VIDEO, payload, b"\x50" if keyframe else b"\x10"))]


def sound(ticks: int) -> Unit:
    return Unit(pid=AUDIO, packets=packets(AUDIO, pes(ticks, size=200)))


def stream(
    frames: Sequence[int],
    *,
    audio_from: int = -1,
    delay: int = 2,
    ahead: int = 0,
    sizes: Sequence[int] = (300,),
    grid: SegmentGrid = GRID,
) -> list[Unit]:
    """*frames* by decode time, and sound every 1920 ticks, which is a frame of it, from *audio_from* on.

    Sound comes *ahead* ticks earlier than its decode time says; pictures have *sizes*, one after the other.
    """
    indexes = range(grid.index_of_frame(frames[0]), grid.index_of_frame(frames[-1]) + 1)
    keyframes = {grid.first_frame(SegmentIndex(index)) for index in indexes}
    last = ticks_of(frames[-1], grid)
    units = [
        (
            ticks_of(frame - delay, grid),
            0,
            picture(frame, keyframe=frame in keyframes, delay=delay, size=size, grid=grid),
        )
        for frame, size in zip(frames, cycle(sizes), strict=False)
    ]
    first_audio = 900_000 + audio_from * 1920
    units += [(ticks - ahead, 1, [sound(ticks)]) for ticks in range(first_audio, last + 2000, 1920)]
    # Program tables stand at the beginning too, before anything else.
    tables = [Unit(pid=pid, packets=packets(pid, b"\0table")) for pid in (DESCRIPTION, TABLES, MAP)]
    return tables + [unit for _, _, group in sorted(units, key=lambda unit: unit[:2]) for unit in group]


def cutter(first: int = 0, grid: SegmentGrid = GRID, *, prompt: bool = True) -> SegmentCutter:
    return SegmentCutter(grid, first=SegmentIndex(first), clock_start=CLOCK_START, prompt=prompt)


def data_of(units: Sequence[Unit]) -> bytes:
    return b"".join(unit.packets for unit in units)


def cut(
    data: bytes,
    *,
    first: int = 0,
    sizes: Iterable[int] | None = None,
    grid: SegmentGrid = GRID,
    prompt: bool = True,
) -> list[MediaSegment]:
    """All segments of *data*, which is handed over in pieces of *sizes*, over and over."""
    one = cutter(first, grid, prompt=prompt)
    pieces = cycle(sizes) if sizes else repeat(len(data))
    segments: list[MediaSegment] = []
    rest = data
    while rest:
        size = next(pieces)
        segments += one.feed(rest[:size])
        rest = rest[size:]
    last = one.finish()
    return segments + ([last] if last else [])


def times(data: bytes, pid: int) -> list[int]:
    """The presentation times of the units of *pid* in *data*."""
    found = []
    for offset in range(0, len(data), 188):
        packet = data[offset : offset + 188]
        if packet[1] & 0x40 and (packet[1] & 0x1F) << 8 | packet[2] == pid:
            start = (5 + packet[4] if packet[3] & 0x20 else 4) + 9
            field = int.from_bytes(packet[start : start + 5])
            found.append((field >> 33 & 7) << 30 | (field >> 17 & 0x7FFF) << 15 | field >> 1 & 0x7FFF)
    return found


@pytest.mark.parametrize("ahead", [0, 3003])
def test_segments_start_with_tables_and_a_keyframe_and_hold_every_picture(ahead: int) -> None:
    """Sound that came before they did stands behind the keyframe."""
    segments = cut(data_of(stream(range(75), ahead=ahead)))
    assert [segment.index for segment in segments] == [0, 1, 2]
    assert [segment.start for segment in segments] == [GRID.start(SegmentIndex(index)) for index in range(3)]
    assert [len(times(segment.data, VIDEO)) for segment in segments] == [30, 30, 15]
    for segment in segments[1:]:
        beginnings = [segment.data[offset : offset + 3] for offset in (0, 188, 376)]
        assert beginnings == [b"G\x40\x00", b"G\x50\x00", b"G\x41\x00"]
        assert segment.data[376 + 188 : 376 + 191] == b"G\x01\x00"


def test_durations_follow_the_grid_and_the_last_one_is_as_long_as_its_pictures() -> None:
    segments = cut(data_of(stream(range(75))))
    for before, after in pairwise(segments):
        assert before.start + before.duration == after.start
    assert segments[-1].start + segments[-1].duration == GRID.time_of_frame(75)


RATES = [*(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)), *(Fraction(rate) for rate in (10, 25, 60))]


@given(
    rate=st.sampled_from(RATES),
    delay=st.integers(min_value=0, max_value=3),
    ahead=st.integers(min_value=0, max_value=20_000),
)
def test_a_segment_holds_the_sound_from_its_keyframe_s_decode_time_to_the_next_one_s(
    rate: Fraction, delay: int, ahead: int
) -> None:
    """However far ahead of the pictures it comes, and whatever the clock's ticks make of the frame rate."""
    grid = SegmentGrid(frame_rate=rate, segment_duration=timedelta(seconds=1))
    frames = range(grid.first_frame(SegmentIndex(2)) + 2)
    segments = cut(data_of(stream(frames, delay=delay, ahead=ahead, grid=grid)), grid=grid)
    decoded = [grid.first_frame(SegmentIndex(index)) - delay for index in (1, 2)]
    boundaries = [Fraction(900_000), *(900_000 + frame * 90_000 / rate for frame in decoded)]
    for segment, (start, end) in zip(segments, pairwise(boundaries), strict=False):
        expected = [ticks for ticks in range(900_000, 1_200_000, 1920) if start <= ticks < end]
        assert times(segment.data, AUDIO) == expected


def through_last_picture(units: Sequence[Unit]) -> int:
    """How many of *units* it takes to have all pictures."""
    return max(number for number, unit in enumerate(units) if unit.pid == VIDEO) + 1


def test_a_segment_is_complete_with_the_last_packet_of_its_last_picture() -> None:
    one = cutter()
    units = stream(range(30), ahead=3003)
    data = data_of(units[: through_last_picture(units)])
    assert list(one.feed(data[:-188])) == []
    (segment,) = one.feed(data[-188:])
    assert len(times(segment.data, VIDEO)) == 30
    assert one.finish() is None


def test_a_picture_that_fills_its_last_packet_is_complete_when_another_unit_begins() -> None:
    one = cutter()
    filling = 182 + 184 - len(pes(0, 0, size=0))
    units = stream(range(30), ahead=3003, sizes=[filling])
    count = through_last_picture(units)
    assert list(one.feed(data_of(units[:count]))) == []
    assert [segment.index for segment in one.feed(units[count].packets)] == [0]


def test_a_segment_waits_for_its_sound() -> None:
    one = cutter()
    units = [unit for unit in stream(range(30)) if unit.pid != AUDIO]
    assert list(one.feed(data_of(units))) == []
    *sounds, last = (sound(ticks) for ticks in range(900_000, ticks_of(28), 1920))
    assert list(one.feed(data_of(sounds))) == []
    (segment,) = one.feed(last.packets)
    assert len(times(segment.data, AUDIO)) == len(sounds) + 1


def test_a_segment_that_lacks_a_picture_ends_where_the_next_one_begins() -> None:
    """A copied source can leave frames out."""
    units = stream([*range(12), *range(13, 40)])
    segments = cut(data_of(units))
    assert [len(times(segment.data, VIDEO)) for segment in segments] == [29, 10]


@given(
    rate=st.sampled_from(RATES),
    delay=st.integers(min_value=0, max_value=3),
    ahead=st.integers(min_value=0, max_value=20_000),
    sizes=st.lists(st.integers(min_value=1, max_value=600), min_size=1, max_size=8),
    pieces=st.lists(st.integers(min_value=100, max_value=5000), min_size=1, max_size=8),
)
def test_a_segment_is_the_same_whether_or_not_it_waits_for_the_next_one(
    rate: Fraction, delay: int, ahead: int, sizes: list[int], pieces: list[int]
) -> None:
    grid = SegmentGrid(frame_rate=rate, segment_duration=timedelta(seconds=1))
    frames = range(grid.first_frame(SegmentIndex(1)) + 2)
    data = data_of(stream(frames, delay=delay, ahead=ahead, sizes=sizes, grid=grid))
    late = cut(data, grid=grid, prompt=False)
    assert [segment.index for segment in late] == [0, 1]
    assert cut(data, sizes=pieces, grid=grid) == late


def test_the_last_segment_keeps_the_sound_that_goes_with_its_last_pictures() -> None:
    """The next segment, in which it lies by decode time, does not come."""
    data = data_of(stream(range(60), ahead=3003))
    one = cutter()
    segments = list(one.feed(data[: len(data) // 2]))
    one.expect_end()
    segments += one.feed(data[len(data) // 2 :])
    last = one.finish()
    assert last is not None
    assert [segment.index for segment in (*segments, last)] == [0, 1]
    assert times(last.data, AUDIO)[-1] > ticks_of(59) - 1920
    assert one.finish() is None


def test_the_last_segment_has_its_sound_once_where_the_stream_ends_with_its_keyframe() -> None:
    units = stream(range(31), ahead=20_000)
    last = max(number for number, unit in enumerate(units) if unit.pid == VIDEO)
    heard = times(data_of(units[: last + 1]), AUDIO)
    segments = cut(data_of(units[: last + 1]))
    assert [len(times(segment.data, VIDEO)) for segment in segments] == [30, 1]
    assert [time for segment in segments for time in times(segment.data, AUDIO)] == heard[1:]
    assert times(segments[1].data, AUDIO)


def test_the_encoder_s_priming_before_the_session_s_beginning_is_dropped() -> None:
    (segment,) = cut(data_of(stream(range(10), audio_from=-1)))
    assert times(segment.data, AUDIO)[0] == 900_000


def test_a_replacement_s_first_segment_follows_the_one_before_without_hole_or_overlap() -> None:
    """The replacement begins with sound from before its first segment, which the one before has."""
    whole = cut(data_of(stream(range(100))))
    replacement = cut(data_of(stream(range(60, 100), audio_from=80)), first=2)
    assert [segment.index for segment in replacement] == [2, 3]
    for old, new in zip(whole[2:], replacement, strict=True):
        assert (old.start, old.duration) == (new.start, new.duration)
        assert times(old.data, AUDIO) == times(new.data, AUDIO)
        assert times(old.data, VIDEO) == times(new.data, VIDEO)


FORTY_FRAMES = data_of(stream(range(40))), cut(data_of(stream(range(40))))


@given(st.lists(st.integers(min_value=1, max_value=5000), min_size=1))
def test_any_split_of_the_bytes_gives_the_same_segments(sizes: list[int]) -> None:
    data, whole = FORTY_FRAMES
    assert cut(data, sizes=sizes) == whole


@pytest.mark.parametrize("hours", [26, 27, 24 * 30])
def test_the_wrap_of_timestamps_after_26_5_hours_is_nothing_special(hours: int) -> None:
    index = SegmentIndex(hours * 3600)
    first = GRID.first_frame(index)
    wrap = GRID.first_frame(SegmentIndex(2**33 // 90_000 - 11))
    for start in (first, wrap):
        keyframes = stream_from(start, 70)
        segments = cut(data_of(keyframes), first=GRID.index_of_frame(start))
        assert [segment.index - GRID.index_of_frame(start) for segment in segments] == [0, 1, 2]


def stream_from(first: int, count: int) -> list[Unit]:
    units: list[Unit] = []
    for frame in range(first, first + count):
        keyframe = GRID.first_frame(GRID.index_of_frame(frame)) == frame
        units += [*picture(frame, keyframe=keyframe), sound(ticks_of(frame - 2))]
    return units


def test_frames_out_of_order_count_by_their_highest_number() -> None:
    units = [*picture(0, keyframe=True), *picture(3), *picture(1), *picture(2)]
    one = cutter()
    assert list(one.feed(data_of(units))) == []
    assert one.last_frame == 3
    last = one.finish()
    assert last is not None
    assert last.duration == GRID.time_of_frame(4)


def test_a_picture_with_a_presentation_time_alone_is_decoded_when_it_is_shown() -> None:
    keyframe = picture(0, keyframe=True)
    keyframe[-1] = Unit(pid=VIDEO, packets=packets(VIDEO, pes(ticks_of(0)), b"\x50"))
    (segment,) = cut(data_of([*keyframe, sound(899_000), sound(900_920)]))
    assert times(segment.data, AUDIO) == [900_920]


def test_a_keyframe_within_a_segment_cuts_nothing() -> None:
    units = [*stream(range(12)), *picture(12, keyframe=True), *picture(13), *stream_from(30, 1)]
    segments = cut(data_of(units))
    assert [(segment.index, len(times(segment.data, VIDEO))) for segment in segments] == [(0, 14), (1, 1)]


def test_what_a_copied_source_has_before_the_first_segment_is_dropped() -> None:
    units = [*stream_from(0, 15), *picture(15, keyframe=True), sound(ticks_of(13)), *stream_from(16, 54)]
    copied = cut(data_of(units), first=1)
    assert copied == cut(data_of(stream_from(30, 40)), first=1)
    assert [segment.index for segment in copied] == [1, 2]


@pytest.mark.parametrize(
    "units",
    [
        [*stream(range(30)), *picture(30)],
        [*stream(range(30)), picture(30, keyframe=True)[-1]],
        [*stream(range(30)), *picture(31), *picture(30, keyframe=True)],
        [*stream_from(30, 1), *picture(29)],
        [*stream(range(30)), *picture(31, keyframe=True)],
    ],
    ids=[
        *("no keyframe at the boundary", "no tables before it", "a picture that is shown after the boundary"),
        *("a picture that is shown before the boundary", "a keyframe after the boundary"),
    ],
)
def test_a_picture_on_the_wrong_side_of_a_boundary_is_refused(units: list[Unit]) -> None:
    with pytest.raises(InvalidTransportStream):
        cut(data_of(units))


def test_nothing_in_gives_nothing_out() -> None:
    assert cut(b"") == []
    assert cutter().is_empty
    assert cut(data_of(stream(range(1))[:3])) == []


@pytest.mark.parametrize(
    "data",
    [
        bytes(188),
        data_of([*picture(0, keyframe=True), *picture(31, keyframe=True)]),
        data_of([*picture(30, keyframe=True), *picture(0, keyframe=True)]),
        packets(VIDEO, b"\x00\x00\x02\xe0" + bytes(40)),
        packets(VIDEO, b"\x00\x00\x01\xe0\x00\x00\x80\x00\x00" + bytes(40)),
        packets(VIDEO, pes(900_000)[:8], b"\x10" + bytes(175)),
        packets(0x102, pes(900_000)),
    ],
    ids=[
        *("no sync byte", "off the grid", "backwards", "no start code", "no time"),
        *("a header that is cut short", "another track"),
    ],
)
def test_what_ffmpeg_would_not_write_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidTransportStream):
        cut(data)


def test_sound_without_end_and_without_pictures_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_stream, "MAX_SEGMENT_BYTES", 188 * 40)
    with pytest.raises(InvalidTransportStream, match="larger"):
        cut(data_of([sound(900_000 + 1920 * number) for number in range(30)]))


def test_a_segment_above_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_stream, "MAX_SEGMENT_BYTES", 188 * 40)
    with pytest.raises(InvalidTransportStream, match="larger"):
        cut(data_of(stream(range(30))))
