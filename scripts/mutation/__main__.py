"""Change the pure publication code, one thing at a time, and see whether its tests notice.

A change that no test notices is printed and fails the run, unless explained.toml says why none can; so does an
explanation of a change that is noticed, or that is no more. Every change is tried on the quick tests, what they
miss and nobody explained on the properties and on the model check too.
"""

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from mutation.change import Change, Mutant
from mutation.explained import EXPLAINED, Verdict, explained_changes, verdict
from mutation.mutants import mutants
from mutation.trial import survivors

PACKAGE: Final = "bucketcast.stream"
SOURCES: Final = Path("functions/bucketcast/stream")
MODULES: Final = ("publication", "window", "timeline", "claim", "document", "seal", "remains")
STREAM: Final = "tests/unit/bucketcast/stream"
HANDLERS: Final = "tests/unit/bucketcast/handlers"
# Those that notice most come first.
QUICK: Final = (
    f"{STREAM}/test_publication.py",
    f"{HANDLERS}/test_broadcasts.py",
    f"{STREAM}/test_window.py",
    f"{STREAM}/test_timeline.py",
    f"{STREAM}/test_claim.py",
    f"{STREAM}/test_document.py",
    f"{STREAM}/test_remains.py",
    f"{STREAM}/test_records_of_a_stream.py",
)
THOROUGH: Final = (
    f"{HANDLERS}/test_claim.py",
    f"{HANDLERS}/test_rebuild.py",
    f"{HANDLERS}/test_publish_disturbed.py",
    f"{STREAM}/test_publication_properties.py",
    f"{HANDLERS}/test_model_check.py",
)
# Four times what the tests take.
QUICK_CPU_SECONDS: Final = 12
THOROUGH_CPU_SECONDS: Final = 300


def main() -> int:
    """Try every mutant of the modules that the command line names; return 1 if there is anything to do."""
    options = _options()
    modules = tuple(options.modules or MODULES)
    sources = {module: (SOURCES / f"{module}.py").read_text() for module in modules}
    unchanged = Mutant(
        change=Change(module=modules[0], function="", line="", mutated=""), source=sources[modules[0]]
    )
    if not _passing([unchanged], (*QUICK, *THOROUGH), THOROUGH_CPU_SECONDS, options.jobs):
        print("mutate: the tests fail without any change", file=sys.stderr)
        return 1
    everyone = [mutant for module in modules for mutant in mutants(module, sources[module])]
    print(f"{len(everyone)} mutants", flush=True)
    missed = _passing(everyone, QUICK, QUICK_CPU_SECONDS, options.jobs)
    explained = explained_changes(EXPLAINED.read_text())
    expected = [mutant for mutant in missed if mutant.change in explained]
    strange = [mutant for mutant in missed if mutant.change not in explained]
    print(f"{len(missed)} survive the quick tests, {len(strange)} of them unexplained", flush=True)
    strange = _passing(strange, THOROUGH, THOROUGH_CPU_SECONDS, options.jobs)
    found = verdict((mutant.change for mutant in (*expected, *strange)), explained, modules={*modules})
    print(_report(found))
    return 1 if found.unnoticed or found.void else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/mutate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all if none is named"
    )
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="trials at a time (default: one a core)"
    )
    return parser.parse_args()


def _passing(candidates: Iterable[Mutant], tests: Sequence[str], cpu_seconds: int, jobs: int) -> list[Mutant]:
    """Those of *candidates* that pass *tests*."""
    trials = ((mutant, own_first(tests, mutant.change.module)) for mutant in candidates)
    return list(survivors(trials, package=PACKAGE, jobs=jobs, cpu_seconds=cpu_seconds))


def own_first(tests: Iterable[str], module: str) -> list[str]:
    """*tests* in their order, but for those of *module*."""
    return sorted(tests, key=lambda test: not test.endswith(f"/test_{module}.py"))


def _report(found: Verdict) -> str:
    lines = []
    for title, changes in (
        ("not noticed by any test", found.unnoticed),
        ("explained, and no survivor", found.void),
    ):
        for change in changes:
            lines += [
                f"{change.module}.{change.function}: {title}",
                f"  - {change.line}",
                f"  + {change.mutated}",
            ]
    return "\n".join(lines or ["every change is noticed or explained"])


if __name__ == "__main__":
    sys.exit(main())
