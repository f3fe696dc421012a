"""`python -m tools.auditor URL BUCKET [STREAM]`: audit what a local cloud has written so far."""

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise

import requests

from tools.auditor import MediaFacts, ObjectGeneration, audit
from tools.auditor.collect import collect, probe_segments
from tools.auditor.history import StreamHistory, read_histories

# Of one broken rule, so many examples are enough to find the cause.
_EXAMPLES = 10


def main(arguments: list[str]) -> int:
    """Print a summary and what was violated; return 1 if anything was, 2 if the journal cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tools.auditor", description=__doc__)
    parser.add_argument("url", help="the local cloud, such as http://127.0.0.1:8080")
    parser.add_argument("bucket", help="the media bucket")
    parser.add_argument("stream", nargs="?", help="one stream; all of them if none is given")
    parser.add_argument("--no-media", action="store_true", help="do not look into the segments")
    options = parser.parse_args(arguments)
    try:
        journal = collect(options.url, options.bucket, stream=options.stream)
        media = {} if options.no_media else probe_segments(options.url, journal)
    except requests.RequestException as error:
        print(f"auditor: {error}", file=sys.stderr)
        return 2
    histories, _ = read_histories(journal)
    for history in histories:
        print(summary(history, media))
    if not histories:
        print(f"nothing was written to {options.bucket}/{options.stream or ''}")
        return 1
    return _report(journal, media)


def summary(history: StreamHistory, media: Mapping[str, MediaFacts]) -> str:
    """Return one line on how much of *history* there was to audit."""
    generations = sum(1 for _ in history.playlists())
    sessions = {listed.session for generation in history.playlists() for listed in generation.listed}
    gaps = {
        (generation.written.name, listed.number)
        for generation in history.playlists()
        for listed in generation.listed
        if listed.segment.gap
    }
    probed = sum(name in media for name in history.segments)
    return (
        f"{history.stream}: {len(history.renditions)} renditions, {generations} media playlists, "
        f"{len(sessions)} sessions, {len(history.segments)} segments ({probed} looked into), {len(gaps)} gaps, "
        f"longest time between two playlists {longest_pause(history).total_seconds():.3f} s"
    )


def longest_pause(history: StreamHistory) -> timedelta:
    """Return the longest time in which a live media playlist stayed as it was."""
    return max(
        (
            after.written.created - before.written.created
            for generations in history.renditions.values()
            for before, after in pairwise(generations)
            if not before.playlist.ended
        ),
        default=timedelta(0),
    )


def _report(journal: Sequence[ObjectGeneration], media: Mapping[str, MediaFacts]) -> int:
    violations = audit(journal, media)
    for rule, count in Counter(violation.rule for violation in violations).items():
        print(f"\n{rule.name}: {count} violations of: {rule}")
        for violation in [violation for violation in violations if violation.rule is rule][:_EXAMPLES]:
            print(f"  {violation.name}#{violation.generation}: {violation.text}")
    if not violations:
        print("no violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
