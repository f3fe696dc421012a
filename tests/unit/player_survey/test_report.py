"""Findings become a table that has a cell for each player and disturbance."""

from player_survey.finding import Finding
from player_survey.report import MOST_COMPLAINTS, table, words


def finding(player: str, disturbance: str, *complaints: str) -> Finding:
    return Finding(
        player=player,
        disturbance=disturbance,
        longest_pause=0.5,
        quiet=0,
        rate=30.0,
        gone=False,
        complaints=complaints,
    )


def test_the_table_has_a_row_for_each_disturbance_and_a_column_for_each_player() -> None:
    found = [finding("a", "gap"), finding("b", "gap"), finding("b", "cut")]
    assert table(found).splitlines() == [
        "| | a | b |",
        "|---|---|---|",
        "| gap | plays on (0.5 s) | plays on (0.5 s) |",
        "| cut |  | plays on (0.5 s) |",
    ]


def test_complaints_are_counted_and_the_rarest_left_out() -> None:
    often = [str(number) for number in range(MOST_COMPLAINTS)]
    said = words([finding("a", "gap", "once", *often, *often), finding("b", "gap")])
    assert said == "- gap; a: 2 x 0, 2 x 1, 2 x 2, 2 x 3"
