from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vod.facts import VodFacts, facts_object, sampled_segments, vod_facts
from unit.ingest.vod.vod_plans import HIGH, LOW, NAMES, plan_of, recording, rungs_of


def test_facts_say_what_was_made_and_survive_being_stored() -> None:
    plan = plan_of(recording())
    facts = vod_facts(plan, NAMES, rungs_of(plan), vmaf=[93.5])
    assert (facts.frames, facts.segments, facts.bytes, facts.vmaf) == (600, 4, 480_000, 93.5)
    assert [(rung.name, rung.bytes, rung.average_bandwidth) for rung in facts.rungs] == [
        (HIGH, 240_000, 96_000),
        (LOW, 240_000, 96_000),
    ]
    assert facts.multivariant_playlist == NAMES.multivariant_playlist
    made = facts_object(NAMES, facts)
    assert made.name == NAMES.facts
    assert msgspec.json.decode(made.content, type=VodFacts) == facts
    assert (facts.source, b"files" in made.content) == (plan.sources[0].name, False)


def test_facts_of_several_files_name_each_and_tell_the_lowest_vmaf() -> None:
    plan = plan_of(recording(), recording(width=360, height=640, duration=Fraction(8), has_audio=False))
    facts = vod_facts(plan, NAMES, rungs_of(plan), vmaf=[93.5, 91.25])
    assert isinstance(facts.files, tuple)
    assert [(file.source[-17:], file.frames, file.segments, file.vmaf) for file in facts.files] == [
        ("7/full_stream.mp4", 600, 4, 93.5),
        ("full_stream_2.mp4", 240, 2, 91.25),
    ]
    assert (facts.source, facts.vmaf) == (facts.files[0].source, 91.25)
    assert (facts.frames, facts.segments, facts.duration) == (840, 6, timedelta(seconds=28))
    assert [(rung.name, rung.width, rung.height) for rung in facts.rungs] == [
        (HIGH, 1280, 720),
        (LOW, 640, 360),
    ]
    # Four segments of both rungs, and two of one that both slots list.
    assert [rung.bytes for rung in facts.rungs] == [360_000, 360_000]
    assert facts.bytes == 600_000
    made = facts_object(NAMES, facts)
    assert msgspec.json.decode(made.content, type=VodFacts) == facts


@pytest.mark.parametrize("vmaf", [[None, None], [95.0, None]])
def test_a_vmaf_that_is_not_known_of_every_file_is_not_told_of_all(vmaf: list[float | None]) -> None:
    plan = plan_of(recording(), recording(width=360, height=640))
    assert vod_facts(plan, NAMES, rungs_of(plan), vmaf=vmaf).vmaf is None


@given(segments=st.integers(1, 7_200), samples=st.integers(1, 20))
def test_samples_are_spread_over_the_recording(segments: int, samples: int) -> None:
    chosen = sampled_segments(segments, samples)
    assert len(set(chosen)) == len(chosen) == min(segments, samples)
    assert all(0 <= index < segments for index in chosen)
    assert chosen == sorted(chosen)


def test_the_middle_of_each_part_stands_for_it() -> None:
    assert list(sampled_segments(100, 5)) == [10, 30, 50, 70, 90]
