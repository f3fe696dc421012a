"""One stream with everything around it in memory: what the tests of publishing drive."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, TypeVar

from msgspec.structs import replace

from bucketcast.handlers.claim import Claims
from bucketcast.handlers.clean_up import CleanUp
from bucketcast.handlers.creation import create_once
from bucketcast.handlers.deletion import Deletions
from bucketcast.handlers.evidence import EvidenceReader
from bucketcast.handlers.finalize import Finalizer
from bucketcast.handlers.publish import Publisher
from bucketcast.handlers.reap import Reaper
from bucketcast.handlers.rebuild import RebuiltDocuments
from bucketcast.handlers.recordings import Recordings
from bucketcast.handlers.streams import Streams
from bucketcast.handlers.watch import Watchdog
from bucketcast.objects import ABSENT, NewObject
from bucketcast.ports import Bucket, StreamDocuments
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.claim import LEASE, ClaimRequest
from bucketcast.stream.document import ListedAs, StreamDocument
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex, SessionNumber, StreamId
from bucketcast.stream.media_object import gap_object, listed_as, segment_object
from bucketcast.stream.object_names import segment_name, session_record_name, timeline_name
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from bucketcast.stream.stream_request import RungRequest, StreamRequest
from bucketcast.stream.timeline import GapSegment, Timeline, TimelineSegment, UploadedSegment
from fakes import (
    EPOCH,
    FakeBucket,
    FakeClock,
    FakeExecutions,
    FakeRecordingDocuments,
    FakeStreamDocuments,
    InlineExecutor,
)

STREAM: Final = StreamId("demo")
SLOTS: Final = (RungName("720p"), RungName("480p"), RungName("360p"))
SEGMENT: Final = timedelta(seconds=2)
UPLOADED: Final = UploadedSegment(size=5, crc32c="NT3Yvg==")
GAP: Final = GapSegment()
FIRST: Final = SessionNumber(1)
THIRTY: Final = FrameRate(numerator=30)
A: Final = EncoderId("a")
B: Final = EncoderId("b")

Port = TypeVar("Port", bound=Bucket | StreamDocuments)


def encoded_rung(name: RungName) -> EncodedRung:
    """The rung *name* of a picture in 16:9."""
    height = int(name[:-1])
    return EncodedRung(name=name, width=height * 16 // 18 * 2, height=height, codecs="avc1.64001f,mp4a.40.2")


def claim_request(
    encoder: EncoderId,
    rungs: Iterable[RungName] = SLOTS,
    start: datetime = EPOCH,
    frame_rate: FrameRate = THIRTY,
) -> ClaimRequest:
    """A claim of the stream by *encoder*."""
    return ClaimRequest(
        stream=STREAM,
        encoder=encoder,
        start=start,
        frame_rate=frame_rate,
        rungs=tuple(encoded_rung(rung) for rung in rungs),
    )


def uploaded(index: int, rungs: Iterable[RungName] = SLOTS, gaps: Iterable[RungName] = ()) -> TimelineSegment:
    """Segment *index*, uploaded in *rungs* and given up in *gaps*."""
    return TimelineSegment(
        index=SegmentIndex(index),
        start=index * SEGMENT,
        duration=SEGMENT,
        rungs=dict.fromkeys(rungs, UPLOADED) | dict.fromkeys(gaps, GAP),
    )


def same(port: Port) -> Port:
    """*port* itself."""
    return port


class World:
    """The stream, its buckets and handlers; *wrapped* puts something before the ports of its publisher."""

    def __init__(
        self,
        *,
        slots: tuple[RungName, ...] = SLOTS,
        reconnect_window: int = 1800,
        wrapped: Callable[[Bucket], Bucket] = same,
        wrapped_documents: Callable[[StreamDocuments], StreamDocuments] = same,
    ) -> None:
        self.clock = FakeClock()
        self.media = FakeBucket(self.clock)
        self.ingest = FakeBucket(self.clock)
        self.documents = FakeStreamDocuments()
        self.rebuilt = RebuiltDocuments(
            documents=self.documents,
            reader=EvidenceReader(media=self.media, ingest=self.ingest, executor=InlineExecutor()),
            clock=self.clock,
        )
        self.publisher = self._publisher(wrapped, wrapped_documents)
        self.other_publisher = self._publisher(same, same)
        self.claims = Claims(ingest=self.ingest, documents=self.rebuilt, clock=self.clock)
        self.streams = Streams(
            ingest=self.ingest,
            documents=self.rebuilt,
            watchdog=Watchdog(media=self.media, clock=self.clock, executor=InlineExecutor()),
            clock=self.clock,
            random_bytes=bytes,
        )
        self.recording = FakeBucket(self.clock)
        self.recording_documents = FakeRecordingDocuments()
        self.executions = FakeExecutions()
        self.recordings = Recordings(
            documents=self.recording_documents,
            executions=self.executions,
            publisher=self.publisher,
            media=self.media,
            recording=self.recording,
            clock=self.clock,
        )
        self.deletions = Deletions(
            media=self.media,
            ingest=self.ingest,
            recording=self.recording,
            documents=self.documents,
            rebuilt=self.rebuilt,
            recordings=self.recording_documents,
            clock=self.clock,
            executor=InlineExecutor(),
        )
        self.clean_up = CleanUp(deletions=self.deletions, recordings=self.recordings, executor=InlineExecutor())
        self.finalizer = Finalizer(
            media=self.media,
            recording=self.recording,
            reader=self.rebuilt.reader,
            documents=self.recording_documents,
            clock=self.clock,
            executor=InlineExecutor(),
        )
        self.reaper = Reaper(publisher=self.new_publisher(), executor=InlineExecutor())
        self.streams.create(
            StreamRequest(
                id=STREAM,
                rungs=tuple(RungRequest(name=slot, video_kbps=int(slot[:-1]) * 3) for slot in slots),
                segment_seconds=SEGMENT.total_seconds(),
                reconnect_window_seconds=reconnect_window,
            )
        )

    def _publisher(
        self,
        wrapped: Callable[[Bucket], Bucket],
        wrapped_documents: Callable[[StreamDocuments], StreamDocuments],
    ) -> Publisher:
        return Publisher(
            media=wrapped(self.media),
            ingest=wrapped(self.ingest),
            documents=wrapped_documents(self.rebuilt),
            clock=self.clock,
            executor=InlineExecutor(),
        )

    def new_publisher(self) -> Publisher:
        """The publisher of an instance that has just started: it has seen nothing."""
        return self._publisher(same, same)

    @property
    def document(self) -> StreamDocument:
        """The stream's document as it is stored."""
        stored = self.documents.read(STREAM)
        assert stored is not None
        return stored.document

    def claim(
        self,
        encoder: EncoderId,
        rungs: Iterable[RungName] = SLOTS,
        start: datetime | None = None,
        frame_rate: FrameRate = THIRTY,
    ) -> SessionNumber:
        """Claim the next session, whose origin is *start*, or far enough behind the session before."""
        origin = start or EPOCH + self.document.next_session * timedelta(hours=1)
        return self.claims.claim(claim_request(encoder, rungs, origin, frame_rate)).session

    def claim_at_once(self, encoder: EncoderId) -> SessionNumber:
        """Claim although the broadcaster before may only just have gone."""
        lease = self.documents.lease(STREAM)
        if lease is not None:
            self.release(lease.session)
        return self.claim(encoder)

    def release(self, session: SessionNumber) -> None:
        """The broadcaster of *session* has gone, and says so."""
        lease = self.documents.lease(STREAM)
        if lease is not None and lease.session == session:
            self.documents.renew_lease(STREAM, replace(lease, media_at=EPOCH - LEASE))

    def _start(self, session: SessionNumber) -> datetime:
        """The origin of *session*, as its record has it."""
        content = self.ingest.read(session_record_name(STREAM, session))
        return EPOCH if content is None else decode_record(SessionRecord, content).start

    def upload(self, session: SessionNumber, segment: TimelineSegment) -> None:
        """Create the media objects that *segment* names."""
        start = self._start(session)
        for rung, fact in segment.rungs.items():
            create_once(
                self.media,
                gap_object(
                    STREAM,
                    rung,
                    session,
                    segment.index,
                    start=segment.start,
                    duration=segment.duration,
                    date=start + segment.start,
                )
                if isinstance(fact, GapSegment)
                else segment_object(
                    STREAM,
                    rung,
                    session,
                    segment.index,
                    duration=segment.duration,
                    date=start + segment.start,
                    content=b"media",
                ),
            )

    def _as_created(self, session: SessionNumber, segment: TimelineSegment) -> TimelineSegment:
        rungs = dict(segment.rungs)
        for rung in rungs:
            facts = self.media.facts(segment_name(STREAM, rung, session, segment.index))
            if facts is not None and listed_as(facts) is ListedAs.GAP:
                rungs[rung] = GAP
        return replace(segment, rungs=rungs)

    def report(
        self,
        session: SessionNumber,
        encoder: EncoderId,
        segments: Iterable[TimelineSegment],
        *,
        ended: bool = False,
        continues: bool = False,
    ) -> None:
        """Upload *segments*, then write *encoder*'s timeline of them: what others decided first is theirs."""
        wanted = tuple(segments)
        for segment in wanted:
            self.upload(session, segment)
        taken = tuple(self._as_created(session, segment) for segment in wanted)
        timeline = Timeline(
            stream=STREAM,
            session=session,
            encoder=encoder,
            ended=ended,
            continues=continues,
            media_at=self.clock.now(),
            segments=taken,
        )
        name = timeline_name(STREAM, session, encoder)
        there = self.ingest.facts(name)
        new = NewObject(name=name, content=encode_record(timeline), content_type=JSON, cache_control="no-store")
        self.ingest.write(new, if_generation=there.generation if there else ABSENT)

    def report_later(
        self,
        session: SessionNumber,
        encoder: EncoderId,
        segments: Iterable[TimelineSegment],
        *,
        ended: bool = False,
        continues: bool = False,
    ) -> None:
        """Report after another segment's time."""
        self.clock.advance(SEGMENT.total_seconds())
        self.report(session, encoder, segments, ended=ended, continues=continues)

    def wake(self) -> StreamDocument:
        """Publish."""
        return self.publisher.publish(STREAM)

    def decided(self) -> dict[str, ListedAs]:
        """Every media object, and what it is."""
        objects = self.media.objects
        return {name: listed_as(facts) for name, (_, facts) in objects.items() if name.endswith(".ts")}

    def playlists(self) -> dict[str, str]:
        """Every playlist in the media bucket."""
        contents = self.media.contents(f"{STREAM}/")
        return {name: text.decode() for name, text in contents.items() if name.endswith(".m3u8")}

    def playlist(self, slot: RungName) -> str:
        """The media playlist of *slot*."""
        return self.playlists()[f"{STREAM}/{slot}/playlist.m3u8"]
