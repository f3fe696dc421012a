"""The bytes of objects, by generation: small ones in the database, others in files or in memory."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import google_crc32c

from local_cloud.storage.objects import Checksums

SMALL_BYTES: Final = 256 * 1024  # SQLite is as fast as a file up to about here, and one file less
PIECE_BYTES: Final = 1024 * 1024  # read, copied and sent at once: few system calls, little memory
SPOOL_BYTES: Final = 8 * 1024 * 1024  # a draft above this goes to a file, where there is a folder


class Draft:
    """The content of an object that is still being written; its checksums are computed on the way.

    Close it when it is no longer needed: a draft that was not kept leaves nothing behind.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.size = 0
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self._crc32c = google_crc32c.Checksum()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def append(self, piece: bytes) -> None:
        self.size += len(piece)
        self._crc32c.update(piece)
        self._md5.update(piece)
        self._pieces.append(piece)
        if self._folder is not None and (self._file is not None or self.size > SPOOL_BYTES):
            self._spill(self._folder)

    @property
    def checksums(self) -> Checksums:
        return Checksums(
            crc32c=base64.b64encode(self._crc32c.digest()).decode(),
            md5=base64.b64encode(self._md5.digest()).decode(),
        )

    def to_bytes(self) -> bytes:
        """The whole content; only for drafts that are not in a file."""
        return b"".join(self._pieces)

    def move_to(self, path: Path) -> None:
        """Become the file *path*, at once or not at all."""
        if self._file is None:
            self._spill(path.parent)
        assert self._file is not None
        self._file.close()
        Path(self._file.name).rename(path)
        self._file = None

    def close(self) -> None:
        self._pieces.clear()
        if self._file is not None:
            self._file.close()
            Path(self._file.name).unlink(missing_ok=True)
            self._file = None

    def _spill(self, folder: Path) -> None:
        if self._file is None:
            self._file = tempfile.NamedTemporaryFile(dir=folder, prefix="draft-", delete=False)  # noqa: SIM115 - close() and move_to() end it
        self._file.writelines(self._pieces)
        self._pieces.clear()


class Contents:
    """Keeps and returns contents; the caller's transaction decides what is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._memory: dict[int, bytes] = {}
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def draft(self) -> Draft:
        return Draft(self._folder)

    def keep(self, connection: sqlite3.Connection, generation: int, draft: Draft) -> None:
        """Store *draft* as the content of *generation*, before the transaction that names it commits."""
        if draft.size <= SMALL_BYTES:
            connection.execute("INSERT INTO contents VALUES (?, ?)", (generation, draft.to_bytes()))
        elif self._folder is not None:
            draft.move_to(self._folder / str(generation))
        else:
            self._memory[generation] = draft.to_bytes()

    def open(self, connection: sqlite3.Connection, generation: int, size: int) -> Content:
        """The content of *generation*, readable also when the object goes meanwhile."""
        if size <= SMALL_BYTES:
            row = connection.execute(
                "SELECT content FROM contents WHERE generation = ?", (generation,)
            ).fetchone()
            return Content(row[0])
        if self._folder is None:
            return Content(self._memory[generation])
        return Content((self._folder / str(generation)).open("rb"))

    def drop(self, connection: sqlite3.Connection, generation: int) -> None:
        """Forget the small content of *generation*; `drop_large` follows after the commit."""
        connection.execute("DELETE FROM contents WHERE generation = ?", (generation,))

    def drop_large(self, generation: int) -> None:
        """Forget the content of *generation* that is not in the database, if there is any."""
        self._memory.pop(generation, None)
        if self._folder is not None:
            (self._folder / str(generation)).unlink(missing_ok=True)

    def sweep(self, connection: sqlite3.Connection) -> None:
        """Remove what a killed process left behind: drafts, and files that no object names."""
        if self._folder is None:
            return
        for path in self._folder.iterdir():
            if (
                not path.name.isdigit()
                or not connection.execute(
                    "SELECT 1 FROM objects WHERE generation = ?", (int(path.name),)
                ).fetchone()
            ):
                path.unlink()


class Content:
    """The bytes of one generation, opened for one reader."""

    def __init__(self, source: bytes | IO[bytes]) -> None:
        self._source = source

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from *start* up to *stop*, in order; ends the reading."""
        if isinstance(self._source, bytes):
            yield self._source[start:stop]
            return
        with self._source as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(PIECE_BYTES, stop - start))
                if not piece:
                    return
                start += len(piece)
                yield piece

    def close(self) -> None:
        if not isinstance(self._source, bytes):
            self._source.close()
