"""A finding says how long no new pictures came, and whether they come again at the end."""

from hypothesis import given
from hypothesis import strategies as st

from player_survey.finding import ORDINARY_PAUSE, Sample, find, pauses

RATE = 30
STEP = 0.5


def samples(*stretches: tuple[float, bool | None]) -> list[Sample]:
    """Looks twice a second over *stretches* of seconds in which it plays, stands still (False) or is gone."""
    found, at, pictures = [Sample(at=0.0, pictures=0)], 0.0, 0
    for seconds, plays in stretches:
        for _ in range(int(seconds / STEP)):
            at += STEP
            pictures += int(RATE * STEP) if plays else 0
            found.append(Sample(at=at, pictures=None if plays is None else pictures))
    return found


def test_a_player_that_never_stops_plays_on() -> None:
    finding = find("a", "nothing", samples((40, True)))
    assert finding.plays
    assert finding.cell == "plays on (0.5 s)"


def test_a_player_that_stops_and_goes_on_comes_back() -> None:
    finding = find("a", "cut", samples((5, True), (12, False), (20, True)))
    assert finding.plays
    assert finding.longest_pause == 12.5
    assert finding.cell == "comes back, 12 s"


def test_a_player_that_stands_still_at_the_end_does_not_play() -> None:
    finding = find("a", "cut", samples((20, True), (20, False)))
    assert not finding.plays
    assert not finding.gone
    assert finding.longest_pause == 20
    assert finding.cell == "stands still; opening again does not help"


def test_a_player_that_has_gone_does_not_play_however_lately() -> None:
    finding = find("a", "end", samples((30, True), (1, None)))
    assert finding.gone
    assert not finding.plays


def test_a_few_pictures_are_halting() -> None:
    found = [Sample(at=float(second), pictures=5 * second) for second in range(40)]
    finding = find("a", "cut", found)
    assert not finding.plays
    assert finding.cell.startswith("comes back halting, 1 s, 5 pictures/s")


def test_a_count_that_begins_anew_is_new_pictures() -> None:
    """A player that opens its media again by itself counts from nought."""
    before = samples((10, True))
    after = [Sample(at=10 + one.at, pictures=one.pictures) for one in samples((10, True))[1:]]
    finding = find("a", "cut", [*before, *after])
    assert finding.plays
    assert finding.longest_pause == STEP


def test_what_comes_in_whole_segments_plays_on() -> None:
    found = [Sample(at=tick * STEP, pictures=tick // 4 * 2 * RATE) for tick in range(80)]
    finding = find("ffprobe", "nothing", found)
    assert finding.plays
    assert finding.longest_pause <= ORDINARY_PAUSE


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([True, False, None])), min_size=1))
def test_pauses_make_up_the_whole_time(stretches: list[tuple[float, bool | None]]) -> None:
    found = samples(*stretches)
    assert sum(pauses(found)) == found[-1].at
