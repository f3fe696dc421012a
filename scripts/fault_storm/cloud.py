"""The local cloud in a process and a time of its own: `python -m fault_storm.cloud`.

It says on stdout where it listens, and ends when its stdin does, so that it never outlives the storm.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import requests

from fault_storm.compressed_time import CompressedTime
from local_cloud.cloud import BucketOptions, CloudOptions, LocalCloud
from local_cloud.faults import FaultPlan, plan_json

PROJECT: Final = "storm"
MEDIA: Final = "media"
INGEST: Final = "ingest"
# Two schedulers that fire at the same time: Cloud Scheduler promises "at least once".
REAP_INTERVAL: Final = timedelta(seconds=60)
REAPERS: Final = 2
# Far above what it takes, in seconds of the machine.
ANSWER_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudAddress:
    """Where the local cloud of a storm is found."""

    url: str
    firestore: str

    @property
    def environment(self) -> Mapping[str, str]:
        """What Google's client libraries read."""
        return {"STORAGE_EMULATOR_HOST": self.url, "FIRESTORE_EMULATOR_HOST": self.firestore}

    def set_faults(self, plan: FaultPlan) -> None:
        """Replace all faults by *plan*."""
        answer = requests.put(f"{self.url}/_local/faults", json=plan_json(plan), timeout=ANSWER_SECONDS)
        answer.raise_for_status()

    def drawn_faults(self) -> Counter[str]:
        """How often each fault was drawn."""
        answer = requests.get(f"{self.url}/_local/faults/drawn", timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return Counter(answer.json())

    def journal(self, bucket: str) -> list[str]:
        """All that was ever written to *bucket*, as lines of JSON."""
        answer = requests.get(f"{self.url}/_local/journal", {"bucket": bucket}, timeout=ANSWER_SECONDS)
        answer.raise_for_status()
        return answer.text.splitlines()


@contextmanager
def running_cloud(clock: CompressedTime, *, seed: int, functions_url: str) -> Iterator[CloudAddress]:
    """Run a local cloud on *clock*, whose events and schedulers call the functions at *functions_url*."""
    options = ["--factor", repr(clock.factor), "--began", repr(clock.began), "--seed", str(seed)]
    with subprocess.Popen(
        [sys.executable, "-m", "fault_storm.cloud", *options, "--functions", functions_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield CloudAddress(**json.loads(process.stdout.readline()))
        finally:
            process.stdin.close()


def main() -> None:
    """Run until stdin ends."""
    parser = argparse.ArgumentParser(prog="python -m fault_storm.cloud", description=__doc__)
    parser.add_argument("--factor", type=float, required=True)
    parser.add_argument("--began", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--functions", required=True)
    options = parser.parse_args()
    clock = CompressedTime(factor=options.factor, began=options.began)
    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        runner.run(_run(clock, seed=options.seed, functions_url=options.functions))


async def _run(clock: CompressedTime, *, seed: int, functions_url: str) -> None:
    options = CloudOptions(
        project=PROJECT,
        buckets=(
            BucketOptions(name=MEDIA, public=True),
            BucketOptions(name=INGEST, trigger=f"{functions_url}/publish"),
        ),
        timers=((f"{functions_url}/reap", REAP_INTERVAL),) * REAPERS,
        seed=seed,
    )
    async with LocalCloud(options, clock=clock.now) as cloud:
        firestore = f"{options.host}:{cloud.firestore_port}"
        print(json.dumps({"url": cloud.url, "firestore": firestore}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    main()
