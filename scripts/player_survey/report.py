"""Findings as people read them: a table, and what the players themselves said."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from player_survey.finding import Finding

# The same complaint may be told a thousand times; which ones there are is soon known.
MOST_COMPLAINTS: Final = 4


def table(findings: Sequence[Finding]) -> str:
    """The *findings* in Markdown: a row for each disturbance, a column for each player."""
    players = list(dict.fromkeys(finding.player for finding in findings))
    rows = [f"| | {' | '.join(players)} |", f"|---|{'---|' * len(players)}"]
    for disturbance in dict.fromkeys(finding.disturbance for finding in findings):
        cells = {finding.player: finding.cell for finding in findings if finding.disturbance == disturbance}
        rows.append(f"| {disturbance} | {' | '.join(cells.get(player, '') for player in players)} |")
    return "\n".join(rows)


def words(findings: Sequence[Finding]) -> str:
    """What the players told, a line for each that told something, the most frequent first."""
    lines = []
    for finding in findings:
        told = Counter(finding.complaints).most_common(MOST_COMPLAINTS)
        if told:
            said = ", ".join(f"{count} x {text}" for text, count in told)
            lines.append(f"- {finding.disturbance}; {finding.player}: {said}")
    return "\n".join(lines)
