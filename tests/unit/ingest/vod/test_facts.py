import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ingest.vod.facts import VodFacts, facts_object, sampled_segments, vod_facts
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording, rungs_of


def test_facts_say_what_was_made_and_survive_being_stored() -> None:
    plan = plan_of(recording())
    facts = vod_facts(plan, NAMES, rungs_of(plan), vmaf=93.5)
    assert (facts.frames, facts.segments, facts.bytes, facts.vmaf) == (600, 4, 480_000, 93.5)
    assert [(rung.name, rung.bytes, rung.average_bandwidth) for rung in facts.rungs] == [
        (HIGH, 240_000, 96_000),
        (LOW, 240_000, 96_000),
    ]
    assert facts.multivariant_playlist == NAMES.multivariant_playlist
    made = facts_object(NAMES, facts)
    assert made.name == NAMES.facts
    assert msgspec.json.decode(made.content, type=VodFacts) == facts


@given(segments=st.integers(1, 7_200), samples=st.integers(1, 20))
def test_samples_are_spread_over_the_recording(segments: int, samples: int) -> None:
    chosen = sampled_segments(segments, samples)
    assert len(set(chosen)) == len(chosen) == min(segments, samples)
    assert all(0 <= index < segments for index in chosen)
    assert chosen == sorted(chosen)


def test_the_middle_of_each_part_stands_for_it() -> None:
    assert list(sampled_segments(100, 5)) == [10, 30, 50, 70, 90]
