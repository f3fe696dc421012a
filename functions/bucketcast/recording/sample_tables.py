"""Sample tables that grow (ISO/IEC 14496-12, 8.6 and 8.7), in little more room than in the file."""

from array import array
from collections.abc import Sequence

from bucketcast.recording.boxes import Box, Column, big_endian, counted, full_box
from bucketcast.recording.samples import table


class Runs:
    """Values, and how often each follows itself: times and composition offsets (8.6.1)."""

    def __init__(self) -> None:
        """Begin without a value."""
        self._table = table()  # count, value, count, value ...

    @property
    def last(self) -> int:
        """The value that was added last; 0 before the first."""
        return self._table[-1] if self._table else 0

    def add(self, value: int, count: int = 1) -> None:
        """Add *value*, *count* times."""
        if self._table and self._table[-1] == value:
            self._table[-2] += count
        else:
            self._table.extend((count, value))

    def extend(self, values: Column) -> None:
        """Add *values*: if they differ, one by one, which is what times and offsets do, or do not do at all."""
        if values.count(values[0]) == len(values):
            self.add(values[0], len(values))
            return
        runs = table([1]) * (2 * len(values))
        runs[1::2] = values
        self._table.extend(runs)

    def raise_by(self, amount: int) -> None:
        """Make every value larger by *amount*."""
        if amount:
            self._table[1::2] = table(value + amount for value in self._table[1::2])

    @staticmethod
    def box(kind: bytes, runs: "Sequence[Runs]") -> Box:
        """The box of *runs*, one behind the other, which are used up."""
        count = sum(len(one._table) // 2 for one in runs)  # noqa: SLF001 - its own class
        return full_box(kind, count.to_bytes(4), *(big_endian(one._table) for one in runs))  # noqa: SLF001


class Chunks:
    """Where samples lie: in chunks, in which one lies behind the other (8.7)."""

    def __init__(self) -> None:
        """Begin without a sample."""
        self.sizes = table()
        self._positions: Column = array("Q")
        self._per_chunk = table()

    def add(self, position: int, sizes: Column) -> None:
        """Add a chunk of samples of *sizes* at *position* in the media."""
        self.sizes.extend(sizes)
        self._positions.append(position)
        if not self._per_chunk or self._per_chunk[-2] != len(sizes):
            self._per_chunk.extend((len(self._positions), len(sizes), 1))

    def boxes(self) -> tuple[Box, Box]:
        """Which samples are in which chunk, and how large they are; the tables are used up."""
        count = (len(self._per_chunk) // 3).to_bytes(4)
        stsc = full_box(b"stsc", count, big_endian(self._per_chunk))
        return stsc, full_box(b"stsz", bytes(4), counted(self.sizes), big_endian(self.sizes))

    def offset_box(self, media_begin: int) -> Box:
        """Where the chunks lie in a file whose media begin at *media_begin*; can be asked for again."""
        offsets = array("Q", (media_begin + position for position in self._positions))
        return full_box(b"co64", counted(offsets), big_endian(offsets))
