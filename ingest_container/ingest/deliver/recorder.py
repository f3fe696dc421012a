"""The recorder of a session's best rung: its segments, as viewers get them, in parts of some seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bucketcast.objects import NewObject
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.session_record import SessionRecord
from ingest.deliver.part_writer import PartWriter, segments_in_part
from ingest.encode.session_encoder import CutSegment
from ingest.feed import FeedItem


class Recorder(Protocol):
    """Records one session, from what came in or from what was made of it. Neither call ever waits."""

    @property
    def lacks_source(self) -> bool:
        """Whether the source was to be recorded, and parts of it cannot be."""
        ...

    def receive(self, item: FeedItem) -> None:
        """Take note of *item*, which the session's encoder has taken."""
        ...

    def take(self, segment: CutSegment) -> None:
        """Take note of *segment*, which the session's encoder has cut; each rung's come in order."""
        ...

    async def finish(self, *, within: float) -> None:
        """Write what is left; what cannot be written in *within* seconds stays unwritten."""
        ...


class RungRecorder:
    """Records the best rung: see Recorder."""

    lacks_source = False

    def __init__(self, record: SessionRecord, writer: PartWriter) -> None:
        """Record the session of *record* with its *writer*."""
        self._record = record
        self._writer = writer
        self._rung: RungName = record.rungs[0].name
        self._per_part = segments_in_part(record)
        self._open: list[CutSegment] = []

    def receive(self, item: FeedItem) -> None:
        """See Recorder.receive."""

    def take(self, segment: CutSegment) -> None:
        """See Recorder.take; only what was made of the best rung is recorded."""
        if segment.rung != self._rung or not segment.data:
            return
        if self._open and (
            segment.index != self._open[-1].index + 1
            or segment.index // self._per_part != self._open[0].index // self._per_part
        ):
            self._close_part()
        self._open.append(segment)
        self._writer.has_room(_size(self._open))

    async def finish(self, *, within: float) -> None:
        """See Recorder.finish."""
        self._close_part()
        await self._writer.finish(within=within)

    def _close_part(self) -> None:
        if self._open:
            self._writer.put(_Segments(self._record, tuple(self._open)))
            self._open = []


@dataclass(frozen=True, slots=True)
class _Segments:
    """A PendingPart of segments that follow each other."""

    record: SessionRecord
    segments: Sequence[CutSegment] = field(repr=False)

    @property
    def first(self) -> SegmentIndex:
        return self.segments[0].index

    @property
    def size(self) -> int:
        return _size(self.segments)

    def objects(self) -> Iterator[NewObject]:
        """The part's, one unless its format changes."""
        samples = (
            read_segment(segment.data, index=segment.index, start=segment.start, duration=segment.duration)
            for segment in self.segments
        )
        record = self.record
        return part_objects(record.stream, record.session, record.rungs[0].name, samples)


def _size(segments: Sequence[CutSegment]) -> int:
    return sum(len(segment.data) for segment in segments)
