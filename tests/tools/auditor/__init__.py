"""The auditor: reads every generation of every object that viewers saw, and says which rules were broken.

`audit` is pure; `collect` reads the local cloud's journal, `probe` looks into segments, `poll` watches a stream
over HTTP as a player does. An audit expects a stream at rest: while one is being published, the last state and
the last playlists may be a moment apart.
"""

from collections.abc import Iterable, Mapping

from tools.auditor.history import read_histories
from tools.auditor.journal import MediaFacts, ObjectGeneration, Rule, Violation
from tools.auditor.media_rules import MEDIA_RULES
from tools.auditor.object_rules import OBJECT_RULES
from tools.auditor.playlist_rules import PLAYLIST_RULES
from tools.auditor.state_rules import STATE_RULES

__all__ = ["MediaFacts", "ObjectGeneration", "Rule", "Violation", "audit"]


def audit(
    journal: Iterable[ObjectGeneration], media: Mapping[str, MediaFacts] | None = None
) -> list[Violation]:
    """Return every violation in *journal*; *media* are the facts of its segments, by name, as far as known."""
    histories, violations = read_histories(journal)
    for history in histories:
        for rule in (*PLAYLIST_RULES, *OBJECT_RULES, *STATE_RULES):
            violations.extend(rule(history))
        for media_rule in MEDIA_RULES:
            violations.extend(media_rule(history, media or {}))
    return violations
