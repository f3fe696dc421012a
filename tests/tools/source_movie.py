"""The recording of a feed's own frames, as the ingest's recorder and the finalizer make it."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Final

from bucketcast.recording.movie import Piece, write_movie
from bucketcast.recording.names import HEAD_BYTES_KEY, SOURCE
from bucketcast.recording.part_head import read_head
from bucketcast.recording.part_object import part_objects
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import SegmentIndex, SessionNumber, StreamId
from ingest.deliver.source_parts import SourceClock, SourceCutter, source_format
from ingest.feed import EncodedFrame, FeedItem, Track

_STREAM: Final = StreamId("demo")
_SESSION: Final = SessionNumber(1)
_SEGMENT: Final = timedelta(seconds=2)
_PER_PART: Final = 5


def source_movie(items: Sequence[FeedItem], *, frame_rate: Fraction, adaptive: bool) -> bytes:
    """Return the MP4 that a session with the feed *items* becomes where its source is recorded."""
    frames = [item for item in items if isinstance(item, EncodedFrame)]
    origin = next(frame.presentation_time for frame in frames if frame.track is Track.VIDEO)
    grid = SegmentGrid(frame_rate=frame_rate, segment_duration=_SEGMENT)
    cutter = SourceCutter(SourceClock(origin=origin, grid=grid), per_part=_PER_PART)
    source = source_format(items, adaptive=adaptive)
    parts = [part for part in (*map(cutter.add, frames), cutter.finish(SegmentIndex(0))) if part is not None]
    written = [new for part in parts for new in part_objects(_STREAM, _SESSION, SOURCE, part.samples(source))]
    movie = write_movie(_piece(new.content, int(new.metadata[HEAD_BYTES_KEY])) for new in written)
    return b"".join((*movie.header, *(new.content for new in written)))


def _piece(part: bytes, head_bytes: int) -> Piece:
    head = read_head(part[:head_bytes], size=len(part))
    return Piece(session=_SESSION, first=head.segments[0].index, last=head.segments[-1].index, head=head)
