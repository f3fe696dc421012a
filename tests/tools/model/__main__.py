"""Explore one scenario of the model check: every order of the calls of real handlers, and every crash.

`whole` is two publishers, a claimant, a zombie encoder and time, all at once.
"""

import argparse
import logging
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from model_world import check, scenarios, whole
from tools.model.exhaust import Explored
from tools.model.explore import Violation

TELLING: Final = timedelta(seconds=30)


def main() -> int:
    """Explore what the command line asks for and print how large it was; return 1 if a promise is broken."""
    known = scenarios() | {"whole": whole()}
    options = _options(list(known))
    logging.disable()  # what handlers say of each of a million crashes
    scenario = known[options.scenario]
    print(f"{'scenario':15}{options.scenario}: {scenario.covers}", flush=True)
    checked = check()
    began = time.monotonic()
    try:
        explored = checked.explore(
            scenario.start(checked), scenario.actors, limit=options.limit, progress=_telling()
        )
    except Violation as violation:
        print(f"{'violation':15}after {len(violation.trace)} calls\n{violation}")
        return 1
    print(f"{'explored':15}{'all of it' if explored.is_all else 'not all of it: --limit was reached'}")
    print(table(explored, recoveries=checked.recoveries, seconds=time.monotonic() - began))
    return 0


def _options(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/model_check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", choices=names, default="whole", help="what is explored (default: whole)")
    parser.add_argument("--limit", type=int, metavar="STATES", help="stop behind so many states")
    return parser.parse_args()


def table(explored: Explored, *, recoveries: int, seconds: float) -> str:
    """The figures of an exploration, one a line."""
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = {
        "states": f"{explored.states}",
        "transitions": f"{explored.transitions}",
        "worlds": f"{explored.worlds}",
        "recoveries": f"{recoveries}",
        "deepest trace": f"{explored.deepest} calls",
        "time": f"{seconds:.0f} s, {time.process_time():.0f} s of it computing",
        "peak memory": f"{megabytes:.0f} MB",
    }
    return "\n".join(f"{name:15}{figure}" for name, figure in rows.items())


def _telling() -> Callable[[Explored], None]:
    """Tell a person who waits how far it is, now and then."""
    told = time.monotonic()

    def tell(explored: Explored) -> None:
        nonlocal told
        if time.monotonic() - told > TELLING.total_seconds():
            told = time.monotonic()
            print(explored, file=sys.stderr, flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
