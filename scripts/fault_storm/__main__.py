"""Broadcast in compressed time under a seeded storm of faults, then audit all that was written.

The seed fixes the story (who broadcasts, crashes, comes back when) and the dice of the faults. It does not fix
in which order threads and processes run, so that two runs of one seed are alike and not the same. What is in
the segments is not looked into: they hold no pictures.
"""

import argparse
import logging
import secrets
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from fault_storm.storm import Outcome, StormOptions, run_storm

# Of one broken rule, so many examples are enough to find the cause.
EXAMPLES: Final = 10


def main() -> int:
    """Run the storm that the command line asks for; return 1 if anything is broken."""
    options = _options()
    logging.basicConfig(level=logging.CRITICAL if not options.logs else logging.WARNING)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    outcome = run_storm(
        StormOptions(
            seed=seed,
            media=timedelta(hours=options.hours),
            streams=options.streams,
            factor=options.factor,
            journals=options.journals,
        ),
        say=lambda text: print(text, flush=True) if options.verbose else None,
    )
    print(table(outcome, took=timedelta(seconds=time.monotonic() - began)))
    print(_verdict(outcome, seed))
    return 1 if outcome.findings else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/storm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, help="the storm to run again; drawn and printed if none is given")
    parser.add_argument("--hours", type=float, default=1.0, help="media on all streams together (default: 1)")
    parser.add_argument("--streams", type=int, default=5, help="streams at the same time (default: 5)")
    parser.add_argument(
        "--factor", type=float, default=6.0, help="how fast time goes; lower on a slow machine (default: 6)"
    )
    parser.add_argument("--journals", type=Path, help="a folder in which to leave what both buckets held")
    parser.add_argument("--verbose", action="store_true", help="tell the weather as it changes")
    parser.add_argument("--logs", action="store_true", help="show what the parts log: warnings, many of them")
    return parser.parse_args()


def table(outcome: Outcome, *, took: timedelta) -> str:
    """What was done, in short."""
    volume = outcome.volume
    return "\n".join(
        [
            f"media {outcome.media}, compressed {outcome.lasted}, took {took}",
            _rows(
                "written",
                {
                    "sessions": volume.sessions,
                    "broadcasts": volume.broadcasts,
                    "media playlists": volume.playlists,
                    "segments": volume.segments,
                    "gaps": volume.gaps,
                    "segments listed": volume.listed,
                    "segments the window passed over": volume.passed_over,
                    "objects behind their seal": volume.unsealed,
                },
            ),
            _rows("runs and calls", outcome.counts),
            _rows("faults", outcome.faults),
            _rows("weather", outcome.weather),
        ]
    )


def _rows(title: str, values: Mapping[str, int]) -> str:
    rows = [f"  {name:<44}{value:>8}" for name, value in sorted(values.items())]
    return "\n".join([f"\n{title}", *rows])


def _verdict(outcome: Outcome, seed: int) -> str:
    lines = []
    for (rule, meaning), count in Counter((found.rule, found.meaning) for found in outcome.findings).items():
        lines.append(f"\n{rule}: {count} violations of: {meaning}")
        examples = [found for found in outcome.findings if found.rule == rule][:EXAMPLES]
        lines += [f"  {found.where}: {found.text}" for found in examples]
    lines.append(f"\n{len(outcome.findings)} violations, seed {seed}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
