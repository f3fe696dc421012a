"""The recorder of the source itself: the feed as it came, in parts of some seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from bucketcast.objects import NewObject
from bucketcast.recording.names import SOURCE
from bucketcast.recording.part_object import part_objects
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.session_record import SessionRecord
from ingest.deliver.part_writer import PartWriter, segments_in_part
from ingest.deliver.source_parts import SourceClock, SourceCutter, SourceFormat, SourcePart
from ingest.encode.session_encoder import CutSegment
from ingest.feed import EncodedFrame, FeedItem


class SourceRecorder:
    """Records the feed: see Recorder. What is lost of it, the best rung's segments stand in for."""

    def __init__(
        self, record: SessionRecord, writer: PartWriter, source: SourceFormat, *, origin: timedelta
    ) -> None:
        """Record a *source* whose session, that of *record*, begins at *origin* on the sender's clock."""
        self._record = record
        self._writer = writer
        self._source = source
        grid = SegmentGrid(frame_rate=record.frame_rate.fraction, segment_duration=record.segment_duration)
        clock = SourceClock(origin=origin, grid=grid)
        self._cutter = SourceCutter(clock, per_part=segments_in_part(record))
        self._last = SegmentIndex(0)

    @property
    def lacks_source(self) -> bool:
        """See Recorder.lacks_source."""
        return self._writer.has_refused

    def receive(self, item: FeedItem) -> None:
        """See Recorder.receive."""
        if not isinstance(item, EncodedFrame):
            return
        if (part := self._cutter.add(item)) is not None:
            self._put(part)
        if not self._writer.has_room(self._cutter.open_bytes) and (lost := self._cutter.discard()) is not None:
            self._writer.lose(lost, "it is too large up to its next keyframe")

    def take(self, segment: CutSegment) -> None:
        """See Recorder.take: the recording reaches as far as the segments do."""
        self._last = max(self._last, segment.index)

    async def finish(self, *, within: float) -> None:
        """See Recorder.finish."""
        if (part := self._cutter.finish(self._last)) is not None:
            self._put(part)
        await self._writer.finish(within=within)

    def _put(self, part: SourcePart) -> None:
        self._writer.put(_Pending(self._record, self._source, part))


@dataclass(frozen=True, slots=True)
class _Pending:
    """A PendingPart of the source's own frames."""

    record: SessionRecord
    source: SourceFormat
    part: SourcePart

    @property
    def first(self) -> SegmentIndex:
        return self.part.first

    @property
    def size(self) -> int:
        return self.part.size

    def objects(self) -> Iterator[NewObject]:
        """The part's."""
        samples = self.part.samples(self.source)
        return part_objects(self.record.stream, self.record.session, SOURCE, samples)
