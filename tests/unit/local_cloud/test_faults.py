from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.faults import (
    UNHARMED,
    CallFate,
    Delay,
    EventFaults,
    FaultPlan,
    Faults,
    FirestoreFaults,
    FunctionFaults,
    InvalidFaults,
    ReadFaults,
    Refusal,
    UploadFaults,
    call_fate,
    event_deliveries,
    parse_options,
    parse_plan,
    plan_json,
    upload_fate,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LATER = timedelta(hours=1)
chances = st.floats(0, 1)
seconds = st.floats(0, 100)
plans = st.builds(
    FaultPlan,
    events=st.lists(
        st.builds(
            EventFaults,
            bucket=st.text(max_size=3),
            name=st.text(max_size=3),
            delay=st.tuples(seconds, seconds).map(lambda both: Delay(median=min(both), p99=max(both))),
            loss=chances,
            lose_seconds=seconds,
            repeat=chances,
            reorder=chances,
            reorder_seconds=seconds,
        ),
        max_size=2,
    ).map(tuple),
    uploads=st.lists(
        st.builds(
            UploadFaults,
            bucket=st.text(max_size=3),
            name=st.text(max_size=3),
            too_many_requests=chances,
            unavailable=chances,
            bytes_per_second=st.none() | st.integers(1, 1 << 40),
            cut=chances,
            cut_after_bytes=st.integers(0, 1 << 40),
            lose_answer=chances,
        ),
        max_size=2,
    ).map(tuple),
    reads=st.lists(st.builds(ReadFaults, bucket=st.text(max_size=3), unavailable=chances, cut=chances)).map(
        tuple
    ),
    firestore=st.lists(st.builds(FirestoreFaults, name=st.text(max_size=3), aborted=chances)).map(tuple),
    functions=st.lists(st.builds(FunctionFaults, error=chances, lose_answer=chances)).map(tuple),
)


def deliveries(
    rule: EventFaults, *, count: int = 1000, since: timedelta = LATER
) -> list[tuple[timedelta, ...]]:
    random = Random(1)
    return [event_deliveries(rule, since=since, random=random) for _ in range(count)]


@given(plans)
def test_a_plan_is_read_back_as_it_was_told(plan: FaultPlan) -> None:
    assert parse_plan(plan_json(plan)) == plan


@given(plans, st.integers(0, 5))
def test_the_same_seed_gives_the_same_fates(plan: FaultPlan, seed: int) -> None:
    def fates() -> list[object]:
        faults = Faults(Random(seed))
        faults.set(plan, now=NOW)
        events = [faults.event_deliveries("", "", now=NOW + LATER) for _ in range(5)]
        return [*events, *(faults.upload_fate("", "") for _ in range(5))]

    assert fates() == fates()


def test_without_faults_each_event_is_delivered_once_and_at_once() -> None:
    assert set(deliveries(EventFaults())) == {(timedelta(0),)}
    assert Faults(Random(1)).event_deliveries("ingest", "a", now=NOW) == (timedelta(0),)


def test_about_as_many_events_are_lost_as_asked_for() -> None:
    assert 250 < deliveries(EventFaults(loss=0.3)).count(()) < 350


def test_events_are_lost_for_a_time_span() -> None:
    rule = EventFaults(lose_seconds=10)
    assert set(deliveries(rule, since=timedelta(seconds=9))) == {()}
    assert set(deliveries(rule, since=timedelta(seconds=10))) == {(timedelta(0),)}


def test_repeated_events_are_delivered_twice() -> None:
    counts = [len(copies) for copies in deliveries(EventFaults(repeat=0.5))]
    assert set(counts) == {1, 2}
    assert 400 < counts.count(2) < 600


def test_reordered_events_are_held_back_by_different_times() -> None:
    delays = [copies[0] for copies in deliveries(EventFaults(reorder=1, reorder_seconds=2))]
    assert delays != sorted(delays)
    assert timedelta(0) <= min(delays) < max(delays) <= timedelta(seconds=2)


def test_delays_follow_their_median_and_99th_percentile() -> None:
    rule = EventFaults(delay=Delay(median=0.2, p99=2.0))
    delays = sorted(copies[0].total_seconds() for copies in deliveries(rule, count=5000))
    assert 0.18 < delays[2500] < 0.22
    assert 1.5 < delays[4950] < 2.7


def test_a_fixed_delay_is_the_same_for_all() -> None:
    rule = EventFaults(delay=Delay(median=0.5, p99=0.5))
    assert set(deliveries(rule)) == {(timedelta(seconds=0.5),)}


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        (UploadFaults(too_many_requests=1), Refusal.TOO_MANY_REQUESTS),
        (UploadFaults(unavailable=1), Refusal.UNAVAILABLE),
        (UploadFaults(), None),
    ],
)
def test_uploads_are_refused_as_asked_for(rule: UploadFaults, refusal: Refusal | None) -> None:
    assert upload_fate(rule, random=Random(1)).refusal == refusal


def test_cut_and_slow_uploads_say_how() -> None:
    rule = UploadFaults(cut=1, cut_after_bytes=7, bytes_per_second=9, lose_answer=1)
    fate = upload_fate(rule, random=Random(1))
    assert (fate.cut_after_bytes, fate.bytes_per_second, fate.answer_lost) == (7, 9, True)


def test_the_first_rule_that_matches_holds() -> None:
    faults = Faults(Random(1))
    plan = FaultPlan(
        uploads=(UploadFaults(bucket="media", name="*.m3u8"), UploadFaults(bucket="media", unavailable=1))
    )
    faults.set(plan, now=NOW)
    assert faults.upload_fate("media", "s/playlist.m3u8") == UNHARMED
    assert faults.upload_fate("media", "s/1.ts").refusal == Refusal.UNAVAILABLE
    assert faults.upload_fate("ingest", "s/1.ts") == UNHARMED


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ([], "an object with"),
        ({"downloads": []}, "an object with"),
        ({"events": {}}, "events: a list"),
        ({"events": [1]}, "each rule must be an object"),
        ({"events": [{"lost": 1}]}, "no fault is called 'lost'"),
        ({"events": [{"loss": 2}]}, "events.loss: a number from 0 to 1"),
        ({"events": [{"loss": "1"}]}, "events.loss"),
        ({"events": [{"loss": True}]}, "events.loss"),
        ({"events": [{"loss": float("nan")}]}, "events.loss"),
        ({"events": [{"delay": {"median": 2, "p99": 1}}]}, "must not be below"),
        ({"events": [{"delay": {"mean": 2}}]}, "events.delay"),
        ({"events": [{"name": 1}]}, "events.name: a pattern"),
        ({"uploads": [{"bytes_per_second": 0}]}, "uploads.bytes_per_second: a number from 1"),
        ({"uploads": [{"cut_after_bytes": -1}]}, "uploads.cut_after_bytes"),
        ({"uploads": [{}] * 101}, "at most 100 rules"),
    ],
)
def test_a_description_that_cannot_be_followed_is_refused_with_the_reason(description: Any, said: str) -> None:
    with pytest.raises(InvalidFaults, match=said):
        parse_plan(description)


def test_options_of_the_command_line_make_a_plan() -> None:
    options = ["events.delay=0.2,1.5", "events.loss=0.1", "uploads.name=*.ts", "uploads.bytes_per_second=1000"]
    assert parse_options(options) == FaultPlan(
        events=(EventFaults(delay=Delay(median=0.2, p99=1.5), loss=0.1),),
        uploads=(UploadFaults(name="*.ts", bytes_per_second=1000),),
    )
    assert parse_options(["events.delay=0.2"]).events[0].delay == Delay(median=0.2, p99=0.2)


@pytest.mark.parametrize(
    "option", ["loss=1", "events.loss", "events.loss=x", "events.loss=1,2", "disks.full=1"]
)
def test_options_that_cannot_be_followed_are_refused(option: str) -> None:
    with pytest.raises(InvalidFaults):
        parse_options([option])


@pytest.mark.parametrize(
    ("rule", "fate"),
    [
        (ReadFaults(too_many_requests=1), CallFate(refusal=Refusal.TOO_MANY_REQUESTS)),
        (ReadFaults(unavailable=1, cut=1), CallFate(refusal=Refusal.UNAVAILABLE)),
        (ReadFaults(cut=1), CallFate(answer_lost=True)),
        (FirestoreFaults(aborted=1), CallFate(refusal=Refusal.ABORTED)),
        (FirestoreFaults(deadline_exceeded=1), CallFate(refusal=Refusal.DEADLINE_EXCEEDED)),
        (FirestoreFaults(lose_answer=1), CallFate(answer_lost=True)),
        (FunctionFaults(error=1, lose_answer=1), CallFate(refusal=Refusal.ERROR)),
        (FunctionFaults(), CallFate()),
    ],
)
def test_calls_fail_as_asked_for(rule: ReadFaults | FirestoreFaults | FunctionFaults, fate: CallFate) -> None:
    assert call_fate(rule, random=Random(1)) == fate


def test_calls_are_harmed_by_name_and_counted_by_fault() -> None:
    faults = Faults(Random(1))
    plan = FaultPlan(
        events=(EventFaults(loss=1),),
        uploads=(UploadFaults(unavailable=1),),
        reads=(ReadFaults(bucket="ingest", cut=1),),
        firestore=(FirestoreFaults(name="Commit", lose_answer=1),),
        functions=(FunctionFaults(name="reap", error=1),),
    )
    faults.set(plan, now=NOW)
    faults.event_deliveries("ingest", "a", now=NOW)
    faults.upload_fate("media", "a")
    assert faults.read_fate("media", "a") == faults.firestore_fate("GetDocument") == CallFate()
    assert faults.read_fate("ingest", "a").answer_lost
    assert faults.firestore_fate("Commit").answer_lost
    assert faults.function_fate("publish") == CallFate()
    assert faults.function_fate("reap").refusal is Refusal.ERROR
    assert faults.drawn == {
        "events.lost": 1,
        "uploads.unavailable": 1,
        "reads.lose_answer": 1,
        "firestore.lose_answer": 1,
        "functions.error": 1,
    }
