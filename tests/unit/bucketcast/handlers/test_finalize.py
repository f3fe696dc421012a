"""A broadcast's files hold every picture that was uploaded, once and in order, whoever dies on the way."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from msgspec import structs

from bucketcast.errors import (
    BucketcastError,
    InvalidRecord,
    NotFound,
    PreconditionFailed,
    TooManyWrites,
    Unavailable,
)
from bucketcast.handlers.finalize import Finalizer
from bucketcast.objects import ABSENT, Generation, MadeObject, NewObject, ObjectFacts
from bucketcast.recording.document import RecordedFile, RecordingState, VodState
from bucketcast.recording.names import SOURCE, newest_recording_name, part_name, recording_file_name
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.identifiers import BroadcastNumber, EncoderId, RungName, SegmentIndex, SessionNumber
from bucketcast.stream.media_object import gap_object, segment_object
from bucketcast.stream.object_names import segment_name
from bucketcast.stream_records import latest_stream_record, stream_record_object
from fakes import FakeBucket
from stream_world import SEGMENT, SLOTS, STREAM, World, uploaded
from unit.bucketcast.recording.made_segments import SEQUENCE_SET, Source, read_movie
from unit.bucketcast.recording.made_streams import LARGER_SEQUENCE_SET, PICTURES, made_stream

ONE = BroadcastNumber(1)
TOP = SLOTS[0]


class RecordedWorld(World):
    """A stream whose broadcast is over, with real media in its best rung."""

    def session(
        self,
        indexes: Iterable[int],
        *,
        parts: Iterable[range] = (),
        gaps: Iterable[int] = (),
        sequence_set: bytes = SEQUENCE_SET,
    ) -> SessionNumber:
        """A session that uploaded the segments *indexes*, recorded *parts* of them, and gave *gaps* up."""
        self.clock.advance(5)
        encoder = EncoderId(f"e{self.document.next_session}")
        number = self.claim(encoder)
        start = self._start(number)
        wanted, given_up = list(indexes), set(gaps)
        for index in wanted:
            place = STREAM, TOP, number, SegmentIndex(index)
            date = start + index * SEGMENT
            self.media.write(
                gap_object(*place, start=index * SEGMENT, duration=SEGMENT, date=date)
                if index in given_up
                else segment_object(
                    *place,
                    duration=SEGMENT,
                    date=date,
                    content=made_stream(number, index, duration=SEGMENT, sequence_set=sequence_set),
                ),
                if_generation=ABSENT,
            )
        segments = [
            uploaded(index, SLOTS[1:], gaps=[TOP]) if index in given_up else uploaded(index) for index in wanted
        ]
        self.report(number, encoder, segments, ended=True)
        self.wake()
        for part in parts:
            self.record(number, part, sequence_set=sequence_set)
        return number

    def record(self, session: SessionNumber, part: range, *, sequence_set: bytes = SEQUENCE_SET) -> None:
        """What an ingest records of *session*."""
        samples = [
            read_segment(
                made_stream(session, index, duration=SEGMENT, sequence_set=sequence_set),
                index=SegmentIndex(index),
                start=index * SEGMENT,
                duration=SEGMENT,
            )
            for index in part
        ]
        for new in part_objects(STREAM, session, TOP, samples):
            self.recording.write(new, if_generation=ABSENT)

    def end(self) -> None:
        """The broadcast is over, and its recording was begun."""
        self.clock.advance(2)
        self.streams.end(STREAM)
        self.recordings.see(self.wake())
        self.clock.advance(2)
        self.recordings.rest(STREAM, self.broadcast)

    @property
    def broadcast(self) -> BroadcastNumber:
        return BroadcastNumber(self.document.ended_broadcasts)

    def finalize(self, finalizer: Finalizer | None = None) -> tuple[RecordedFile, ...]:
        document = (finalizer or self.finalizer).finalize(STREAM, self.broadcast)
        assert document.state is RecordingState.FINALIZED
        return document.files

    def content(self, name: str) -> bytes:
        content = self.media.read(name)
        assert content is not None
        return content

    def pictures(self, name: str) -> list[tuple[int, int, int]]:
        """Session, segment and number of every picture in the file *name*."""
        found = []
        for sample in read_movie(self.content(name))["vide"].samples:
            match = re.search(rb"(\d+)/(\d+)/(\d+)$", sample.media)
            assert match
            found.append((int(match[1]), int(match[2]), int(match[3])))
        return found


def all_of(session: int, indexes: Iterable[int]) -> list[tuple[int, int, int]]:
    return [(session, index, number) for index in indexes for number in range(PICTURES)]


@pytest.fixture
def world() -> RecordedWorld:
    """A broadcast of two sessions; of each some seconds were not recorded."""
    world = RecordedWorld()
    world.session(range(12), parts=[range(5), range(5, 8), range(10, 12)])
    world.session(range(6), parts=[range(6)])
    world.end()
    return world


EXPECTED = [*all_of(1, range(12)), *all_of(2, range(6))]


def check_done(world: RecordedWorld) -> None:
    """One file with everything in it, shown as the newest too, and nothing else left."""
    document = world.recording_documents.read(STREAM, ONE)
    assert document is not None
    assert document.document.state is RecordingState.FINALIZED
    [file] = document.document.files
    assert world.pictures(file.name) == EXPECTED
    facts = world.media.facts(file.name)
    assert facts is not None
    assert (file.size, file.crc32c, file.frames) == (facts.size, facts.crc32c, len(EXPECTED))
    assert file.sessions == (1, 2)
    assert world.content(newest_recording_name(STREAM)) == world.content(file.name)
    assert world.recording.objects == {}


def test_a_file_has_every_picture_of_all_sessions(world: RecordedWorld) -> None:
    [file] = world.finalize()
    check_done(world)
    assert file.name == recording_file_name(STREAM, ONE)
    assert file.gaps == ()
    # The sound of the first session lasts less than one frame longer than its pictures.
    assert timedelta(0) <= file.duration - 18 * SEGMENT < timedelta(milliseconds=22)


def test_finalizing_again_changes_nothing(world: RecordedWorld) -> None:
    files = world.finalize()
    objects = dict(world.media.objects)
    assert world.finalize() == files
    assert world.media.objects == objects


def test_what_is_recorded_later_goes_when_it_is_finalized_again(world: RecordedWorld) -> None:
    world.finalize()
    world.record(SessionNumber(2), range(6))
    world.finalize()
    assert world.recording.objects == {}


def test_a_broadcast_of_which_nothing_was_recorded_is_made_of_its_segments() -> None:
    world = RecordedWorld()
    world.session(range(25))
    world.end()
    [file] = world.finalize()
    assert world.pictures(file.name) == all_of(1, range(25))


def test_parts_of_two_encoders_may_overlap() -> None:
    world = RecordedWorld()
    world.session(range(10), parts=[range(6), range(4, 9), range(3, 5)])
    world.end()
    [file] = world.finalize()
    assert world.pictures(file.name) == all_of(1, range(10))


def test_a_gap_is_told_and_what_surrounds_it_is_there() -> None:
    world = RecordedWorld()
    world.session(range(6), gaps=[2, 3], parts=[range(2), range(4, 6)])
    world.end()
    [file] = world.finalize()
    assert world.pictures(file.name) == all_of(1, [0, 1, 4, 5])
    assert [(gap.at, gap.duration) for gap in file.gaps] == [(2 * SEGMENT, 2 * SEGMENT)]
    assert file.duration - 6 * SEGMENT < timedelta(milliseconds=22)


def test_what_viewers_missed_may_be_recorded() -> None:
    world = RecordedWorld()
    world.session(range(6), gaps=[2], parts=[range(6)])
    world.end()
    [file] = world.finalize()
    assert world.pictures(file.name) == all_of(1, range(6))
    assert file.gaps == ()


def test_sessions_of_other_formats_have_files_of_their_own() -> None:
    """Nothing is encoded again, and nothing is dropped."""
    world = RecordedWorld()
    world.session(range(4), parts=[range(4)])
    world.session(range(3), sequence_set=LARGER_SEQUENCE_SET)
    world.session(range(2), parts=[range(2)])
    world.end()
    files = world.finalize()
    assert [file.name for file in files] == [recording_file_name(STREAM, ONE, number) for number in (1, 2, 3)]
    assert [world.pictures(file.name) for file in files] == [
        all_of(1, range(4)),
        all_of(2, range(3)),
        all_of(3, range(2)),
    ]
    assert [world.media.facts(newest_recording_name(STREAM, number)) is None for number in (1, 2, 3, 4)] == [
        *(False, False, False),
        True,
    ]


def test_a_newer_recording_takes_the_newest_addresses_and_an_older_one_never_does() -> None:
    world = RecordedWorld()
    world.session(range(4))
    world.session(range(3), sequence_set=LARGER_SEQUENCE_SET)
    world.end()
    world.session(range(2))
    world.end()
    [newer] = world.finalize()
    world.finalizer.finalize(STREAM, ONE)
    assert world.content(newest_recording_name(STREAM)) == world.content(newer.name)
    assert world.pictures(recording_file_name(STREAM, ONE)) == all_of(1, range(4))
    # The older one's second file was shown when there was none; the next newer one takes it away.
    world.session(range(1))
    world.end()
    world.clock.advance(2)
    world.finalize()
    assert world.media.facts(newest_recording_name(STREAM, 2)) is None


def test_a_broadcast_without_pictures_has_no_file() -> None:
    world = RecordedWorld()
    world.session(range(3), gaps=range(3))
    world.end()
    assert world.finalize() == ()


def test_a_segment_that_cannot_be_read_is_a_gap(caplog: pytest.LogCaptureFixture) -> None:
    world = RecordedWorld()
    session = world.session(range(6))
    world.end()
    for index, content in ((2, b"no media"), (3, b""), (5, None)):
        name = segment_name(STREAM, TOP, session, SegmentIndex(index))
        new, facts = world.media.objects[name]
        if content is None:
            del world.media.objects[name]
        else:
            broken = NewObject(
                name=name, content=content, content_type=new.content_type, cache_control=new.cache_control
            )
            world.media.objects[name] = broken, facts
    with caplog.at_level(logging.ERROR):
        [file] = world.finalize()
    assert world.pictures(file.name) == all_of(session, [0, 1, 4])
    assert [(gap.at, gap.duration) for gap in file.gaps] == [(2 * SEGMENT, 2 * SEGMENT)]
    assert "cannot be recorded" in caplog.text


def test_what_is_no_part_is_passed_over(world: RecordedWorld, caplog: pytest.LogCaptureFixture) -> None:
    """A part's name that is taken by something else is wanted for what viewers had."""
    for name in (f"{STREAM}/00000001/notes.txt", part_name(STREAM, SessionNumber(1), SegmentIndex(8))):
        new = NewObject(name=name, content=b"x", content_type="text/plain", cache_control="no-store")
        world.recording.write(new, if_generation=ABSENT)
    world.finalize()
    check_done(world)
    assert "not a part of a recording" in caplog.text


def test_a_part_that_cannot_be_read_is_made_anew(world: RecordedWorld) -> None:
    """Its segments may lie in the media bucket."""
    name = part_name(STREAM, SessionNumber(1), SegmentIndex(5))
    new, facts = world.recording.objects[name]
    broken = NewObject(
        name=name, content=bytes(facts.size), content_type=new.content_type, cache_control=new.cache_control
    )
    world.recording.objects[name] = broken, facts
    with pytest.raises(Unavailable):
        world.finalize()
    world.finalize()
    check_done(world)


def set_back(world: RecordedWorld, session: SessionNumber, index: int, rung: RungName) -> str:
    """A part of segment *index* whose clock begins where the session's did; returns its name."""
    segment = Source(session=session).segment(index)
    assert segment.video is not None
    table = replace(segment.video.table, decode_time=Source().start(0))
    samples = [replace(segment, video=replace(segment.video, table=table), audio=None)]
    [new] = part_objects(STREAM, session, rung, samples)
    world.recording.write(new, if_generation=ABSENT)
    return new.name


def test_a_part_of_the_source_that_goes_into_no_movie_is_made_of_what_viewers_got(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its broadcaster's clock was set back, which is no reason to have no recording."""
    world = RecordedWorld()
    session = world.session(range(3))
    set_back(world, session, 0, SOURCE)
    name = set_back(world, session, 1, SOURCE)
    world.end()
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        world.finalize()
    assert [one.__dict__["object"] for one in caplog.records if "goes into no movie" in one.getMessage()] == [
        name
    ]
    of_source, of_viewers = world.finalize()
    assert of_source.frames == Source().pictures
    assert world.pictures(of_viewers.name) == all_of(session, [1, 2])


def test_a_part_of_a_rung_that_goes_into_no_movie_is_named() -> None:
    """That would be a fault of ours: what is made of the segments would be the same."""
    world = RecordedWorld()
    session = world.session(range(6), parts=[range(3)])
    name = set_back(world, session, 3, TOP)
    world.end()
    with pytest.raises(InvalidRecord, match=re.escape(name)):
        world.finalize()


def test_a_recording_is_not_made_of_what_is_left_after_everything_else_was_lost(world: RecordedWorld) -> None:
    """Its document is gone with Firestore, its parts and all segments but the playlists' with the clean-up."""
    files = world.finalize()
    world.clock.advance(2 * 86_400)
    world.clean_up.clean_up(dry_run=False, within=timedelta(hours=1))
    assert len(world.media.names(f"{STREAM}/{TOP}/segment_")) == 6
    world.documents.delete(STREAM)
    world.recording_documents.delete(STREAM, ONE)
    world.recordings.see(world.wake())
    assert world.finalize() == files
    check_done(world)


def test_all_recordings_of_a_stream_outlive_firestore_and_their_clean_up() -> None:
    """Files, facts and what their owner sees of them: nothing is made anew, nor gone."""
    world = RecordedWorld()
    for _ in range(3):
        world.session(range(4), parts=[range(2)], gaps=[3])
        world.end()
        world.finalize()
    world.clock.advance(2 * 86_400)
    world.clean_up.clean_up(dry_run=False, within=timedelta(hours=1))
    world.recordings.show(STREAM)
    before = {view.broadcast: (view.state, view.files, view.missing) for view in world.recordings.views(STREAM)}
    objects = dict(world.media.contents(f"{STREAM}/recording/"))
    assert len(before) == 3
    world.documents.delete(STREAM)
    for broadcast in before:
        world.recording_documents.delete(STREAM, BroadcastNumber(broadcast))
    world.recordings.reap(world.reaper.reap())
    world.finalize()
    views = world.recordings.views(STREAM)
    assert {view.broadcast: (view.state, view.files, view.missing) for view in views} == before
    assert world.media.contents(f"{STREAM}/recording/") == objects


def test_what_no_file_has_is_told_also_at_the_edges() -> None:
    world = RecordedWorld()
    world.session(range(20), gaps=[*range(5), 12, 13, 18, 19])
    world.end()
    world.finalize()
    [view] = world.recordings.views(STREAM)
    assert [(lost.session, lost.first, lost.last) for lost in view.missing] == [
        (1, 0, 4),
        (1, 12, 13),
        (1, 18, 19),
    ]


def test_a_broadcast_of_which_nothing_is_known_any_more_fails(world: RecordedWorld) -> None:
    for name in world.ingest.names("seals/"):
        world.ingest.delete(name)
    with pytest.raises(InvalidRecord, match="nothing is known"):
        world.finalize()


def test_a_recording_that_was_never_begun_or_was_deleted_is_not_found(world: RecordedWorld) -> None:
    with pytest.raises(NotFound):
        world.finalizer.finalize(STREAM, BroadcastNumber(9))

    class Deleting(FakeBucket):
        def copy_from(
            self, source: FakeBucket, name: str, made: MadeObject, *, if_generation: Generation
        ) -> ObjectFacts:
            world.recording_documents.delete(STREAM, ONE)
            return super().copy_from(source, name, made, if_generation=if_generation)

    world.media.__class__ = Deleting
    with pytest.raises(NotFound):
        world.finalize()


def test_a_session_without_its_record_is_an_error_of_ours(world: RecordedWorld) -> None:
    del world.ingest.objects[f"sessions/{STREAM}/00000001.json"]
    with pytest.raises(InvalidRecord):
        world.finalize()


def test_what_was_joined_wrongly_is_not_shown(world: RecordedWorld) -> None:
    class Wrong(FakeBucket):
        def compose(self, made: MadeObject, sources: object, *, if_generation: Generation) -> ObjectFacts:
            new = NewObject(name=made.name, content=b"wrong", content_type="", cache_control="")
            return self.write(new, if_generation=if_generation)

    world.recording.__class__ = Wrong
    with pytest.raises(InvalidRecord, match="not what its parts are"):
        world.finalize()
    assert world.media.facts(recording_file_name(STREAM, ONE)) is None
    assert world.recording.names(f"{STREAM}/00000001/") != []


def test_a_file_that_an_earlier_try_left_is_replaced(world: RecordedWorld) -> None:
    """Nobody was told of it; and more may have been recorded since."""
    stale = NewObject(
        name=recording_file_name(STREAM, ONE), content=b"stale", content_type="video/mp4", cache_control=""
    )
    world.media.write(stale, if_generation=ABSENT)
    world.clock.advance(2)
    world.finalize()
    check_done(world)


class Mortal(FakeBucket):
    """Calls count; one of them fails, before it is done or after."""

    calls = count()
    fatal = -1
    after = False
    error: type[BucketcastError] = Unavailable

    def _fate(self, done: Callable[[], ObjectFacts]) -> ObjectFacts:
        fails = next(type(self).calls) == self.fatal
        if fails and not self.after:
            raise self.error("killed")
        result = done()
        if fails:
            raise self.error("killed")
        return result

    def write(self, new: NewObject, *, if_generation: Generation) -> ObjectFacts:
        return self._fate(lambda: FakeBucket.write(self, new, if_generation=if_generation))

    def facts(self, name: str) -> ObjectFacts | None:
        if next(type(self).calls) == self.fatal:
            raise self.error("killed")
        return super().facts(name)

    def read(self, name: str) -> bytes | None:
        if next(type(self).calls) == self.fatal:
            raise self.error("killed")
        return super().read(name)

    def delete(self, name: str, *, generation: Generation | None = None) -> None:
        if next(type(self).calls) == self.fatal:
            raise self.error("killed")
        super().delete(name, generation=generation)


@pytest.mark.parametrize("error", [Unavailable, TooManyWrites])
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_and_begun_again_it_ends_alike(error: type[BucketcastError], *, after: bool) -> None:
    fatal = 0
    while True:
        world = RecordedWorld()
        world.session(range(12), parts=[range(5), range(5, 8), range(10, 12)])
        world.session(range(6), parts=[range(6)])
        world.end()
        mortal = type("Killed", (Mortal,), {"calls": count(), "fatal": fatal, "after": after, "error": error})
        for bucket in (world.media, world.recording):
            bucket.__class__ = mortal
        try:
            world.finalize()
        except error:
            world.clock.advance(2)
            world.finalize()
            check_done(world)
        else:
            break
        finally:
            for bucket in (world.media, world.recording):
                bucket.__class__ = FakeBucket
        fatal += 1
    assert fatal > 40


def test_two_at_the_same_time_make_one_file(world: RecordedWorld) -> None:
    """The other one finishes, and deletes what it was made of, at any call of this one."""

    class Interrupted(FakeBucket):
        at = 0
        calls = 0

        def facts(self, name: str) -> ObjectFacts | None:
            type(self).calls += 1
            if self.calls == self.at:
                type(self).at = 0
                world.finalize()
            return super().facts(name)

    for at in range(1, 40):
        world = RecordedWorld()
        world.session(range(12), parts=[range(5), range(5, 8), range(10, 12)])
        world.session(range(6), parts=[range(6)])
        world.end()
        interrupted = type("InterruptedAt", (Interrupted,), {"at": at, "calls": 0})
        world.media.__class__ = interrupted
        try:
            world.finalize()
        except (Unavailable, PreconditionFailed, TooManyWrites):
            world.clock.advance(2)
            world.finalize()
        world.media.__class__ = FakeBucket
        check_done(world)


def test_a_decision_that_was_made_meanwhile_stays(world: RecordedWorld) -> None:
    class Failing(FakeBucket):
        def compose(self, made: MadeObject, sources: object, *, if_generation: Generation) -> ObjectFacts:
            world.recordings.fail(STREAM, ONE, execution="1", step="finalize", reason="why")
            return super().compose(made, sources, if_generation=if_generation)  # type: ignore[arg-type]

    world.recording.__class__ = Failing
    world.finalize()
    world.recording.__class__ = FakeBucket
    check_done(world)


def test_a_segment_that_goes_while_it_is_wanted_is_missing() -> None:
    world = RecordedWorld()
    session = world.session(range(3))
    world.end()
    name = segment_name(STREAM, TOP, session, SegmentIndex(1))

    class Vanishing(FakeBucket):
        def facts(self, name: str) -> ObjectFacts | None:
            return None if name == vanished else super().facts(name)

    vanished = name
    world.media.__class__ = Vanishing
    [file] = world.finalize()
    world.media.__class__ = FakeBucket
    assert world.pictures(file.name) == all_of(session, [0, 2])


class WithoutStarts(FakeBucket):
    def read_start(self, name: str, length: int) -> bytes | None:
        return None


class WithoutSources(FakeBucket):
    def compose(self, made: MadeObject, sources: Sequence[str], *, if_generation: Generation) -> ObjectFacts:
        raise NotFound(made.name)


class WithoutFacts(FakeBucket):
    def facts(self, name: str) -> ObjectFacts | None:
        return None


@pytest.mark.parametrize("gone", [WithoutStarts, WithoutSources, WithoutFacts])
def test_what_another_one_has_deleted_is_waited_for(world: RecordedWorld, gone: type[FakeBucket]) -> None:
    """It finalizes the same recording: whoever asks again finds that done."""
    world.recording.__class__ = gone
    with pytest.raises(Unavailable, match="another one finalizes"):
        world.finalize()
    world.recording.__class__ = FakeBucket
    world.finalize()
    check_done(world)


def test_what_is_joined_by_two_at_once_is_joined_once(world: RecordedWorld) -> None:
    class Late(FakeBucket):
        def compose(
            self, made: MadeObject, sources: Sequence[str], *, if_generation: Generation
        ) -> ObjectFacts:
            super().compose(made, sources, if_generation=if_generation)
            raise PreconditionFailed(made.name)

    world.recording.__class__ = Late
    world.finalize()
    check_done(world)


def test_an_older_recording_takes_no_file_of_a_newer_one_away() -> None:
    world = RecordedWorld()
    world.session(range(2))
    world.end()
    world.session(range(4))
    world.session(range(3), sequence_set=LARGER_SEQUENCE_SET)
    world.end()
    world.finalize()
    world.finalizer.finalize(STREAM, ONE)
    assert world.media.facts(newest_recording_name(STREAM, 2)) is not None


@pytest.mark.parametrize("sets", [1, 2])
def test_a_vod_is_made_of_a_recording_however_many_files_it_has(sets: int) -> None:
    world = RecordedWorld()
    record = latest_stream_record(world.ingest, STREAM)
    assert record is not None
    wanted = structs.replace(record, number=2, configuration=structs.replace(record.configuration, vod=True))
    world.ingest.write(stream_record_object(wanted), if_generation=ABSENT)
    for sequence_set in (SEQUENCE_SET, LARGER_SEQUENCE_SET)[:sets]:
        world.session(range(2), sequence_set=sequence_set)
    world.end()
    world.finalize()
    [view] = world.recordings.views(STREAM)
    assert len(view.files) == sets
    assert view.vod is not None
    assert view.vod.state is VodState.ENCODING
