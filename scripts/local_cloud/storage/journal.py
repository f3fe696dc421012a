"""The journal: every generation that was ever written."""

from __future__ import annotations

import base64
import json
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from local_cloud.storage.database import Database
from local_cloud.storage.objects import StoredObject
from local_cloud.storage.resources import Json, format_time, object_resource, parse_object_resource

MAX_KEPT_CONTENT_BYTES: Final = 256 * 1024  # playlists, records and timelines are far smaller
MAX_ENTRIES: Final = 200_000  # nine hours of a four-rung broadcast; the oldest go first
ENTRIES_PER_ANSWER: Final = 1_000  # read at once, so that a long journal is never in memory as a whole
_PRUNE_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One change: *operation* is insert, compose, rewrite, patch or delete.

    *content* is what was written, where it is small and not media.
    """

    sequence: int
    time: datetime
    operation: str
    stored: StoredObject
    content: bytes | None


def is_content_kept(stored: StoredObject) -> bool:
    """Whether the journal keeps the content of *stored* after the object is gone."""
    content_type = stored.attributes.content_type or ""
    return stored.size <= MAX_KEPT_CONTENT_BYTES and not content_type.startswith(("video/", "audio/"))


def entry_json(entry: JournalEntry) -> Json:
    """*entry* as one JSON object; the content in base64."""
    content = None if entry.content is None else base64.b64encode(entry.content).decode()
    return {
        "sequence": entry.sequence,
        "time": format_time(entry.time),
        "operation": entry.operation,
        "object": object_resource(entry.stored),
        "content": content,
    }


class Journal:
    """The journal of one store, in the store's own transactions; readable from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(
        self, connection: sqlite3.Connection, *, operation: str, stored: StoredObject, time: datetime
    ) -> None:
        """Note a change of *stored* in the transaction of *connection*."""
        cursor = connection.execute(
            "INSERT INTO journal (time, operation, bucket, name, generation, resource) VALUES (?,?,?,?,?,?)",
            (
                format_time(time),
                operation,
                stored.bucket,
                stored.name,
                stored.generation,
                json.dumps(object_resource(stored)),
            ),
        )
        sequence = cursor.lastrowid or 0
        if sequence % _PRUNE_EVERY == 0:
            _prune(connection, upto=sequence - MAX_ENTRIES)

    def entries(
        self, *, bucket: str | None = None, prefix: str = "", since: int = 0, limit: int | None = None
    ) -> list[JournalEntry]:
        """The entries after number *since*, oldest first, of objects in *bucket* that start with *prefix*."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT sequence, time, operation, journal.resource, content FROM journal"
                " LEFT JOIN contents USING (generation)"
                " WHERE sequence > ? AND (? IS NULL OR bucket = ?) AND substr(name, 1, ?) = ?"
                " ORDER BY sequence LIMIT ?",
                (since, bucket, bucket, len(prefix), prefix, -1 if limit is None else limit),
            ).fetchall()
        return [_entry(row) for row in rows]


def _entry(row: tuple[int, str, str, str, bytes | None]) -> JournalEntry:
    sequence, time, operation, resource, content = row
    stored = parse_object_resource(json.loads(resource))
    return JournalEntry(
        sequence=sequence,
        time=datetime.fromisoformat(time),
        operation=operation,
        stored=stored,
        content=content if is_content_kept(stored) and operation != "delete" else None,
    )


def _prune(connection: sqlite3.Connection, *, upto: int) -> None:
    connection.execute(
        "DELETE FROM contents WHERE generation IN (SELECT generation FROM journal WHERE sequence <= ?)"
        " AND generation NOT IN (SELECT generation FROM objects)",
        (upto,),
    )
    connection.execute("DELETE FROM journal WHERE sequence <= ?", (upto,))
