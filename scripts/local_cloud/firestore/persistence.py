"""The documents in a folder, safe against a kill at any time."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from local_cloud.firestore.codec import DocumentMessage, decode_document, encode_document
from local_cloud.firestore.documents import Document, DocumentName

_FILE: Final = "firestore.sqlite3"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# One row a document: the message that the wire carries, so that nothing is lost or turned.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, message BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock (id INTEGER PRIMARY KEY CHECK (id = 0), last_commit INTEGER NOT NULL);
"""


class FolderInUseError(OSError):
    """Another process keeps its documents in this folder."""


class SqlitePersistence:
    """A SQLite file in the folder *path*, which is made if need be.

    Raises FolderInUseError when another process has it open.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        # The store's lock keeps the server's threads apart.
        self._connection = sqlite3.connect(
            path / _FILE, isolation_level=None, check_same_thread=False, timeout=0
        )
        try:
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            # In WAL mode this survives a kill at any time; only a power cut loses the last commits.
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise FolderInUseError(f"the documents in {path} cannot be opened: {error}") from error

    def load(self) -> tuple[Sequence[Document], datetime | None]:
        """Return all documents, and the time of the last commit."""
        rows = self._connection.execute("SELECT message FROM documents").fetchall()
        clock = self._connection.execute("SELECT last_commit FROM clock").fetchone()
        documents = [decode_document(DocumentMessage.FromString(message)) for (message,) in rows]
        return documents, None if clock is None else _EPOCH + timedelta(microseconds=clock[0])

    def save(self, changes: Mapping[DocumentName, Document | None], commit_time: datetime) -> None:
        """Make *changes* of one commit durable, all or none."""
        stored = [
            (name, encode_document(document).SerializeToString())
            for name, document in changes.items()
            if document is not None
        ]
        deleted = [(name,) for name, document in changes.items() if document is None]
        last_commit = (commit_time - _EPOCH) // timedelta(microseconds=1)
        with self._connection:
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT OR REPLACE INTO documents VALUES (?, ?)", stored)
            self._connection.executemany("DELETE FROM documents WHERE name = ?", deleted)
            self._connection.execute("INSERT OR REPLACE INTO clock VALUES (0, ?)", (last_commit,))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
