"""What was answered is there after the process was killed, and nothing else is."""

import base64
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import google_crc32c

from local_cloud.storage.listing import ListingQuery
from local_cloud.storage.objects import Bucket
from local_cloud.storage.store import ExpectedChecksums, ObjectStore, Target
from tools.manual_clock import ManualClock

WRITES_BEFORE_THE_KILL = 60
# Writes small and large objects, overwrites and deletes, and says so after each, until it is killed.
WRITER = """
import itertools, sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from local_cloud.storage.objects import Bucket
from local_cloud.storage.store import ExpectedChecksums, ObjectStore, Target

now = lambda: datetime.now(UTC)
store = ObjectStore(Path(sys.argv[1]), clock=now, limit_writes=False)
store.create_bucket(Bucket(name="media", public=True, time_created=now()))
for number in itertools.count():
    name = f"{number % 7}"
    if number % 10 == 9:
        store.delete("media", name)
        print(number, name, "deleted", flush=True)
        continue
    with closing(store.draft()) as draft:
        draft.append(bytes([number % 256]) * (400_000 if number % 2 else 1_000))
        stored = store.insert(Target(bucket="media", name=name), draft, ExpectedChecksums())
    print(number, name, stored.generation, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_said(tmp_path: Path) -> None:
    said = write_until_killed(tmp_path)
    with closing(ObjectStore(tmp_path, clock=ManualClock())) as store:
        assert store.bucket("media").public
        live = {stored.name: stored for stored in store.list("media", ListingQuery()).items}
        for stored in live.values():
            content = store.read("media", stored.name)
            assert len(content) == stored.size
            assert (
                base64.b64encode(google_crc32c.Checksum(content).digest()).decode() == stored.checksums.crc32c
            )
        last_said = {name: what for _, name, what in said}
        *_, last = said
        for name, what in last_said.items():
            generation = live[name].generation if name in live else None
            # The write that was under way when the process was killed may have been done already.
            under_way = name == str((int(last[0]) + 1) % 7)
            assert under_way or generation == (None if what == "deleted" else int(what))
        generations = [
            entry.stored.generation for entry in store.journal.entries() if entry.operation == "insert"
        ]
        assert {int(what) for _, _, what in said if what != "deleted"} <= set(generations)


def test_after_a_restart_generations_go_on_and_leftovers_are_gone(tmp_path: Path) -> None:
    write_until_killed(tmp_path)
    (tmp_path / "contents" / "draft-left-behind").write_bytes(b"x")
    (tmp_path / "contents" / "12345").write_bytes(b"not named by any object")
    clock = ManualClock()
    clock.advance(seconds=-10 * 365 * 24 * 3600)
    with closing(ObjectStore(tmp_path, clock=clock)) as store, closing(store.draft()) as draft:
        newest = max(entry.stored.generation for entry in store.journal.entries())
        draft.append(b"x")
        again = store.insert(Target(bucket="media", name="new"), draft, ExpectedChecksums())
        assert again.generation > newest
        large = {str(s.generation) for s in store.list("media", ListingQuery()).items if s.size > 300_000}
        assert {path.name for path in (tmp_path / "contents").iterdir()} == large


def test_a_bucket_and_its_objects_are_there_again(tmp_path: Path) -> None:
    clock = ManualClock()
    with closing(ObjectStore(tmp_path, clock=clock)) as store, closing(store.draft()) as draft:
        store.create_bucket(Bucket(name="ingest", time_created=clock()))
        draft.append(b"content")
        stored = store.insert(Target(bucket="ingest", name="a"), draft, ExpectedChecksums())
    with closing(ObjectStore(tmp_path, clock=clock)) as store:
        assert store.get("ingest", "a") == stored
        assert [entry.content for entry in store.journal.entries()] == [b"content"]


def write_until_killed(folder: Path) -> list[list[str]]:
    """What the writer said before it was killed: number, name, generation or `deleted`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    ) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline().split() for _ in range(WRITES_BEFORE_THE_KILL)]
        writer.kill()
        said += [line.split() for line in writer.stdout.read().splitlines()]
    return said
