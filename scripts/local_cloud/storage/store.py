"""The object store: what Cloud Storage does with buckets and objects, without HTTP.

Every change is one transaction: conditions are checked and the new generation becomes visible at once.
Any thread may call; a listener is told of each finalized object after its transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from local_cloud.storage.contents import Content, Contents, Draft
from local_cloud.storage.database import Database
from local_cloud.storage.errors import (
    BucketExists,
    ChecksumMismatch,
    InvalidRequest,
    NotFound,
    RateLimitExceeded,
)
from local_cloud.storage.journal import Journal, is_content_kept
from local_cloud.storage.listing import ListingPage, ListingQuery, list_page
from local_cloud.storage.objects import (
    NO_ATTRIBUTES,
    UNCONDITIONAL,
    Attributes,
    Bucket,
    Checksums,
    Preconditions,
    StoredObject,
    next_generation,
    require_object_name,
)
from local_cloud.storage.resources import (
    bucket_resource,
    object_resource,
    parse_bucket_resource,
    parse_object_resource,
)

MAX_COMPOSE_SOURCES: Final = 32  # https://cloud.google.com/storage/quotas#objects
# https://cloud.google.com/storage/quotas#objects: one write a second to one object name. Cloud Storage
# tolerates short bursts; here the second write within a second is always refused, so that code which
# relies on the tolerance is found.
WRITE_INTERVAL: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeSource:
    """One source of a composition, in a certain generation where that is asked for."""

    name: str
    generation: int | None = None
    generation_match: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedChecksums:
    """What the writer says of its content; None is not verified."""

    crc32c: str | None = None
    md5: str | None = None

    def verify(self, actual: Checksums) -> None:
        """Raise ChecksumMismatch when *actual* is not what was said."""
        for algorithm, said, is_ in (
            ("CRC32C", self.crc32c, actual.crc32c),
            ("MD5 hash", self.md5, actual.md5),
        ):
            if said is not None and said != is_:
                raise ChecksumMismatch(
                    f'Provided {algorithm} "{said}" doesn\'t match calculated {algorithm} "{is_}".'
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a new generation goes, and on which conditions."""

    bucket: str
    name: str
    attributes: Attributes = NO_ATTRIBUTES
    preconditions: Preconditions = UNCONDITIONAL


class ObjectStore:
    """Buckets and objects under *folder*, or in memory without one.

    *clock* says the time, in UTC. *limit_writes* turns on the limit of one write a second to one name.
    """

    def __init__(
        self, folder: Path | None, *, clock: Callable[[], datetime], limit_writes: bool = True
    ) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        self._database = Database(folder and folder / "storage.sqlite3")
        self._contents = Contents(folder and folder / "contents")
        self._clock = clock
        self.limit_writes = limit_writes
        self.journal = Journal(self._database)
        self.on_finalized: Callable[[StoredObject], None] = lambda _: None
        with self._database.transaction() as connection:
            self._contents.sweep(connection)
            row = connection.execute("SELECT max(generation) FROM journal").fetchone()
        self._last_generation: int = row[0] or 0

    def close(self) -> None:
        self._database.close()

    def create_bucket(self, bucket: Bucket) -> Bucket:
        """Create *bucket*; raises BucketExists."""
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO buckets VALUES (?, ?, ?)",
                    (bucket.name, bucket.public, json.dumps(bucket_resource(bucket))),
                )
            except sqlite3.IntegrityError:
                raise BucketExists(
                    "Your previous request to create the named bucket succeeded and you already own it."
                ) from None
        return bucket

    def ensure_bucket(self, bucket: Bucket) -> None:
        """Make the configuration of the bucket that of *bucket*, creating it where it does not exist."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO buckets VALUES (?, ?, ?) ON CONFLICT (name)"
                " DO UPDATE SET public = excluded.public, resource = excluded.resource",
                (bucket.name, bucket.public, json.dumps(bucket_resource(bucket))),
            )

    def bucket(self, name: str) -> Bucket:
        """The bucket; raises NotFound."""
        with self._database.reading() as connection:
            return _bucket(connection, name)

    def buckets(self) -> tuple[Bucket, ...]:
        """All buckets by name."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT public, resource FROM buckets ORDER BY name").fetchall()
        return tuple(_parse_bucket(row) for row in rows)

    def draft(self) -> Draft:
        """An empty content to be filled and inserted; its writer closes it."""
        return self._contents.draft()

    def insert(self, target: Target, draft: Draft, expected: ExpectedChecksums) -> StoredObject:
        """Make *draft* the newest generation of the object.

        Raises NotFound for a missing bucket, InvalidRequest for a bad name, ChecksumMismatch,
        PreconditionFailed, RateLimitExceeded.
        """
        checksums = draft.checksums
        expected.verify(checksums)
        return self._finalize(target, draft, checksums=checksums, component_count=None, operation="insert")

    def get(self, bucket: str, name: str, *, generation: int | None = None) -> StoredObject:
        """The live object, which must be *generation* where one is given; raises NotFound."""
        with self._database.reading() as connection:
            return _live(connection, bucket, name, generation)

    def find(self, bucket: str, name: str) -> StoredObject | None:
        """The live object, None when there is none."""
        with self._database.reading() as connection:
            return _find(connection, bucket, name)

    def open(
        self,
        bucket: str,
        name: str,
        *,
        generation: int | None = None,
        preconditions: Preconditions = UNCONDITIONAL,
    ) -> tuple[StoredObject, Content]:
        """The live object and its content; raises NotFound, PreconditionFailed, NotModified."""
        with self._database.reading() as connection:
            stored = _live(connection, bucket, name, generation)
            preconditions.require_for_reading(stored)
            return stored, self._contents.open(connection, stored.generation, stored.size)

    def read(self, bucket: str, name: str) -> bytes:
        """The whole content of the live object; raises NotFound."""
        stored, content = self.open(bucket, name)
        return b"".join(content.pieces(0, stored.size))

    def patch(
        self,
        bucket: str,
        name: str,
        change: Callable[[Attributes], Attributes],
        *,
        generation: int | None = None,
        preconditions: Preconditions = UNCONDITIONAL,
    ) -> StoredObject:
        """Give the live object other attributes and the next metageneration; raises as `insert` does."""
        with self._database.transaction() as connection:
            current = _live(connection, bucket, name, generation)
            preconditions.require(current)
            now = self._clock()
            self._require_write_interval(current, now)
            patched = replace(
                current,
                attributes=change(current.attributes),
                metageneration=current.metageneration + 1,
                updated=now,
            )
            _put(connection, patched)
            self.journal.append(connection, operation="patch", stored=patched, time=now)
        return patched

    def delete(
        self,
        bucket: str,
        name: str,
        *,
        generation: int | None = None,
        preconditions: Preconditions = UNCONDITIONAL,
    ) -> None:
        """Remove the live object; raises NotFound, PreconditionFailed."""
        with self._database.transaction() as connection:
            current = _live(connection, bucket, name, generation)
            preconditions.require(current)
            connection.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
            self._release(connection, current)
            self.journal.append(connection, operation="delete", stored=current, time=self._clock())
        self._contents.drop_large(current.generation)

    def compose(self, target: Target, sources: Sequence[ComposeSource]) -> StoredObject:
        """Make the contents of *sources*, one after the other, the newest generation of the object.

        Raises InvalidRequest for none or too many sources, NotFound for one that is missing,
        PreconditionFailed, RateLimitExceeded.
        """
        if not sources:
            raise InvalidRequest("You must provide at least one source component.")
        if len(sources) > MAX_COMPOSE_SOURCES:
            raise InvalidRequest(
                f"The number of source components provided ({len(sources)}) exceeds the maximum"
                f" ({MAX_COMPOSE_SOURCES})"
            )
        with ExitStack() as stack:
            draft = stack.enter_context(closing(self.draft()))
            opened: list[tuple[StoredObject, Content]] = []
            with self._database.reading() as connection:
                for source in sources:
                    stored, content = self._open_source(connection, target.bucket, source)
                    opened.append((stored, stack.enter_context(closing(content))))
            for stored, content in opened:
                for piece in content.pieces(0, stored.size):
                    draft.append(piece)
            return self._finalize(
                target,
                draft,
                checksums=Checksums(crc32c=draft.checksums.crc32c),
                component_count=sum(stored.component_count or 1 for stored, _ in opened),
                operation="compose",
            )

    def rewrite(
        self,
        target: Target,
        *,
        source_bucket: str,
        source_name: str,
        source_generation: int | None = None,
        source_preconditions: Preconditions = UNCONDITIONAL,
        changes: Callable[[Attributes], Attributes],
    ) -> StoredObject:
        """Copy an object; *changes* makes its attributes out of the source's; raises as `compose` does."""
        with self._database.reading() as connection:
            source = _live(connection, source_bucket, source_name, source_generation)
            source_preconditions.require(source)
            content = self._contents.open(connection, source.generation, source.size)
        with closing(content), closing(self.draft()) as draft:
            for piece in content.pieces(0, source.size):
                draft.append(piece)
            return self._finalize(
                replace(target, attributes=changes(source.attributes)),
                draft,
                checksums=source.checksums,
                component_count=source.component_count,
                operation="rewrite",
            )

    def list(self, bucket: str, query: ListingQuery) -> ListingPage[StoredObject]:
        """One page of the live objects of *bucket* in the order of their names; raises NotFound."""
        with self._database.reading() as connection:
            _bucket(connection, bucket)
            rows = connection.execute(
                "SELECT name, resource FROM objects WHERE bucket = ? AND name >= ? ORDER BY name",
                (bucket, query.first_name),
            )
            page = list_page(rows, query)
        return ListingPage(
            items=tuple(parse_object_resource(json.loads(resource)) for resource in page.items),
            prefixes=page.prefixes,
            after=page.after,
        )

    def _finalize(
        self,
        target: Target,
        draft: Draft,
        *,
        checksums: Checksums,
        component_count: int | None,
        operation: str,
    ) -> StoredObject:
        require_object_name(target.name)
        with self._database.transaction() as connection:
            _bucket(connection, target.bucket)
            current = _find(connection, target.bucket, target.name)
            target.preconditions.require(current)
            now = self._clock()
            self._require_write_interval(current, now)
            self._last_generation = next_generation(last=self._last_generation, now=now)
            stored = StoredObject(
                bucket=target.bucket,
                name=target.name,
                generation=self._last_generation,
                size=draft.size,
                checksums=checksums,
                attributes=target.attributes,
                component_count=component_count,
                time_created=now,
                updated=now,
            )
            self._contents.keep(connection, stored.generation, draft)
            _put(connection, stored)
            if current is not None:
                self._release(connection, current)
            self.journal.append(connection, operation=operation, stored=stored, time=now)
        if current is not None:
            self._contents.drop_large(current.generation)
        self.on_finalized(stored)
        return stored

    def _open_source(
        self, connection: sqlite3.Connection, bucket: str, source: ComposeSource
    ) -> tuple[StoredObject, Content]:
        stored = _live(connection, bucket, source.name, source.generation)
        Preconditions(generation_match=source.generation_match).require(stored)
        return stored, self._contents.open(connection, stored.generation, stored.size)

    def _release(self, connection: sqlite3.Connection, gone: StoredObject) -> None:
        if not is_content_kept(gone):
            self._contents.drop(connection, gone.generation)

    def _require_write_interval(self, current: StoredObject | None, now: datetime) -> None:
        if self.limit_writes and current is not None and now - current.updated < WRITE_INTERVAL:
            raise RateLimitExceeded(
                f"The object {current.bucket}/{current.name} exceeded the rate limit for object mutation"
                " operations (create, update, and delete). Please reduce your request rate."
            )


def _bucket(connection: sqlite3.Connection, name: str) -> Bucket:
    row = connection.execute("SELECT public, resource FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise NotFound("The specified bucket does not exist.")
    return _parse_bucket(row)


def _parse_bucket(row: tuple[int, str]) -> Bucket:
    public, text = row
    resource = json.loads(text)
    return parse_bucket_resource(
        {key: resource[key] for key in ("name", "location", "cors") if key in resource},
        public=bool(public),
        time_created=datetime.fromisoformat(resource["timeCreated"]),
    )


def _find(connection: sqlite3.Connection, bucket: str, name: str) -> StoredObject | None:
    row = connection.execute(
        "SELECT resource FROM objects WHERE bucket = ? AND name = ?", (bucket, name)
    ).fetchone()
    return None if row is None else parse_object_resource(json.loads(row[0]))


def _live(connection: sqlite3.Connection, bucket: str, name: str, generation: int | None) -> StoredObject:
    current = _find(connection, bucket, name)
    if current is None:
        _bucket(connection, bucket)
    if current is None or generation not in (None, current.generation):
        raise NotFound(f"No such object: {bucket}/{name}")
    return current


def _put(connection: sqlite3.Connection, stored: StoredObject) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
        (stored.bucket, stored.name, stored.generation, json.dumps(object_resource(stored))),
    )
