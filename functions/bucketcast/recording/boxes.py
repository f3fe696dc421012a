"""Boxes, which ISO base media files consist of (ISO/IEC 14496-12, 4.2): written, and read strictly."""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, TypeAlias

from bucketcast.recording.invalid_media import InvalidMedia

HEADER_BYTES: Final = 8  # size and type
LARGE_HEADER_BYTES: Final = 16  # the same, with a size of 64 bits
# What a file's beginning holds of boxes within one box: tracks, tables, and a few segments' fragments. A part
# has some ten seconds; this is far beyond that.
MAX_BOXES: Final = 4096

Buffer = bytes | memoryview
# Numbers in little room; before Python 3.12 an array does not say of what when it runs.
Column: TypeAlias = "array[int]"


@dataclass(frozen=True, slots=True)
class Box:
    """A box as it is to be written: buffers, one after the other, so that large tables are not copied."""

    buffers: tuple[Buffer, ...]
    size: int

    def __bytes__(self) -> bytes:
        """The box as it lies in a file."""
        return b"".join(self.buffers)


def box(kind: bytes, *content: "Buffer | Box") -> Box:
    """Return the box of type *kind* that holds *content*, which has less than 4 GiB."""
    buffers = tuple(chain.from_iterable(one.buffers if isinstance(one, Box) else (one,) for one in content))
    size = HEADER_BYTES + sum(map(len, buffers))
    return Box((size.to_bytes(4) + kind, *buffers), size)


def full_box(kind: bytes, *content: "Buffer | Box", version: int = 0, flags: int = 0) -> Box:
    """Return a box that states its *version* and *flags*."""
    return box(kind, bytes((version,)) + flags.to_bytes(3), *content)


def media_data_header(content_bytes: int) -> bytes:
    """Return what stands before *content_bytes* of media data, of any size."""
    return (1).to_bytes(4) + b"mdat" + (LARGE_HEADER_BYTES + content_bytes).to_bytes(8)


def big_endian(table: Column) -> memoryview:
    """Return *table* as files have it. The table itself is used up."""
    if sys.byteorder == "little":  # pragma: no branch - there is no other machine to try it on
        table.byteswap()
    return memoryview(table).cast("B")


def numbers(content: Buffer) -> Column:
    """Return the unsigned numbers of 32 bits that *content* consists of; its size is a multiple of 4."""
    table = array("I", bytes(content))
    if sys.byteorder == "little":  # pragma: no branch - as above
        table.byteswap()
    return table


def counted(table: Sequence[int]) -> bytes:
    """Return a table's number of entries, as it stands before them."""
    return len(table).to_bytes(4)


@dataclass(frozen=True, slots=True)
class ReadBox:
    """A box that was read: where it begins in what was read, its type, and what it holds."""

    begin: int
    kind: bytes
    content: memoryview


def read_boxes(data: Buffer) -> Iterator[ReadBox]:
    """Yield the boxes that *data* consists of; raises InvalidMedia where it does not consist of whole ones."""
    view, begin, count = memoryview(data), 0, 0
    while begin < len(view):
        size = int.from_bytes(view[begin : begin + 4])
        count += 1
        if count > MAX_BOXES or not HEADER_BYTES <= size <= len(view) - begin:
            raise InvalidMedia("a box does not fit where it lies")
        yield ReadBox(begin, bytes(view[begin + 4 : begin + 8]), view[begin + HEADER_BYTES : begin + size])
        begin += size


def descend(data: Buffer, path: Iterable[bytes]) -> memoryview:
    """Return the content of the one box that *path* leads to, type by type; raises InvalidMedia without one."""
    view = memoryview(data)
    for kind in path:
        found = [inner.content for inner in read_boxes(view) if inner.kind == kind]
        if len(found) != 1:
            raise InvalidMedia(f"there is not one box of type {kind.decode('ascii')}")
        view = found[0]
    return view
