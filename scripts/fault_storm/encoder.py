"""An encoder as far as the cloud sees one: the real delivery side of the ingest, and segments out of a box."""

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from bucketcast.errors import BucketcastError
from bucketcast.ports import Bucket
from bucketcast.stream.claim import Renewal
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex
from bucketcast.stream.session_record import SessionRecord
from fault_storm.compressed_time import EPOCH, CompressedTime
from fault_storm.story import Connection
from ingest.control import Control
from ingest.deliver.timeline_writer import TimelineWriter
from ingest.deliver.upload import SegmentUploader
from ingest.encode.session_encoder import CutSegment
from ingest.metrics import Metrics, StreamMetrics
from ingest.session import FINISH_TIMEOUT, GIVEN_BACK, RENEW_INTERVAL

# How often media comes, as far as the timeline is concerned.
MEDIA_INTERVAL: Final = 0.5
_PACKET_BYTES: Final = 188
_NULL_PACKET: Final = b"\x47\x1f\xff\x10"  # ISO/IEC 13818-1, 2.4.3.3: PID 0x1FFF
# Some 1,500 bytes, and never the same size twice in a row.
_PACKETS: Final = (6, 9, 7, 8, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """What all encoders share."""

    media: Bucket
    ingest: Bucket
    control: Control
    executor: Executor
    metrics: Metrics
    clock: CompressedTime
    counts: Counter[str] = field(default_factory=Counter)


class Encoder:
    """One encoder of the session of *record*, called *encoder*, that makes the segments of *indices*.

    It renews the session's lease while it is told to, and calls *on_over* with what took the session from it.
    """

    def __init__(
        self,
        studio: Studio,
        record: SessionRecord,
        connection: Connection,
        *,
        encoder: EncoderId,
        indices: range,
        on_over: Callable[[str], None],
    ) -> None:
        self._studio = studio
        self._record = record = replace(record, encoder=encoder)
        self._connection = connection
        self._indices = indices
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._renews = True
        self._gives_back = False
        self._media_at = self._loop.time()
        metrics = StreamMetrics(studio.metrics, record.stream)
        self._writer = TimelineWriter(
            studio.ingest,
            record,
            executor=studio.executor,
            wake=studio.control.wake,
            now=studio.clock.now,
            metrics=metrics,
        )
        self._uploader = SegmentUploader(
            studio.media,
            stream=record.stream,
            session=record.session,
            start=record.start,
            segment_duration=record.segment_duration,
            executor=studio.executor,
            metrics=metrics,
            on_decided=self._writer.decided,
        )
        self._writing = asyncio.create_task(self._writer.run())
        self._feeding = asyncio.create_task(self._feed())
        self._making = [asyncio.create_task(self._make(rung.name)) for rung in record.rungs]
        self._leasing: asyncio.Task[None] | None = None
        studio.counts["encoders"] += 1

    def hold_lease(self) -> None:
        """Renew the lease from now on."""
        self._leasing = asyncio.create_task(self._lease())

    def lose_functions(self) -> None:
        """Renew the lease no more, as if nobody answered."""
        self._renews = False

    def lose_media(self) -> None:
        """Get no more media, and hear nothing of it."""
        self._feeding.cancel()
        for making in self._making:
            making.cancel()

    async def made(self) -> None:
        """Return once all segments are cut; raises what went wrong."""
        await asyncio.gather(*self._making)

    async def finish(self) -> None:
        """Deliver what is left within FINISH_TIMEOUT, and give the lease back; see ingest.session."""
        self.lose_media()
        self._gives_back = True
        try:
            async with asyncio.timeout(FINISH_TIMEOUT):
                await self._uploader.drain()
                self._writer.end()
                await self._writing
        except TimeoutError:
            self._studio.counts["tails not delivered in time"] += 1
        if self._leasing is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._leasing), FINISH_TIMEOUT)
        self.crash()

    def crash(self) -> None:
        """Be gone, whatever is under way."""
        self.lose_media()
        self._uploader.cancel()
        self._writing.cancel()
        if self._leasing is not None:
            self._leasing.cancel()

    async def _feed(self) -> None:
        while True:
            self._media_at = self._loop.time()
            self._writer.media_received(self._studio.clock.now())
            await asyncio.sleep(MEDIA_INTERVAL)

    async def _make(self, rung: RungName) -> None:
        """Cut the segments of *rung* in their order, each when its media is there, or later."""
        following = self._indices.start
        for index in map(SegmentIndex, self._indices):
            await self._until((index + 1) * self._record.segment_duration + self._lateness(rung, index))
            if (rung, index) in self._connection.gaps:
                continue
            for missed in range(following, index):
                self._uploader.upload(self._segment(rung, SegmentIndex(missed), data=b""))
                self._studio.counts["segments never made"] += 1
            following = index + 1
            self._writer.cut(index)
            self._uploader.upload(self._segment(rung, index, data=self._content(rung, index)))
            self._studio.counts["segments made"] += 1

    async def _until(self, since_origin: timedelta) -> None:
        due = (self._record.start - EPOCH + since_origin).total_seconds()
        await asyncio.sleep(max(0.0, due - self._loop.time()))

    def _lateness(self, rung: RungName, index: SegmentIndex) -> timedelta:
        late = self._connection.late
        if late is None or late.rung != rung or not late.first <= index <= late.last:
            return timedelta(0)
        return late.by

    def _segment(self, rung: RungName, index: SegmentIndex, *, data: bytes) -> CutSegment:
        duration = self._record.segment_duration
        return CutSegment(rung=rung, index=index, start=index * duration, duration=duration, data=data)

    def _content(self, rung: RungName, index: SegmentIndex) -> bytes:
        """A transport stream of null packets that say what they are: no other segment has these bytes."""
        record = self._record
        label = f"{record.stream}/{record.session}/{record.encoder}/{rung}/{index}".encode()
        packet = _NULL_PACKET + label.ljust(_PACKET_BYTES - len(_NULL_PACKET), b"\xff")
        return packet * _PACKETS[(index + record.session) % len(_PACKETS)]

    async def _lease(self) -> None:
        """Renew the lease by media, then give it back; see ingest.session."""
        while not self._gives_back:
            await asyncio.sleep(RENEW_INTERVAL)
            if self._renews and (holds := await self._renew(self._loop.time() - self._media_at)) != "on":
                self._on_over(holds)
                return
        if self._renews:
            await self._renew(GIVEN_BACK)

    async def _renew(self, silent_seconds: float) -> str:
        record = self._record
        renewal = Renewal(
            stream=record.stream,
            session=record.session,
            encoder=record.encoder,
            silent_seconds=silent_seconds,
        )
        try:
            return (await self._studio.control.renew(renewal)).holds
        except BucketcastError:
            self._studio.counts["renewals failed"] += 1
            return "on"
