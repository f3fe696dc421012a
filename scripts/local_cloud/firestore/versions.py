"""The documents in memory, each with as many past versions as open transactions may still read."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from local_cloud.firestore.documents import (
    CollectionName,
    Document,
    DocumentName,
    ParentName,
    collection_of,
)
from local_cloud.firestore.query import Query, run
from local_cloud.firestore.values import name_key


@dataclass(frozen=True, slots=True)
class _Version:
    since: datetime
    document: Document | None


class Versions:
    """Every document by name; not safe for threads on its own."""

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        self._versions: dict[DocumentName, list[_Version]] = {}
        self._collections: defaultdict[CollectionName, set[DocumentName]] = defaultdict(set)
        # The names that have more than one version, or one that says "deleted".
        self._past: set[DocumentName] = set()
        for document in documents:
            self._add(document.name, _Version(document.update_time, document))

    def put(self, changes: Mapping[DocumentName, Document | None], commit_time: datetime) -> None:
        """Let every name of *changes* stand for its document, or for none, from *commit_time* on."""
        for name, document in changes.items():
            self._add(name, _Version(commit_time, document))
            self._past.add(name)

    def _add(self, name: DocumentName, version: _Version) -> None:
        self._versions.setdefault(name, []).append(version)
        self._collections[collection_of(name)].add(name)

    def forget(self, horizon: datetime) -> None:
        """Drop the versions that no snapshot at *horizon* or later can see."""
        for name in tuple(self._past):
            versions = self._versions[name]
            while len(versions) > 1 and versions[1].since <= horizon:
                del versions[0]
            if len(versions) > 1:
                continue
            if versions[0].document is not None:
                self._past.discard(name)
            elif versions[0].since <= horizon:
                self._past.discard(name)
                self._drop(name)

    def _drop(self, name: DocumentName) -> None:
        del self._versions[name]
        collection = collection_of(name)
        self._collections[collection].discard(name)
        if not self._collections[collection]:
            del self._collections[collection]

    def at(self, time: datetime) -> "Snapshot":
        """Return the documents as they were at *time*, which :meth:`forget` must not have passed."""
        return Snapshot(self, time)

    def version(self, name: DocumentName, time: datetime) -> Document | None:
        """Return the document *name* as it was at *time*."""
        for version in reversed(self._versions.get(name, ())):
            if version.since <= time:
                return version.document
        return None

    def collections(self) -> Iterator[tuple[CollectionName, set[DocumentName]]]:
        """Yield every collection with the names that it has or had."""
        yield from self._collections.items()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All documents at one time."""

    versions: Versions
    time: datetime

    def get(self, name: DocumentName) -> Document | None:
        """Return the document *name*, if it is there."""
        return self.versions.version(name, self.time)

    def run(self, query: Query) -> list[Document]:
        """Return what *query* answers."""
        covered = (names for collection, names in self.versions.collections() if query.covers(collection))
        found = (self.get(name) for names in covered for name in names)
        return run(query, (document for document in found if document is not None))

    def names(self, collection: CollectionName, *, missing: bool) -> list[DocumentName]:
        """Return the sorted names in *collection*; if *missing*, also those that only have others below."""
        prefix = f"{collection}/"
        names: set[DocumentName] = set()
        for held, members in self.versions.collections():
            if held == collection:
                names |= {name for name in members if self.get(name) is not None}
            elif missing and held.startswith(prefix) and self._has_any(members):
                names.add(DocumentName(prefix + held[len(prefix) :].partition("/")[0]))
        return sorted(names, key=name_key)

    def collection_ids(self, parent: ParentName) -> list[str]:
        """Return the sorted ids of the collections under *parent*, also of those filled only further down."""
        prefix = f"{parent}/"
        ids = {
            collection[len(prefix) :].partition("/")[0]
            for collection, members in self.versions.collections()
            if collection.startswith(prefix) and self._has_any(members)
        }
        return sorted(ids)

    def _has_any(self, names: set[DocumentName]) -> bool:
        return any(self.get(name) is not None for name in names)
