"""A document, and the resource names of databases, documents and collections."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, NewType

from local_cloud.firestore.errors import InvalidArgument
from local_cloud.firestore.values import Fields, Reference, fields_size, name_size

DatabaseName = NewType("DatabaseName", str)
"""``projects/P/databases/D``."""

DocumentName = NewType("DocumentName", str)
"""``projects/P/databases/D/documents/COLLECTION/ID[/COLLECTION/ID ...]``."""

CollectionName = NewType("CollectionName", str)
"""A document's name, or the root ``.../documents``, and one more ``/COLLECTION``."""

ParentName = NewType("ParentName", str)
"""Under what collections stand: a document's name or the root ``.../documents``."""

# cloud.google.com/firestore/quotas: "Maximum size for a document: 1 MiB".
MAX_DOCUMENT_BYTES: Final = 1 << 20
# The same page: constraints on document ids, collection ids and field names.
MAX_ID_BYTES: Final = 1500
# What a document costs beside its name and fields (.../storage-size).
_DOCUMENT_OVERHEAD_BYTES: Final = 32

_DATABASE: Final = re.compile(r"projects/[^/]+/databases/[^/]+")
_ROOT: Final = re.compile(r"(projects/[^/]+/databases/[^/]+)/documents(?:/(.*))?", re.DOTALL)
_RESERVED: Final = re.compile(r"__.*__", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One version of a document."""

    name: DocumentName
    fields: Fields
    create_time: datetime
    update_time: datetime


def document_size(name: DocumentName, fields: Fields) -> int:
    """Return the bytes that Firestore counts for a document."""
    return name_size(name) + fields_size(fields) + _DOCUMENT_OVERHEAD_BYTES


def parse_database(text: str) -> DatabaseName:
    """Return *text* as a database's name, or raise InvalidArgument."""
    if _DATABASE.fullmatch(text) is None:
        raise InvalidArgument(f"{text!r} is no database name (projects/P/databases/D)")
    return DatabaseName(text)


@lru_cache(maxsize=4096)
def parse_document(text: str) -> DocumentName:
    """Return *text* as a document's name, or raise InvalidArgument."""
    segments = _segments(text)
    if not segments or len(segments) % 2:
        raise InvalidArgument(f"{text!r} is no document name: collections and ids come in pairs")
    return DocumentName(text)


@lru_cache(maxsize=4096)
def parse_parent(text: str) -> ParentName:
    """Return *text* as what collections stand under, or raise InvalidArgument."""
    if len(_segments(text)) % 2:
        raise InvalidArgument(f"{text!r} is no parent: neither a document nor the root of a database")
    return ParentName(text)


def parse_reference(text: str) -> Reference:
    """Return the reference *text*, whose ids may be those that bound a range, or raise InvalidArgument."""
    found = _ROOT.fullmatch(text)
    segments = found[2].split("/") if found is not None and found[2] else []
    if not segments or len(segments) % 2 or not all(segments):
        raise InvalidArgument(f"{text!r} is no document name")
    return Reference(text)


def check_id(text: str) -> None:
    """Raise InvalidArgument if *text* cannot be the id of a collection or a document."""
    if not text or text in {".", ".."} or "/" in text:
        raise InvalidArgument(f"{text!r} is no resource id")
    if _RESERVED.fullmatch(text):
        raise InvalidArgument(f"the resource id {text!r} is reserved")
    if len(text.encode()) > MAX_ID_BYTES:
        raise InvalidArgument(f"a resource id is longer than {MAX_ID_BYTES} bytes")


def _segments(text: str) -> list[str]:
    found = _ROOT.fullmatch(text)
    if found is None:
        raise InvalidArgument(f"{text!r} does not start with projects/P/databases/D/documents")
    segments = found[2].split("/") if found[2] is not None else []
    for segment in segments:
        check_id(segment)
    return segments


def collection_of(name: DocumentName) -> CollectionName:
    """Return the collection that the document *name* is in."""
    return CollectionName(name.rpartition("/")[0])


def collection_id(collection: CollectionName) -> str:
    """Return the last part of *collection*."""
    return collection.rpartition("/")[2]
