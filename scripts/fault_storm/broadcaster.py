"""The broadcasters: they play a show on its stream, whatever the weather."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Final

from bucketcast.errors import BucketcastError, Refused, Unavailable
from bucketcast.stream.claim import LEASE, ClaimRequest
from bucketcast.stream.identifiers import EncoderId, RungName, StreamId
from bucketcast.stream.session_record import EncodedRung, FrameRate, SessionRecord
from fault_storm.encoder import Encoder, Studio
from fault_storm.story import Connection, Ending, Show
from ingest.session import CLAIM_PAUSE, CLAIM_TRIES

CODECS: Final = "avc1.4d401e,mp4a.40.2"
WIDTHS: Final = {"360p": 640, "240p": 426, "144p": 256}
# OBS tries again after a second or two, and for as long as its user lets it.
RECONNECT_PAUSE: Final = 2.0
MOST_TRIES: Final = 60
# A zombie's lease is over when its broadcaster's successor comes.
SILENT_BEFORE: Final = LEASE + timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Broadcaster:
    """Plays *show* with encoders of *studio*; *end* is the owner's wish to end the broadcast."""

    show: Show
    studio: Studio
    end: Callable[[str], Awaitable[None]]
    _encoder_numbers: "count[int]" = field(default_factory=lambda: count(1), init=False)

    async def play(self) -> None:
        """Return once the last encoder is gone; raises what no fault explains."""
        async with asyncio.TaskGroup() as lost:
            for connection in self.show.connections:
                await asyncio.sleep(connection.pause.total_seconds())
                if connection.ends_before:
                    await self.end(self.show.stream)
                record = await self._claim(connection)
                if record is not None:
                    await self._broadcast(record, connection, lost)

    async def _claim(self, connection: Connection) -> SessionRecord | None:
        for _ in range(MOST_TRIES):
            try:
                record = await self._claim_once(connection)
            except Refused:
                self.studio.counts["claims refused"] += 1
            except BucketcastError:
                self.studio.counts["claims failed"] += 1
            else:
                self.studio.counts["sessions"] += 1
                return record
            await asyncio.sleep(RECONNECT_PAUSE)
        self.studio.counts["connections given up"] += 1
        return None

    async def _claim_once(self, connection: Connection) -> SessionRecord:
        """Claim as one encoder, several times if need be; see ingest.session."""
        request = ClaimRequest(
            stream=StreamId(self.show.stream),
            encoder=self._new_encoder(),
            start=self.studio.clock.now(),
            frame_rate=FrameRate(numerator=30),
            rungs=tuple(
                EncodedRung(name=RungName(rung), width=WIDTHS[rung], height=int(rung[:-1]), codecs=CODECS)
                for rung in connection.rungs
            ),
        )
        for _ in range(CLAIM_TRIES - 1):
            try:
                return await self.studio.control.claim(request)
            except Unavailable:
                await asyncio.sleep(CLAIM_PAUSE)
        return await self.studio.control.claim(request)

    def _new_encoder(self) -> EncoderId:
        return EncoderId(f"e{next(self._encoder_numbers)}")

    async def _broadcast(self, record: SessionRecord, connection: Connection, lost: asyncio.TaskGroup) -> None:
        """Return when the broadcaster is gone; what its encoders still do goes on in *lost*."""
        over = asyncio.Event()
        extra = 0
        if connection.ending is Ending.ZOMBIE:
            extra = int(connection.lingers / record.segment_duration)
        handover = connection.handover
        last = handover.first + handover.overlap if handover else connection.segments + extra
        encoder = self._encoder(record, connection, record.encoder, range(last), over)
        encoder.hold_lease()
        if handover is not None:
            await self._media(record, handover.first, over)
            second = range(handover.first, connection.segments + extra)
            successor = self._encoder(record, connection, self._new_encoder(), second, over)
            lost.create_task(self._leave(encoder, crash=handover.crash))
            encoder = successor
            encoder.hold_lease()
        if connection.ending is Ending.ZOMBIE:
            await self._media(record, connection.segments, over, less=SILENT_BEFORE)
            encoder.lose_functions()
        await self._media(record, connection.segments, over)
        lost.create_task(self._end_encoder(encoder, connection, over))

    def _encoder(
        self,
        record: SessionRecord,
        connection: Connection,
        encoder: EncoderId,
        indices: range,
        over: asyncio.Event,
    ) -> Encoder:
        def on_over(holds: str) -> None:
            self.studio.counts[f"sessions {holds}"] += 1
            over.set()

        return Encoder(self.studio, record, connection, encoder=encoder, indices=indices, on_over=on_over)

    async def _media(
        self, record: SessionRecord, segments: int, over: asyncio.Event, *, less: timedelta = timedelta(0)
    ) -> None:
        """Return when media for *segments* was sent, *less* some, or the session was taken away."""
        due = record.start + segments * record.segment_duration - less
        left = (due - self.studio.clock.now()).total_seconds()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await over.wait()
        except TimeoutError:
            return

    async def _leave(self, encoder: Encoder, *, crash: bool) -> None:
        """Let the first of two encoders make what is left to it, and go."""
        await encoder.made()
        if crash:
            encoder.crash()
        else:
            await encoder.finish()

    async def _end_encoder(self, encoder: Encoder, connection: Connection, over: asyncio.Event) -> None:
        self.studio.counts[f"connections {connection.ending}"] += 1
        if connection.ending is Ending.CRASH:
            encoder.crash()
            return
        if not over.is_set() or connection.ending is Ending.ZOMBIE:
            await encoder.made()
        if connection.ending is Ending.HALF_OPEN:
            encoder.lose_media()
            with suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), connection.lingers.total_seconds())
        await encoder.finish()
