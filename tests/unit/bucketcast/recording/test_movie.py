"""A movie shows every sample of what it is made of once, in order and in time."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.recording.audio_format import ENCODED_SOUND, aac_format
from bucketcast.recording.boxes import LARGE_HEADER_BYTES
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.movie import Movie, write_movie
from bucketcast.recording.movie_tracks import SILENCE_BYTES, SILENT_FRAMES, Pause
from bucketcast.recording.part import Part, write_part
from bucketcast.recording.part_head import PartHead, PlacedSamples
from bucketcast.recording.samples import AUDIO_FRAME_TICKS, Samples, SampleTable, SegmentSamples
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber
from bucketcast.stream.silence import silent_segment
from unit.bucketcast.recording.made_segments import (
    FORMAT,
    ReadSample,
    ReadTrack,
    Source,
    piece,
    read_movie,
    samples,
)

SILENT_FRAME = ENCODED_SOUND.silence


@dataclass(frozen=True, slots=True)
class Session:
    """A session of *source*, of which *segments* are there."""

    source: Source
    segments: tuple[int, ...]

    @property
    def parts(self) -> list[Part]:
        """Parts of up to three segments."""
        last = self.segments[-1]
        return [
            write_part([self.source.segment(index, last=index == last) for index in run])
            for run in _runs(self.segments)
        ]


@st.composite
def sessions(draw: st.DrawFn, number: int) -> Session:
    source = Source(
        session=SessionNumber(number),
        ticks=draw(st.sampled_from([1500, 3000, 3003, 3753])),
        pictures=draw(st.integers(1, 20)),
        delay=draw(st.integers(0, 3)),
        overhang=draw(st.integers(0, 5)),
    )
    index = draw(st.integers(0, 5))
    indexes: list[int] = []
    for _ in range(draw(st.integers(1, 3))):
        length = draw(st.integers(1, 3))
        indexes += range(index, index + length)
        index += length + draw(st.integers(0, 2))
    return Session(source, tuple(indexes))


def _runs(indexes: Sequence[int]) -> list[list[int]]:
    runs = [[indexes[0]]]
    for earlier, later in pairwise(indexes):
        if later == earlier + 1 and len(runs[-1]) < 3:
            runs[-1].append(later)
        else:
            runs.append([later])
    return runs


recordings = st.integers(1, 4).flatmap(lambda count: st.tuples(*(sessions(n) for n in range(1, count + 1))))


def make(recording: Sequence[Session]) -> tuple[Movie, bytes]:
    movie = write_movie(piece(part, session.source.session) for session in recording for part in session.parts)
    content = b"".join((*movie.header, *(part.content for session in recording for part in session.parts)))
    assert sum(map(len, movie.header)) == movie.header_bytes
    assert len(content) == movie.size
    return movie, content


def split(media: bytes, sizes: Sequence[int]) -> list[bytes]:
    found = []
    for size in sizes:
        found.append(media[:size])
        media = media[size:]
    return found


@given(recordings)
def test_every_picture_is_there_once_in_order_and_its_distances_are_kept(recording: Sequence[Session]) -> None:
    movie, content = make(recording)
    shown = list(read_movie(content)["vide"].samples)
    assert movie.frames == len(shown)
    end = 0
    for session in recording:
        segments = [session.source.segment(index) for index in session.segments]
        first = segments[0].video
        assert first is not None
        base = shown[0].shown
        # A session begins when the one before has ended, or as much later as its sound lasts.
        assert end <= base <= end + 5 * AUDIO_FRAME_TICKS + 4 * session.source.ticks
        for segment in segments:
            assert segment.video is not None
            table = segment.video.table
            times = [table.decode_time + sum(table.durations[:n]) for n in range(len(table))]
            expected = [
                (base + time + offset - session.source.start(segments[0].index), number == 0, media)
                for number, (time, offset, media) in enumerate(
                    zip(times, table.composition_offsets, split(segment.video.media, table.sizes), strict=True)
                )
            ]
            found, shown = shown[: len(table)], shown[len(table) :]
            assert [(one.shown, one.sync, one.media) for one in found] == expected
        end = base + session.source.start(session.segments[-1] + 1) - session.source.start(segments[0].index)
    assert not shown


@given(recordings)
def test_sound_and_pictures_are_never_more_than_half_a_frame_apart(recording: Sequence[Session]) -> None:
    _, content = make(recording)
    tracks = read_movie(content)
    heard = tracks["soun"].samples if "soun" in tracks else ()
    places = {one.media: number for number, one in enumerate(heard) if one.media != SILENT_FRAME}
    assert {one.duration for one in heard} <= {1024}
    bases = [one for one in tracks["vide"].samples if one.sync]
    for session in recording:
        base = bases[0].shown
        bases = bases[len(session.segments) :]
        begin = session.source.start(session.segments[0])
        for index in session.segments:
            segment = session.source.segment(index, last=index == session.segments[-1])
            assert segment.audio is not None
            table = segment.audio.table
            for number, media in enumerate(split(segment.audio.media, table.sizes)):
                time = base + table.decode_time + number * AUDIO_FRAME_TICKS - begin
                if media in places:
                    distance = places.pop(media) * AUDIO_FRAME_TICKS - time
                    assert -AUDIO_FRAME_TICKS / 2 <= distance <= AUDIO_FRAME_TICKS / 2
                else:
                    # Only what a session has before its first picture can find its place taken.
                    assert time < base + AUDIO_FRAME_TICKS / 2
    assert not places


@given(recordings)
def test_durations_add_up(recording: Sequence[Session]) -> None:
    movie, content = make(recording)
    tracks = read_movie(content)
    rates = {"vide": 90_000, "soun": 48_000}
    for name, track in tracks.items():
        rate = rates[name]
        assert track.duration == sum(one.duration for one in track.samples)
        assert track.movie_duration * rate == track.duration * 90_000
    longest = max(track.movie_duration for track in tracks.values())
    assert abs(movie.duration - timedelta(seconds=longest / 90_000)) <= timedelta(microseconds=1)
    assert all(one.shown >= 0 for one in tracks["vide"].samples)
    assert tracks["vide"].samples[0].shown == 0


@given(recordings)
def test_pauses_are_what_is_missing_within_sessions(recording: Sequence[Session]) -> None:
    movie, _ = make(recording)
    lengths = [
        (later - earlier - 1) * session.source.pictures * session.source.ticks / 90_000
        for session in recording
        for earlier, later in pairwise(session.segments)
    ]
    assert movie.sessions == tuple(session.source.session for session in recording)
    # What is shorter than a segment ever is, is not told.
    assert [pause.duration.total_seconds() for pause in movie.pauses] == pytest.approx(
        [length for length in lengths if length >= 0.25], abs=1e-5
    )


def of(session: Source, *indexes: int) -> Part:
    return write_part([session.segment(index) for index in indexes])


def movie_of(*pieces_and_parts: tuple[Part, int]) -> dict[str, ReadTrack]:
    movie = write_movie(piece(part, session) for part, session in pieces_and_parts)
    return read_movie(b"".join((*movie.header, *(part.content for part, _ in pieces_and_parts))))


FIRST, SECOND = Source(), Source(session=SessionNumber(2))


def test_of_a_part_only_what_is_asked_for_is_shown() -> None:
    parts = of(FIRST, 0, 1, 2), of(FIRST, 1, 2, 3)
    movie = write_movie([piece(parts[0]), piece(parts[1], first=3)])
    tracks = read_movie(b"".join((*movie.header, *(part.content for part in parts))))
    segments = [int.from_bytes(one.media[2:6]) for one in tracks["vide"].samples if one.sync]
    assert segments == [0, 1, 2, 3]
    assert SILENT_FRAME not in {one.media for one in tracks["soun"].samples}


def test_a_gap_in_a_part_is_a_pause_in_silence() -> None:
    second = timedelta(seconds=1)
    silent = read_segment(silent_segment(second, second), index=SegmentIndex(1), start=second, duration=second)
    part = write_part([FIRST.segment(0), silent, FIRST.segment(2)])
    movie = write_movie([piece(part)])
    assert movie.pauses == (Pause(at=second, duration=second),)
    tracks = read_movie(b"".join((*movie.header, part.content)))
    assert len(tracks["vide"].samples) == 60
    assert sum(one.media == SILENT_FRAME for one in tracks["soun"].samples) == pytest.approx(47, abs=1)


def test_a_long_gap_is_silent_in_chunks_of_one_silence() -> None:
    tracks = movie_of((of(FIRST, 0), 1), (of(FIRST, 10), 1))
    silent = [one for one in tracks["soun"].samples if one.media == SILENT_FRAME]
    assert len(silent) > 6 * SILENT_FRAMES
    assert len(tracks["soun"].samples) == pytest.approx(11 * 48_000 / 1024, abs=2)


def test_the_silence_that_fills_is_that_of_a_gap_s_segment() -> None:
    second = timedelta(seconds=1)
    silent = read_segment(silent_segment(second, second), index=SegmentIndex(1), start=second, duration=second)
    assert silent.audio is not None
    assert silent.audio.media == SILENT_FRAME * len(silent.audio.table)


def without_sound(segment: SegmentSamples) -> SegmentSamples:
    return replace(segment, audio=None)


def test_a_recording_without_sound_has_no_track_for_it() -> None:
    part = write_part([without_sound(FIRST.segment(0))])
    assert list(movie_of((part, 1))) == ["vide"]


def test_a_session_without_sound_is_silent_in_step() -> None:
    parts = write_part([without_sound(FIRST.segment(0))]), of(SECOND, 0)
    tracks = movie_of((parts[0], 1), (parts[1], 2))
    silent = [one.media == SILENT_FRAME for one in tracks["soun"].samples]
    assert silent.index(False) == round(48_000 / 1024)


def test_what_a_session_has_before_its_first_picture_is_not_shown() -> None:
    first = replace(FIRST.segment(0), video=None, video_format=None)
    part = write_part([first, FIRST.segment(1)])
    tracks = movie_of((part, 1))
    assert tracks["soun"].samples[0].media[2:6] == (1).to_bytes(4)
    assert len(tracks["vide"].samples) == 30


def test_a_session_without_pictures_is_left_out() -> None:
    silent = write_part([replace(FIRST.segment(0), video=None, video_format=None)])
    movie = write_movie([piece(silent, 1), piece(of(SECOND, 0), 2)])
    assert movie.sessions == (2,)


def test_sound_with_a_hole_keeps_its_times() -> None:
    segment = FIRST.segment(0)
    table = samples(
        [10, 11, 12], decode_time=900_000, durations=[5 * AUDIO_FRAME_TICKS, 1920, 1920], sync=[0, 1, 2]
    )
    tracks = movie_of((write_part([replace(segment, audio=table)]), 1))
    silent = [one.media == SILENT_FRAME for one in tracks["soun"].samples]
    assert silent == [False, True, True, True, True, False, False]


def test_a_movie_s_header_is_before_its_media_and_states_its_size() -> None:
    part = of(FIRST, 0)
    movie = write_movie([piece(part)])
    header = b"".join(movie.header)
    media = header.index(b"mdat") - 4
    assert header[media : media + 4] == (1).to_bytes(4)
    assert int.from_bytes(header[media + 8 : media + LARGE_HEADER_BYTES]) == movie.size - media
    assert header[media + LARGE_HEADER_BYTES :] == (SILENT_FRAME * SILENT_FRAMES).ljust(SILENCE_BYTES, b"\x00")


def test_pieces_are_in_order() -> None:
    parts = of(FIRST, 0, 1), of(FIRST, 1, 2)
    for wrong in (
        [piece(parts[1]), piece(parts[0])],
        [piece(parts[0]), piece(parts[1])],
        [piece(parts[0], 2), piece(parts[1], 1)],
        [piece(parts[0], first=1, last=0)],
    ):
        with pytest.raises(ValueError, match="not in order"):
            write_movie(wrong)


def test_a_movie_is_of_one_format_and_has_a_picture() -> None:
    other = Source(format=replace(FORMAT, width=640))
    with pytest.raises(ValueError, match="different formats"):
        write_movie([piece(of(FIRST, 0)), piece(of(other, 1))])
    silent = write_part([replace(FIRST.segment(0), video=None, video_format=None)])
    for nothing in ([], [piece(silent)]):
        with pytest.raises(ValueError, match="has a picture"):
            write_movie(nothing)


@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 4), (5, 6)])
def test_a_part_that_lacks_what_it_was_said_to_hold_is_refused(first: int, last: int) -> None:
    with pytest.raises(InvalidMedia, match="does not hold"):
        write_movie([piece(of(FIRST, 1, 2, 3), first=first, last=last)])


def altered(part: Part, table: SampleTable) -> PartHead:
    head = piece(part).head
    (segment,) = head.segments
    assert segment.video is not None
    return replace(
        head, segments=(replace(segment, video=PlacedSamples(table=table, position=segment.video.position)),)
    )


@pytest.mark.parametrize(
    ("decode_time", "duration", "offset", "reason"),
    [
        (900_000 - 3000, 3000, 0, "do not follow"),
        (900_000 + 2**33, 3000, 0, "do not follow"),
        (990_000, 2**32 - 1, 0, "longer than any recording"),
        (990_000, 3000, 2**31, "long after"),
    ],
)
def test_heads_that_say_what_no_recording_is_like_are_refused(
    decode_time: int, duration: int, offset: int, reason: str
) -> None:
    count = 30
    table = SampleTable(
        decode_time=decode_time,
        durations=array("I", [duration] * count),
        sizes=array("I", [10] * count),
        composition_offsets=array("I", [offset] * count),
        flags=array("I", [0] * count),
    )
    pieces = [piece(of(FIRST, 0)), replace(piece(of(FIRST, 1)), head=altered(of(FIRST, 1), table))]
    with pytest.raises(InvalidMedia, match=reason):
        write_movie(pieces)


def test_sound_of_another_year_is_refused_and_fills_no_memory() -> None:
    segment = FIRST.segment(0)
    late = samples([10], decode_time=900_000 + 366 * 86_400 * 90_000, durations=[1920], sync=[0])
    part = write_part([replace(segment, audio=late)])
    with pytest.raises(InvalidMedia, match="longer than any recording"):
        write_movie([piece(part)])


def test_a_sample_is_told_by_what_it_is() -> None:
    """The reader that the other tests rest on."""
    tracks = movie_of((of(FIRST, 0), 1))
    first = tracks["vide"].samples[0]
    assert isinstance(first, ReadSample)
    assert (first.decode, first.shown, first.sync) == (0, 0, True)
    assert isinstance(FIRST.segment(0).video, Samples)


def test_sound_of_two_formats_is_no_movie() -> None:
    mono = replace(FIRST.segment(1), audio_format=aac_format(b"\x12\x08"))
    with pytest.raises(ValueError, match="sound of different formats"):
        write_movie([piece(of(FIRST, 0)), piece(write_part([mono]))])


@pytest.mark.parametrize(("configuration", "rate"), [("1208", 44_100), ("1408", 16_000)])
def test_sound_at_any_rate_lies_next_to_its_time(configuration: str, rate: int) -> None:
    """Times in milliseconds, as RTMP has them, of frames that no number of ticks is as long as."""
    times = [round(number * 1024 * 1000 / rate) * 90 for number in range(20 * rate // 1024)]
    sound = samples(
        [10] * len(times),
        decode_time=FIRST.start(0),
        durations=[later - earlier for earlier, later in pairwise([*times, times[-1] + 2000])],
        stamp=b"sound",
    )
    mono = aac_format(bytes.fromhex(configuration))
    part = write_part([replace(FIRST.segment(0), audio=sound, audio_format=mono)])
    movie = write_movie([piece(part)])
    track = read_movie(b"".join((*movie.header, part.content)))["soun"]
    assert {one.duration for one in track.samples} == {1024}
    assert [one.media for one in track.samples] == split(sound.media, sound.table.sizes)
    assert track.movie_duration == len(times) * 1024 * 90_000 // rate
