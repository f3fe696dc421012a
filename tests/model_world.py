"""What acts in the model check: real handlers, and encoders that do to the buckets what an encoder does."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from bucketcast.errors import IllegalTransition, Unavailable
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.creation import create_once
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.handlers.publish import Publisher, SeenObjects
from bucketcast.handlers.reap import Reaper
from bucketcast.handlers.rebuild import RebuiltDocuments
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.watch import Watchdog
from bucketcast.objects import ABSENT, WRITE_INTERVAL, NewObject, ObjectFacts
from bucketcast.ports import Bucket, StoredDocument, StreamDocuments
from bucketcast.records import JSON, encode_record
from bucketcast.stream.document import ListedAs
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import gap_object, listed_as, segment_object
from bucketcast.stream.object_names import segment_name, timeline_name
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_request import RungRequest, StreamRequest
from bucketcast.stream.timeline import RungSegment, Timeline, TimelineSegment
from fakes import EPOCH
from stream_world import FIRST, GAP, SEGMENT, SLOTS, STREAM, UPLOADED, A, B, claim_request
from tools.model.check import Actors, Check
from tools.model.ports import CLOCK, DOCUMENTS, INGEST, LEASES, MEDIA, Ports
from tools.model.program import Act, Program
from tools.model.world import Operation, World

TWO: Final = SLOTS[:2]
SECOND: Final = SessionNumber(2)
C: Final = EncoderId("c")
LIVE_START: Final = EPOCH + timedelta(hours=20)
RECONNECT_WINDOW: Final = timedelta(minutes=30)

# Long after every drain, lease and silence, and within the reconnect window; then long after that too.
AT_REST: Final = EPOCH + timedelta(minutes=10)
AT_ITS_END: Final = EPOCH + timedelta(hours=10)

PUBLISHER_WRITES: Final = (f"{DOCUMENTS}*", f"{MEDIA}*", f"{INGEST}seals/*", CLOCK)
CLAIM_WRITES: Final = (f"{DOCUMENTS}*", f"{LEASES}*", f"{INGEST}sessions/*")

MakePublisher = Callable[[Ports], Publisher]
MakeClaims = Callable[[Ports], Claims]


def publisher(ports: Ports) -> Publisher:
    """The publisher of an instance that has just started."""
    return Publisher(
        media=ports.media,
        ingest=ports.ingest,
        documents=ports.documents,
        clock=ports.clock,
        executor=ports.executor,
    )


def claims(ports: Ports) -> Claims:
    """The handler of claims."""
    return Claims(ingest=ports.ingest, documents=ports.documents, clock=ports.clock)


def streams(ports: Ports) -> Streams:
    """The API."""
    return Streams(
        ingest=ports.ingest,
        documents=ports.documents,
        watchdog=Watchdog(media=ports.media, clock=ports.clock, executor=ports.executor),
        clock=ports.clock,
        random_bytes=bytes,
    )


# Handlers


def publishing(make: MakePublisher = publisher) -> Act:
    """A wake-up of an instance that has just started."""
    return Act(name="publish", run=lambda ports: make(ports).publish(STREAM), writes=PUBLISHER_WRITES)


def publishing_in_rounds(make: MakePublisher = publisher) -> Act:
    """The same, with each round as an act of its own.

    All that a publisher takes from one round to the next is what its instance has seen, and that is handed on.
    So histories that led to the same are one, which is what keeps two publishers explorable.
    """
    known: dict[tuple[object, ...], Act] = {}

    def act(seen: tuple[ObjectFacts, ...] | None) -> Program:
        if seen is None:
            return ()
        key = tuple((facts.name, facts.generation, facts.updated, repr(facts.metadata)) for facts in seen)
        if key not in known:
            known[key] = Act(
                name="round", run=lambda ports: _round(make, ports, seen), writes=PUBLISHER_WRITES, then=act
            )
        return (known[key],)

    return act(())[0]


class _NextRound(BaseException):
    """A handler begins its next round; nothing of its own may catch it."""


class _OneRound:
    """Documents that stop a handler where it reads its document for the second time."""

    def __init__(self, documents: StreamDocuments) -> None:
        self._documents = documents
        self._begun = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)

    def read(self, stream: StreamId) -> StoredDocument | None:
        if self._begun:
            raise _NextRound
        self._begun = True
        return self._documents.read(stream)


class _Hints(SeenObjects):
    """What an instance has seen, as a value."""

    def __init__(self, seen: Sequence[ObjectFacts]) -> None:
        super().__init__()
        self.known = {facts.name: facts for facts in seen}

    def get(self, name: str) -> ObjectFacts | None:
        return self.known.get(name)

    def put(self, facts: ObjectFacts) -> None:
        self.known[facts.name] = facts

    def forget(self, name: str) -> None:
        self.known.pop(name, None)


def _round(make: MakePublisher, ports: Ports, seen: Sequence[ObjectFacts]) -> tuple[ObjectFacts, ...] | None:
    """Run one round of a publisher; return what it has seen if it goes on.

    It goes on for ever behind an ENDLIST if it forgets that it has found nothing to do; so that is its last
    round.
    """
    worked = False

    def ask(operation: Operation) -> Any:
        nonlocal worked
        worked = worked or operation.at_once or operation.writes is not None
        return ports.ask(operation)

    whole = make(replace(ports, ask=ask))
    hints = _Hints(seen)
    documents: Any = _OneRound(whole.documents)
    try:
        replace(whole, documents=documents, seen=hints).publish(STREAM)
    except _NextRound:
        return tuple(hints.known[name] for name in sorted(hints.known)) if worked else None
    return None


def reaping(make: MakePublisher = publisher) -> Act:
    """The reaper runs."""
    return Act(
        name="reap",
        run=lambda ports: Reaper(publisher=make(ports), executor=ports.executor).reap(),
        writes=PUBLISHER_WRITES,
    )


def claiming(encoder: EncoderId, *, make: MakeClaims = claims, rungs: tuple[RungName, ...] = TWO) -> Act:
    """*encoder* claims, and may be refused."""
    return Act(
        name=f"claim of {encoder}",
        run=lambda ports: make(ports).claim(claim_request(encoder, rungs, start_of(encoder))),
        writes=CLAIM_WRITES,
    )


def going_live(encoder: EncoderId, cuts: "Cuts") -> Act:
    """*encoder* claims and, unless it is refused, encodes *cuts* for whatever session it is given."""
    rungs = tuple(next(iter(cuts.values())))
    writes = (*CLAIM_WRITES, f"{MEDIA}*.ts", f"{INGEST}timelines/*/{encoder}.json", CLOCK)
    known: dict[tuple[SessionNumber, datetime], Program] = {}

    def run(ports: Ports) -> SessionRecord:
        # Later than all media of whoever claimed a lease ago, which a session's end in time would cut off.
        start = LIVE_START + 1000 * (ports.clock.now() - EPOCH)
        return claims(ports).claim(claim_request(encoder, rungs, start))

    def then(record: SessionRecord) -> Program:
        key = record.session, record.start
        if key not in known:
            known[key] = (encoding(record.session, encoder, cuts, waits=True, start=record.start),)
        return known[key]

    return Act(name=f"claim of {encoder}", run=run, writes=writes, then=then)


def ending() -> Act:
    """The owner ends the broadcast, if one is on air."""

    def run(ports: Ports) -> None:
        with suppress(IllegalTransition):
            streams(ports).end(STREAM)

    return Act(name="end", run=run, writes=(f"{DOCUMENTS}*",))


def creating(slots: Sequence[RungName]) -> Act:
    """Make the stream, with *slots*."""
    request = StreamRequest(
        id=STREAM,
        rungs=tuple(RungRequest(name=slot, video_kbps=int(slot[:-1]) * 3) for slot in slots),
        segment_seconds=SEGMENT.total_seconds(),
        reconnect_window_seconds=int(RECONNECT_WINDOW.total_seconds()),
    )
    return Act(name="create", run=lambda ports: streams(ports).create(request), writes=("*",))


def passing(seconds: float) -> Act:
    """Time passes, at any moment, at once."""
    return Act(name=f"{seconds:g} s pass", run=lambda ports: ports.clock.sleep(seconds), writes=(CLOCK,))


# Encoders

Cuts = Mapping[int, Mapping[RungName, RungSegment]]
"""What an encoder wants of each index: media, or to give it up."""


def media(indexes: Sequence[int], rungs: Sequence[RungName] = TWO) -> Cuts:
    """Media in all *rungs*."""
    return {index: dict.fromkeys(rungs, UPLOADED) for index in indexes}


def uploading(session: SessionNumber, encoder: EncoderId, cuts: Cuts) -> Act:
    """Create the objects of *cuts*; whoever is first decides."""

    def run(ports: Ports) -> None:
        for index, rungs in cuts.items():
            for rung, wanted in rungs.items():
                create_once(ports.media, _media_object(session, start_of(encoder), rung, index, wanted))

    return Act(name=f"upload by {encoder}", run=run, writes=_media_cells(session, cuts))


def reporting(session: SessionNumber, encoder: EncoderId, cuts: Cuts, *, ended: bool = False) -> Act:
    """Replace *encoder*'s timeline by one of *cuts*, as they are."""

    def run(ports: Ports) -> None:
        segments = [_timeline_segment(index, rungs) for index, rungs in sorted(cuts.items())]
        _report(ports, session, encoder, segments, ended=ended)

    return Act(name=f"report of {encoder}", run=run, writes=(INGEST + timeline_name(STREAM, session, encoder),))


def encoding(
    session: SessionNumber,
    encoder: EncoderId,
    cuts: Cuts,
    *,
    before: Cuts = MappingProxyType({}),
    ended: bool = False,
    waits: bool = False,
    start: datetime | None = None,
) -> Act:
    """Create the objects of *cuts* and, after each, report what there is: another's where he was first.

    What it did *before* it reports too. Calls without an answer are made again; what was done is found done.
    Who reports more than once *waits* between two reports. The grid begins at *start*, or where its own does.
    """

    def run(ports: Ports) -> None:
        segments = [_timeline_segment(index, rungs) for index, rungs in sorted(before.items())]
        for index, rungs in sorted(cuts.items()):
            decide = partial(_decide, ports.media, session, start or start_of(encoder), index)
            found = {rung: _again(partial(decide, (rung, wanted))) for rung, wanted in rungs.items()}
            segments.append(_timeline_segment(index, found))
            last = ended and index == max(cuts)
            _again(partial(_report, ports, session, encoder, tuple(segments), ended=last))

    writes = (*_media_cells(session, cuts), INGEST + timeline_name(STREAM, session, encoder))
    return Act(name=f"{encoder} encodes", run=run, writes=(*writes, CLOCK) if waits else writes)


def _again(call: Callable[[], Any]) -> Any:
    for _ in range(3):
        with suppress(Unavailable):
            return call()
    raise Unavailable("given up")


def _decide(
    bucket: Bucket,
    session: SessionNumber,
    start: datetime,
    index: int,
    cut: tuple[RungName, RungSegment],
) -> RungSegment:
    """Create an object as *cut* wants it, or say what another made of its name."""
    rung, wanted = cut
    if create_once(bucket, _media_object(session, start, rung, index, wanted)):
        return wanted
    facts = bucket.facts(segment_name(STREAM, rung, session, SegmentIndex(index)))
    assert facts is not None
    return GAP if listed_as(facts) is ListedAs.GAP else UPLOADED


def start_of(encoder: EncoderId) -> datetime:
    """The origin of its grid, far from every other's: an encoder has one session here."""
    return EPOCH + int(encoder, 36) * timedelta(hours=1)


def _media_object(
    session: SessionNumber, start: datetime, rung: RungName, index: int, wanted: RungSegment
) -> NewObject:
    at = SegmentIndex(index)
    date = start + index * SEGMENT
    if wanted == GAP:
        return gap_object(STREAM, rung, session, at, start=index * SEGMENT, duration=SEGMENT, date=date)
    return segment_object(STREAM, rung, session, at, duration=SEGMENT, date=date, content=b"media")


def _media_cells(session: SessionNumber, cuts: Cuts) -> tuple[str, ...]:
    return tuple(
        MEDIA + segment_name(STREAM, rung, session, SegmentIndex(index))
        for index, rungs in cuts.items()
        for rung in rungs
    )


def _timeline_segment(index: int, rungs: Mapping[RungName, RungSegment]) -> TimelineSegment:
    return TimelineSegment(
        index=SegmentIndex(index), start=index * SEGMENT, duration=SEGMENT, rungs=dict(rungs)
    )


def _report(
    ports: Ports,
    session: SessionNumber,
    encoder: EncoderId,
    segments: Sequence[TimelineSegment],
    *,
    ended: bool,
) -> None:
    """Replace *encoder*'s timeline, a second after the last time at the earliest."""
    now = ports.clock.now()
    name = timeline_name(STREAM, session, encoder)
    timeline = Timeline(
        stream=STREAM,
        session=session,
        encoder=encoder,
        ended=ended,
        media_at=now,
        segments=tuple(segments),
    )
    there = ports.ingest.facts(name)
    if there is not None and (early := WRITE_INTERVAL - (now - there.updated)) > timedelta(0):
        ports.clock.sleep(early.total_seconds())
    new = NewObject(name=name, content=encode_record(timeline), content_type=JSON, cache_control="no-store")
    ports.ingest.write(new, if_generation=there.generation if there else ABSENT)


# Enough for a player to start, so that playlists are there.
BEGUN: Final = media([0, 1, 2])


# Checks


def check(slots: Sequence[RungName] = TWO) -> Check:
    """A check of a stream with *slots* that was just made."""
    new = Check(
        STREAM,
        slots,
        start=EPOCH,
        recovery=(publishing(_rebuilding), passing(5), publishing(_rebuilding)),
        at_rest=AT_REST,
        at_its_end=AT_ITS_END,
    )
    new.world = new.after(new.world, creating(slots))
    return new


def _rebuilding(ports: Ports) -> Publisher:
    """A publisher that makes the document again if it is gone."""
    whole = publisher(ports)
    reader = EvidenceReader(media=ports.media, ingest=ports.ingest, executor=ports.executor)
    documents = RebuiltDocuments(documents=ports.documents, reader=reader, clock=ports.clock)
    return replace(whole, documents=documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens *before*, one after the other, and the *actors* that go on from there in every order."""

    covers: str
    before: Program
    actors: Actors

    def start(self, of: Check) -> World:
        """The world in which the actors begin."""
        return of.after(of.world, *self.before)


def on_air() -> Program:
    """Session 1 has published three segments, enough to start; its broadcaster was silent beyond its lease."""
    cuts = BEGUN
    return (
        claiming(A),
        uploading(FIRST, A, cuts),
        reporting(FIRST, A, cuts),
        publishing(),
        passing(5),
    )


def whole(make: MakePublisher = publisher, make_claims: MakeClaims = claims) -> Scenario:
    """All of them together: 19 million states, some eight minutes and 2.3 GB, more than fits into the suite.

    Three segments are on air in two rungs. A fourth comes late, from an encoder that does not know that it is a
    zombie, and the newcomer brings the first of its own; time may pass before, between or behind all of it.
    """
    one = publishing_in_rounds(make)
    return Scenario(
        covers="two publishers, a claimant that brings media, a zombie that uploads and reports, and time",
        before=on_air(),
        actors=(
            ("zombie", (encoding(FIRST, A, media([3]), before=BEGUN),)),
            ("claimant", (claiming(B, make=make_claims), encoding(SECOND, B, media([0])))),
            ("publisher 1", (one,)),
            ("publisher 2", (one,)),
            ("time", (passing(5),)),
        ),
    )


def scenarios(make: MakePublisher = publisher, make_claims: MakeClaims = claims) -> dict[str, Scenario]:
    """What is explored, with publishers and claims as *make* and *make_claims* build them."""
    tail, whole, first = media([3]), media([0, 1, 2, 3]), media([0])
    zombie = ("zombie", (encoding(FIRST, A, tail, before=BEGUN),))
    leaving = ("zombie", (reporting(FIRST, A, whole, ended=True),))
    claimant = ("claimant", (claiming(B, make=make_claims),))
    newcomer = ("newcomer", (encoding(SECOND, B, first),))
    one = publishing_in_rounds(make)
    two = (("publisher 1", (one,)), ("publisher 2", (one,)))
    claimed = (*on_air(), claiming(B))
    return {
        "growth": Scenario(
            covers="two publishers meet while a session grows twice, within a second or not",
            before=(*on_air(), uploading(FIRST, A, tail), reporting(FIRST, A, whole), passing(2)),
            actors=(
                ("zombie", (encoding(FIRST, A, media([4]), before=whole),)),
                *two,
                ("time", (passing(2),)),
            ),
        ),
        "farewell": Scenario(
            covers="a session says that it ended and another is claimed, against two publishers",
            before=(*on_air(), uploading(FIRST, A, tail)),
            actors=(leaving, claimant, *two),
        ),
        "handover": Scenario(
            covers="two publishers seal a session that says that it ended, as the first segment behind comes",
            before=(*claimed, uploading(FIRST, A, tail), uploading(SECOND, B, first)),
            actors=(leaving, ("newcomer", (reporting(SECOND, B, first),)), *two),
        ),
        "drain": Scenario(
            covers="a zombie reports a tail that lacks a rung, while two publishers seal its session by time",
            before=(
                *claimed,
                uploading(FIRST, A, {3: {TWO[0]: UPLOADED}}),
                uploading(SECOND, B, first),
                reporting(SECOND, B, first),
            ),
            actors=(
                (
                    "zombie",
                    (
                        reporting(FIRST, A, {**whole, 3: {TWO[0]: UPLOADED}}),
                        uploading(FIRST, A, {3: {TWO[1]: UPLOADED}}),
                    ),
                ),
                *two,
                ("time", (passing(5),)),
            ),
        ),
        "takeover": Scenario(
            covers="a claim and its record against a publisher, a zombie that goes on, and time",
            before=on_air(),
            actors=(zombie, claimant, two[0], ("time", (passing(5),))),
        ),
        "succession": Scenario(
            covers="the first media of a session whose claim was just made, against a publisher and time",
            before=on_air(),
            actors=((claimant[0], (*claimant[1], *newcomer[1])), two[0], ("time", (passing(5),))),
        ),
        "rivals": Scenario(
            covers="two claims at once, of which one may be refused, against a publisher and time",
            before=on_air(),
            actors=(
                ("claimant b", (claiming(B, make=make_claims),)),
                ("claimant c", (claiming(C, make=make_claims),)),
                two[0],
                ("time", (passing(5),)),
            ),
        ),
        "end": Scenario(
            covers="the owner ends the broadcast while its tail comes and another broadcast begins",
            before=(*on_air(), uploading(FIRST, A, tail)),
            actors=(("owner", (ending(),)), leaving, claimant, two[0]),
        ),
    }
