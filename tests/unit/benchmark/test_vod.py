"""A VOD is judged rung by rung: fewer bytes than live, and at least its VMAF, both against what was sent."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.figures import Figure, Outcome, Skipped, table
from benchmark.film import Film
from benchmark.vod import LENGTH, figures
from benchmark.vod_run import Encoded, Ladder, Recorded, Vod, VodRun
from bucketcast.stream.identifiers import RungName
from ingest.vod.plan import SEGMENT_DURATION, Compression, VodPreset

HIGH, LOW = RungName("720p"), RungName("360p")
GOAL = "fewer bytes at equal or better VMAF"


def run(
    live: Encoded, vod: Encoded, *, low_vod: Encoded | None = None, against_recording: float | None = 95.5
) -> VodRun:
    return VodRun(
        film=Film(width=1280, height=720, length=timedelta(seconds=20)),
        live=Ladder(rungs={HIGH: live, LOW: live}, cpu=10.0),
        vods={
            Recorded.SOURCE: Vod(
                rungs={HIGH: vod, LOW: low_vod or vod}, cpu=30.0, against_recording=against_recording
            )
        },
        compression=Compression(preset=VodPreset.SLOW, crf=21),
        live_preset="superfast",
    )


LIVE = Encoded(bytes=5_500_000, video_bytes=5_000_000, vmaf=90.0)
BETTER = Encoded(bytes=4_400_000, video_bytes=4_000_000, vmaf=90.5)


def named(outcomes: list[Outcome], name: str) -> Figure:
    [figure] = [one for one in outcomes if isinstance(one, Figure) and one.name == name]
    return figure


def test_bytes_are_told_by_the_second_of_media_with_and_without_sound() -> None:
    found = figures(run(LIVE, BETTER))
    for name, value in (
        ("live, pictures", 2000),
        ("live, with sound, in segments", 2200),
        ("VOD of the source, pictures", 1600),
        ("VOD of the source, with sound, in segments", 1760),
        ("VOD of the source by live, pictures", 80),
        ("VOD of the source by live, with sound, in segments", 80),
    ):
        assert named(found, f"720p: {name}").value == pytest.approx(value), name


def test_a_smaller_vod_that_looks_as_good_meets_the_goal() -> None:
    as_good = replace(BETTER, vmaf=LIVE.vmaf)
    assert named(figures(run(LIVE, as_good)), f"720p: VOD of the source: {GOAL}").is_met


@given(
    size=st.integers(1, 10_000_000),
    live_vmaf=st.floats(0, 100),
    vod_vmaf=st.floats(0, 100),
)
def test_the_goal_is_met_where_both_of_its_halves_are(size: int, live_vmaf: float, vod_vmaf: float) -> None:
    live = replace(LIVE, vmaf=live_vmaf)
    found = figures(run(live, Encoded(bytes=size, video_bytes=size, vmaf=vod_vmaf)))
    halves = (size <= LIVE.video_bytes, vod_vmaf >= live_vmaf)
    judged = named(found, f"720p: VOD of the source: {GOAL}")
    assert judged.is_met is all(halves)
    assert judged.value == halves.count(False)
    assert named(found, "720p: VOD of the source by live, pictures").is_met is halves[0]
    assert named(found, "720p: VOD of the source: VMAF that live has more").is_met is halves[1]


def test_each_rung_is_judged_by_itself() -> None:
    found = figures(run(LIVE, BETTER, low_vod=replace(BETTER, vmaf=89.0)))
    assert named(found, f"720p: VOD of the source: {GOAL}").is_met is True
    assert named(found, f"360p: VOD of the source: {GOAL}").is_met is False
    assert named(found, "360p: VOD of the source: VMAF that live has more").value == pytest.approx(1)


def test_without_libvmaf_bytes_are_told_and_nothing_is_claimed_of_quality() -> None:
    blind = replace(LIVE, vmaf=None)
    found = figures(run(blind, replace(BETTER, vmaf=None), against_recording=None))
    skipped = [one for one in found if isinstance(one, Skipped)]
    assert [one.name for one in skipped] == [
        "720p: live, VMAF",
        "360p: live, VMAF",
        "720p: VOD of the source, VMAF",
        "360p: VOD of the source, VMAF",
        "720p: VOD of the source, VMAF against the recording",
    ]
    assert all("libvmaf" in one.reason for one in skipped)
    assert named(found, "720p: VOD of the source by live, pictures").is_met
    assert not [one for one in found if one.name.endswith(GOAL)]


def test_effort_is_told_by_the_second_of_media() -> None:
    found = figures(run(LIVE, BETTER))
    assert named(found, "live, all rungs: CPU per second of media").value == pytest.approx(0.5)
    assert named(found, "VOD of the source, all rungs: CPU per second of media").value == pytest.approx(1.5)


def test_the_table_says_what_was_encoded_and_how() -> None:
    said = table(figures(run(LIVE, BETTER)))
    for words in ("1280x720", "drawn and not filmed", "superfast", "slow, CRF 21", "goal 0: met"):
        assert words in said


def test_what_the_job_measures_is_told_apart_from_what_viewers_see() -> None:
    found = figures(run(LIVE, BETTER))
    checked = named(found, "720p: VOD of the source, VMAF against the recording")
    assert checked.value == pytest.approx(95.5)
    assert checked.goal is None
    assert checked.method != named(found, "720p: VOD of the source, VMAF").method


def test_a_full_film_has_whole_segments_of_the_vod() -> None:
    """A rest would begin with a keyframe that no longer pays."""
    assert not LENGTH % SEGMENT_DURATION
