"""The real handlers, explored: every order of their calls, every crash; and that a planted bug is found.

What the scenarios cover is said by each of them. All of it in one space (two publishers, a claimant, a zombie
encoder, three segments and two rungs, with time that passes) takes minutes: `scripts/model_check` explores it
whole, and here is as much of it as there is time for.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from bucketcast.handlers import publish
from bucketcast.handlers.claim import Claims
from bucketcast.handlers.publish import Publisher
from bucketcast.objects import ABSENT, Generation, NewObject, ObjectFacts
from bucketcast.ports import Bucket, StreamDocuments, Version
from bucketcast.stream.document import StreamDocument
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, StreamId
from bucketcast.stream.media_object import gap_object
from bucketcast.stream.publication import Evidence, advance, pending_seals
from bucketcast.stream.published_objects import REVISION_KEY
from bucketcast.stream.timeline import RungSegment
from fakes import EPOCH
from model_world import (
    BEGUN,
    TWO,
    Cuts,
    Scenario,
    check,
    claiming,
    claims,
    encoding,
    ending,
    going_live,
    media,
    on_air,
    passing,
    publisher,
    publishing,
    reaping,
    reporting,
    scenarios,
    start_of,
    uploading,
    whole,
)
from stream_world import FIRST, GAP, SEGMENT, SLOTS, STREAM, UPLOADED, A, B
from tools.model.exhaust import exhaust
from tools.model.explore import Explorer, Fate, Violation
from tools.model.ports import Ports
from tools.model.program import Programs
from tools.model.schedule import Turn, play
from tools.model.world import World

# The largest scenario has some 100 000 states; one that grows past this no longer fits into the suite.
MAX_STATES = 400_000
# Of all together, what can happen within a dozen calls and more.
FIRST_STATES = 50_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """What handlers log of crashes and recoveries fills a report of thousands of them."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("name", scenarios())
def test_no_order_of_calls_and_no_crash_breaks_a_promise(name: str) -> None:
    """P1, P2, P4 and P7 after every step; P3 and P4 after a recovery from every world."""
    scenario = scenarios()[name]
    checked = check()
    explored = checked.explore(scenario.start(checked), scenario.actors, limit=MAX_STATES)
    print(f"{name}: {explored}, {checked.recoveries} recoveries")
    assert explored.is_all
    assert explored.worlds > len(scenario.actors)


def test_no_first_steps_of_all_together_break_a_promise() -> None:
    """Breadth first: every order of the calls up to some depth."""
    scenario = whole()
    checked = check()
    explored = checked.explore(scenario.start(checked), scenario.actors, limit=FIRST_STATES)
    print(f"whole: {explored}, {checked.recoveries} recoveries")
    assert explored.states >= FIRST_STATES


@pytest.mark.parametrize("name", ["takeover", "succession", "rivals", "end", "handover"])
def test_what_the_exploration_leaves_out_leads_to_no_other_world(name: str) -> None:
    """Without its reductions: the same buckets and documents, and the same seen by viewers, in more orders."""
    scenario = scenarios()[name]
    checked = check()
    start = scenario.start(checked)

    def worlds(*, reduced: bool) -> tuple[int, set[World]]:
        reached: set[World] = set()
        programs, laws = Programs(checked.cells), checked.promises
        explorer = Explorer(programs, laws, scenario.actors, start, reached=reached.add, reduced=reduced)
        return exhaust(explorer).states, reached

    states, reached = worlds(reduced=True)
    all_states, all_reached = worlds(reduced=False)
    assert reached == all_reached
    assert states < all_states


# Planted bugs


def broken(scenario: Scenario) -> Violation:
    """What the check finds in *scenario*, which it must; the trace is printed."""
    checked = check()
    with pytest.raises(Violation) as found:
        checked.explore(scenario.start(checked), scenario.actors, limit=MAX_STATES)
    print(f"{len(found.value.trace)} calls: {found.value}")
    return found.value


class Altered:
    """A port, some of whose methods are not what they should be."""

    def __init__(self, port: Bucket | StreamDocuments, **methods: Callable[..., Any]) -> None:
        self._port = port
        self._methods = methods

    def __getattr__(self, name: str) -> Any:
        return self._methods.get(name) or getattr(self._port, name)


def with_media(alter: Callable[[Bucket], Mapping[str, Callable[..., Any]]]) -> Callable[[Ports], Publisher]:
    """Publishers whose media bucket is altered."""

    def make(ports: Ports) -> Publisher:
        altered: Any = Altered(ports.media, **alter(ports.media))
        return replace(publisher(ports), media=altered)

    return make


def deciding(decide: Callable[..., StreamDocument]) -> Callable[[Ports], Publisher]:
    """Publishers that *decide* otherwise; who recovers from them does not."""

    class Deciding(Publisher):
        def publish(self, stream: StreamId) -> StreamDocument:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(publish, "advance", decide)
                return Publisher.publish(self, stream)

    def make(ports: Ports) -> Publisher:
        whole = publisher(ports)
        return Deciding(**{name: getattr(whole, name) for name in whole.__dataclass_fields__})

    return make


def replacing_afresh(documents: StreamDocuments) -> Any:
    """Documents that are replaced whatever was stored since they were read."""

    def replace_afresh(document: StreamDocument, *, version: Version) -> None:
        there = documents.read(document.stream)
        documents.replace(document, version=there.version if there else version)

    return Altered(documents, replace=replace_afresh)


def test_a_playlist_that_is_written_without_precondition_is_found() -> None:
    def alter(bucket: Bucket) -> Mapping[str, Callable[..., Any]]:
        def write(new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            there = bucket.facts(new.name) if REVISION_KEY in new.metadata else None
            return bucket.write(new, if_generation=there.generation if there else if_generation)

        return {"write": write}

    assert broken(scenarios(with_media(alter))["growth"]).promise == "P2"


def test_a_revision_that_is_not_compared_is_found() -> None:
    def alter(bucket: Bucket) -> Mapping[str, Callable[..., Any]]:
        def facts(name: str) -> ObjectFacts | None:
            there = bucket.facts(name)
            return there and replace(
                there, metadata={k: v for k, v in there.metadata.items() if k != REVISION_KEY}
            )

        return {"facts": facts}

    assert broken(scenarios(with_media(alter))["growth"]).promise == "P2"


def test_a_seal_that_is_decided_before_the_last_merge_is_found() -> None:
    """It ends the session at what is published, although the timelines hold more."""

    def hasty(document: StreamDocument, evidence: Evidence, **keywords: Any) -> StreamDocument:
        unmerged = {n: with_fields(t, segments={}) for n, t in evidence.timelines.items()}
        sealing = advance(document, with_fields(evidence, timelines=unmerged), **keywords)
        return sealing if pending_seals(sealing) else advance(document, evidence, **keywords)

    assert broken(scenarios(deciding(hasty))["farewell"]).promise == "P10"


def test_a_gap_that_a_timeline_decides_is_found() -> None:
    """An encoder says that it gave up what another is about to create."""
    given_up = EncoderId("d")
    cuts: Cuts = {3: {TWO[0]: GAP, TWO[1]: UPLOADED}}
    actors = (
        ("zombie", (encoding(FIRST, A, media([3]), before=BEGUN),)),
        ("replacement", (uploading(FIRST, A, {3: {TWO[1]: UPLOADED}}), reporting(FIRST, given_up, cuts))),
        ("publisher", (publishing(),)),
    )
    assert broken(Scenario(covers="", before=on_air(), actors=actors)).promise == "P4"


def test_a_gap_that_is_listed_before_it_is_created_is_found() -> None:
    """Sealing gives up what a rung lacks; who only says so loses to an upload that comes late."""

    def alter(bucket: Bucket) -> Mapping[str, Callable[..., Any]]:
        def write(new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            if new.metadata.get("gap") == "true":
                return _facts_of(new)
            return bucket.write(new, if_generation=if_generation)

        def facts(name: str) -> ObjectFacts | None:
            there = bucket.facts(name)
            if there is None and name.endswith("_00000001_0000000003.ts"):
                return _facts_of(
                    gap_object(
                        STREAM, TWO[1], FIRST, SegmentIndex(3), start=3 * SEGMENT, duration=SEGMENT, date=EPOCH
                    )
                )
            return there

        return {"write": write, "facts": facts}

    assert broken(scenarios(with_media(alter))["drain"]).promise == "P4"


def _facts_of(new: NewObject) -> ObjectFacts:
    return ObjectFacts(
        name=new.name, generation=Generation(1), size=0, crc32c="", updated=EPOCH, metadata=new.metadata
    )


def test_a_session_that_begins_before_the_seal_of_the_one_before_is_written_is_found() -> None:
    def trusting(document: StreamDocument, evidence: Evidence, **keywords: Any) -> StreamDocument:
        decided = advance(document, evidence, **keywords)
        seals = {seal.session: seal for seal in pending_seals(decided)}
        return advance(decided, with_fields(evidence, seals={**evidence.seals, **seals}), **keywords)

    assert broken(scenarios(deciding(trusting))["handover"]).promise == "P7"


def test_a_claim_without_precondition_is_found() -> None:
    """Neither on the document nor on the record, each of which would do to keep two encoders apart."""

    def make(ports: Ports) -> Claims:
        def write(new: NewObject, *, if_generation: Generation) -> ObjectFacts:
            there = ports.ingest.facts(new.name)
            return ports.ingest.write(new, if_generation=there.generation if there else ABSENT)

        ingest: Any = Altered(ports.ingest, write=write)
        return replace(claims(ports), documents=replacing_afresh(ports.documents), ingest=ingest)

    broken(scenarios(make_claims=make)["rivals"])


def test_a_document_that_a_publisher_replaces_without_precondition_is_found() -> None:
    """It forgets a claim that came in the meantime, of few actors and of all together."""

    def make(ports: Ports) -> Publisher:
        return replace(publisher(ports), documents=replacing_afresh(ports.documents))

    broken(scenarios(make)["farewell"])
    broken(whole(make))


# Beyond what can be explored

TURNS = st.lists(
    st.builds(
        Turn,
        actor=st.integers(0, 11),
        calls=st.integers(1, 30),
        fate=st.sampled_from([Fate.DONE, Fate.DONE, Fate.DONE, Fate.REFUSED, Fate.ANSWER_LOST]),
    ),
    max_size=30,
)


@st.composite
def cuts(draw: st.DrawFn, first: int, last: int) -> Cuts:
    """What an encoder makes of the segments from *first* to *last*: media, gaps, and rungs never done."""
    rungs: list[RungName] = list(SLOTS)
    fact: st.SearchStrategy[RungSegment] = st.sampled_from([UPLOADED, UPLOADED, UPLOADED, GAP])
    return {
        index: {rung: draw(fact) for rung in draw(st.sampled_from([rungs, rungs, rungs[:2], rungs[2:]]))}
        for index in range(first, last)
    }


@st.composite
def large(draw: st.DrawFn) -> Scenario:
    """Three publishers, the reaper, an owner, two claimants, and two encoders of the session before."""
    begun = media([0, 1, 2], SLOTS)
    length = draw(st.integers(4, 10))
    seam = draw(st.integers(3, 4))
    publishers = tuple((f"publisher {n}", (publishing(),) * 3) for n in range(3))
    before = (
        claiming(A, rungs=SLOTS),
        uploading(FIRST, A, begun),
        reporting(FIRST, A, begun),
        publishing(),
        passing(5),
    )
    replacement = EncoderId("d")
    actors = (
        *publishers,
        ("reaper", (reaping(),) * 2),
        (
            "zombie",
            (encoding(FIRST, A, draw(cuts(3, length)), before=begun, ended=draw(st.booleans()), waits=True),),
        ),
        (
            "replacement",
            (encoding(FIRST, replacement, draw(cuts(seam, length)), waits=True, start=start_of(A)),),
        ),
        *((f"claimant {e}", (going_live(e, draw(cuts(0, 3))),)) for e in (B, EncoderId("c"))),
        ("owner", (ending(),) if draw(st.booleans()) else (passing(1),)),
        ("time", tuple(passing(seconds) for seconds in (2, 5, 5, 12))),
    )
    return Scenario(covers="", before=before, actors=actors)


# A few hundred; with `--hypothesis-profile=explore` a few thousand.
@settings(max_examples=3 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(large(), TURNS)
def test_no_schedule_of_a_larger_world_breaks_a_promise(scenario: Scenario, turns: list[Turn]) -> None:
    """With calls that get no answer, done or not, and whoever is not finished dead at the end."""
    checked = check(SLOTS)
    play(checked.explorer(scenario.start(checked), scenario.actors), turns)
