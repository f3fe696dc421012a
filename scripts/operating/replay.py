"""`scripts/replay`: what a stream's playlists held at an instant, and why, from the log of what was written."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Final

from bucketcast.errors import BucketcastError
from bucketcast.stream.identifiers import parse_stream_id
from bucketcast.stream.object_names import media_playlist_name
from bucketcast.stream.published_objects import REVISION_KEY
from local_cloud.storage.database import Database
from local_cloud.storage.journal import Journal
from operating.explanation import Explanation, Listed, Session, Unlisted, explain
from operating.local_log import LocalLog, NotInLog
from operating.past import Write

# Where scripts/run keeps the local cloud's store below its --data folder.
LOG: Final = Path("cloud/storage/storage.sqlite3")
_AGO: Final = re.compile(r"-(?P<amount>[0-9]+(?:\.[0-9]+)?)(?P<unit>[smh])")
_UNITS: Final = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}


def parse_instant(text: str, *, now: datetime) -> datetime:
    """Return the instant *text*: ISO 8601, in UTC unless it says otherwise, or so long before *now* as `-30s`.

    Raises ValueError for anything else, and OverflowError for what is before all time.
    """
    if match := _AGO.fullmatch(text):
        return now - float(match["amount"]) * _UNITS[match["unit"]]
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def main(arguments: Sequence[str]) -> int:
    """Print what the command line asks for; return 1 if the log does not know it, 2 if it makes no sense."""
    options = _options(arguments)
    database = options.data / LOG
    if not database.is_file():
        print(f"replay: there is no log at {database}: was scripts/run started with --data?", file=sys.stderr)
        return 2
    with closing(Database(database)) as opened:
        try:
            log = LocalLog(journal=Journal(opened), stream=parse_stream_id(options.stream), at=options.at)
            for slot in log.slots(options.slot):
                explanation = explain(log.past(slot), slot)
                print("\n".join(report(explanation, media_playlist_name(log.stream, slot))), end="\n\n")
        except (NotInLog, BucketcastError) as error:
            print(f"replay: {error}", file=sys.stderr)
            return 1
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    def instant(text: str) -> datetime:
        try:
            return parse_instant(text, now=datetime.now(UTC))
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(f"'{text}' is neither an ISO time nor such as -30s") from None

    parser = argparse.ArgumentParser(prog="scripts/replay", description=__doc__)
    add = parser.add_argument
    add("stream", help="the stream's id")
    add("slot", nargs="?", help="one rendition, such as 720p; all if none is given")
    add("--data", type=Path, required=True, metavar="DIR", help="the folder that scripts/run was given")
    add("--at", type=instant, required=True, metavar="TIME", help="ISO time (UTC unless it says so), or -30s")
    given = list(arguments)
    if "--at" in given[:-1]:
        place = given.index("--at")
        given[place : place + 2] = [f"--at={given[place + 1]}"]  # -30s alone would be taken for an option
    return parser.parse_args(given)


def report(explanation: Explanation, name: str) -> Iterator[str]:
    """The lines for a person on *explanation* of the playlist called *name*."""
    at = f"{name} at {_time(explanation.at)}"
    written = explanation.written
    if written is None:
        yield f"{at}: viewers found no playlist"
    else:
        revision = written.metadata.get(REVISION_KEY, "none")
        yield f"{at}: generation {written.generation}, revision {revision}, written {_time(written.time)}"
        yield from (f"    {line}" for line in (written.content or b"").decode().splitlines())
    for session in explanation.sessions:
        yield from _session_lines(session)
    if explanation.listed:
        yield "listed:"
        yield from map(_listed_line, explanation.listed)
    if explanation.unlisted:
        yield "not listed:"
        yield from _unlisted_lines(explanation.unlisted)


def _session_lines(session: Session) -> Iterator[str]:
    found, before, seal = session.record, session.seal_before, session.seal
    recorded = f"recorded {_time(found[1].time)}, broadcast {found[0].broadcast}" if found else "no record"
    yield f"session {session.number}: {recorded}"
    if before:
        numbers = f"numbers from {before[0].next_media_sequence}"
        yield f"    {numbers}: session {before[0].session} was sealed {_time(before[1].time)}"
    elif session.number == 1:
        yield "    numbers from 0: no session before it"
    if seal:
        yield f"    sealed {_time(seal[1].time)} at segment {seal[0].last_index}"


def _listed_line(listed: Listed) -> str:
    what = f"gap {listed.gap}, created" if listed.gap else "created"
    return (
        f"    {listed.number}  {listed.name}: {what} {_when(listed.created)}; "
        f"{f'named by {listed.named_by.name} ' if listed.named_by else 'found by name, named '}"
        f"{_when(listed.named_by)}; listed {_time(listed.since.time)}"
    )


def _unlisted_lines(unlisted: Sequence[Unlisted]) -> Iterator[str]:
    for (session, rung, why), group in groupby(unlisted, lambda each: (each.session, each.rung, each.why)):
        indexes = [each.index for each in group]
        which = f"segment {indexes[0]}" if len(indexes) == 1 else f"segments {indexes[0]} to {indexes[-1]}"
        yield f"    session {session}, {which} of {rung}: {why}"


def _when(write: Write | None) -> str:
    return _time(write.time) if write else "nowhere in the log"


def _time(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
