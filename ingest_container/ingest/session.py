"""A session: claimed, encoded, delivered, and ended so that nothing of it is lost."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from bucketcast.errors import BucketcastError, Unavailable
from bucketcast.ports import Bucket
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.stream.claim import ClaimRequest, Renewal
from bucketcast.stream.configuration import RecordingMode
from bucketcast.stream.encoder_report import EncoderReport, InputFault
from bucketcast.stream.identifiers import EncoderId, RungName, SegmentIndex
from bucketcast.stream.session_record import SessionRecord
from bucketcast.stream.stream_record import StreamRecord
from ingest.control import Control
from ingest.deliver.part_writer import PartWriter
from ingest.deliver.recorder import Recorder, RungRecorder
from ingest.deliver.source_parts import source_format
from ingest.deliver.source_recorder import SourceRecorder
from ingest.deliver.timeline_writer import TimelineWriter
from ingest.deliver.upload import SegmentUploader
from ingest.encode.ladder import EncodingPlan, plan_encoding
from ingest.encode.session_encoder import CutSegment, SessionEncoder
from ingest.encode.source import Opened
from ingest.feed import EncodedFrame, FeedItem, Track
from ingest.feed.input_monitor import InputMonitor
from ingest.metrics import Metrics, StreamMetrics

_log = logging.getLogger(__name__)

# A lease holds three seconds; renewed every second it outlasts one lost renewal.
RENEW_INTERVAL: Final = 1.0
# How long the tail of a session may take to be encoded, uploaded and announced. Whatever is not through then
# is sealed without.
FINISH_TIMEOUT: Final = 30.0
# Long ago, for a lease that is given back.
GIVEN_BACK: Final = 3600.0
# A lease is given back while the tail is delivered. One that is not by then runs out by itself.
GIVE_BACK_TIMEOUT: Final = 3.0
# A function that starts up, or that met other writers, answers within a second or two. The same encoder may
# claim again: its session is there already.
CLAIM_TRIES: Final = 4
CLAIM_PAUSE: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every session of a process shares."""

    media: Bucket
    ingest: Bucket
    recording: Bucket
    control: Control
    executor: Executor  # uploads media
    recorders: Executor  # makes and writes parts of recordings: viewers' media must not stand behind them
    timelines: Executor  # writes them: what is encoded and uploaded must not stand before them
    strangers: Executor  # looks keys up, apart from what serves those who are let in
    metrics: Metrics
    ffmpeg: Path
    recordings: set[asyncio.Task[None]] = field(default_factory=set)  # whose sessions are over
    now: Callable[[], datetime]
    new_encoder_id: Callable[[], EncoderId]


class Session:
    """One numbered session of a stream, from its claim to its timeline's end."""

    def __init__(
        self,
        record: SessionRecord,
        plan: EncodingPlan,
        opened: Opened,
        surroundings: Surroundings,
        on_over: Callable[[str], None],
        *,
        connection_faults: Callable[[], tuple[InputFault, ...]],
        standing_faults: tuple[InputFault, ...],
        recording: RecordingMode,
    ) -> None:
        """Use Session.open."""
        self._connection_faults = connection_faults
        self._standing_faults = standing_faults
        self._record = record
        self._surroundings = surroundings
        self._on_over = on_over
        self._loop = asyncio.get_running_loop()
        self._metrics = StreamMetrics(surroundings.metrics, record.stream)
        self._monitor = InputMonitor(has_audio=opened.source.audio is not None, adaptive=opened.source.adaptive)
        self._media_at = self._loop.time()
        self._is_writing = False
        self._writer = TimelineWriter(
            surroundings.ingest,
            record,
            executor=surroundings.timelines,
            wake=surroundings.control.wake,
            now=surroundings.now,
            metrics=self._metrics,
        )
        self._uploader = SegmentUploader(
            surroundings.media,
            stream=record.stream,
            session=record.session,
            start=record.start,
            segment_duration=record.segment_duration,
            executor=surroundings.executor,
            metrics=self._metrics,
            on_decided=self._writer.decided,
        )
        self._recorder = self._new_recorder(recording, opened)
        self._grid = plan.grid
        self._next: dict[RungName, int] = {}  # the index that each rung's next segment should have
        self._encoder = SessionEncoder(
            plan, origin=opened.origin, ffmpeg=surroundings.ffmpeg, on_segment=self._cut
        )
        self._writing = asyncio.create_task(self._writer.run(), name="timeline")
        self._is_over = asyncio.Event()
        self._leasing = asyncio.create_task(self._lease(), name="lease")

    @classmethod
    async def open(
        cls,
        stream: StreamRecord,
        opened: Opened,
        surroundings: Surroundings,
        on_over: Callable[[str], None],
        *,
        connection_faults: Callable[[], tuple[InputFault, ...]],
        fault: InputFault | None = None,
        shed: RungName | None = None,
    ) -> Self:
        """Claim a session of *stream* for what *opened* and start to encode it.

        *on_over* is called with "replaced" or "ended" when the session is over before its broadcaster is.
        *connection_faults* says what is wrong with the input that its frames do not show; *fault* is what ended
        the broadcaster's session before, to be reported with this one; *shed* is for plan_encoding.
        Raises Refused while another broadcaster is on air, NotFound, Unavailable.
        """
        plan = plan_encoding(stream.configuration, opened.source, source_delay=opened.source_delay, shed=shed)
        record = await _claim(
            surroundings.control,
            ClaimRequest(
                stream=stream.stream,
                encoder=surroundings.new_encoder_id(),
                start=surroundings.now() - _buffered(opened),
                frame_rate=plan.frame_rate,
                rungs=tuple(rung.encoded_rung for rung in plan.rungs),
            ),
        )
        missed = stream.configuration.pass_through and not plan.copies_top
        standing = (
            fault,
            InputFault.NOT_PASSED_THROUGH if missed else None,
            InputFault.ENCODER_OVERLOADED if shed else None,
        )
        faults = tuple(each for each in standing if each is not None)
        session = cls(
            record,
            plan,
            opened,
            surroundings,
            on_over,
            connection_faults=connection_faults,
            standing_faults=faults,
            recording=stream.configuration.recording,
        )
        surroundings.metrics.sessions.inc()
        _log.info(
            "session begins",
            extra={
                "stream": record.stream,
                "session": record.session,
                "rungs": [f"{rung.name} {rung.width}x{rung.height}" for rung in record.rungs],
                "frame_rate": str(record.frame_rate.fraction),
                "passed_through": plan.copies_top,
                "not_passed_through_because": opened.not_copied,
            },
        )
        try:
            await session._start(opened.items)
        except BaseException:
            await session.finish()
            raise
        return session

    def _new_recorder(self, mode: RecordingMode, opened: Opened) -> Recorder | None:
        if mode is RecordingMode.OFF:
            return None
        writer = PartWriter(
            self._surroundings.recording,
            self._record,
            executor=self._surroundings.recorders,
            metrics=self._metrics,
        )
        if mode is RecordingMode.SOURCE:
            try:
                source = source_format(
                    opened.items,
                    adaptive=opened.source.adaptive,
                    has_sound=opened.source.audio is not None,
                )
            except InvalidMedia as error:
                self._standing_faults += (InputFault.SOURCE_NOT_RECORDED,)
                _log.warning(
                    "the source is recorded as viewers get it",
                    extra={
                        "stream": self._record.stream,
                        "session": self._record.session,
                        "reason": str(error),
                    },
                )
            else:
                return SourceRecorder(self._record, writer, source, origin=opened.origin)
        return RungRecorder(self._record, writer)

    async def _start(self, items: Iterable[FeedItem]) -> None:
        self._writer.media_received(self._surroundings.now())
        await self._encoder.start(items)
        for item in items:
            self._taken(item, arrived=self._media_at)

    async def write(self, item: FeedItem) -> None:
        """Encode *item*, waiting while the encoder is far behind; raises SessionOver and EncoderFailed."""
        arrived = self._media_at = self._loop.time()
        self._writer.media_received(self._surroundings.now())
        self._is_writing = True
        try:
            await self._encoder.write(item)
        finally:
            self._is_writing = False
            self._media_at = self._loop.time()
        # What the encoder did not take, because the session is over, is the next one's.
        self._taken(item, arrived=arrived)

    def _taken(self, item: FeedItem, *, arrived: float) -> None:
        if isinstance(item, EncodedFrame):
            self._monitor.observe(item, arrived=arrived)
        if self._recorder:
            self._recorder.receive(item)

    async def finish(self, *, continues: bool = False) -> None:
        """Encode, upload and announce what is left, within FINISH_TIMEOUT, and give the lease back.

        *continues* says that another session of the same broadcaster follows at once.
        """
        self._is_over.set()
        try:
            async with asyncio.timeout(FINISH_TIMEOUT):
                await self._finish_encoder()
                await self._uploader.drain()
                self._writer.end(continues=continues)
                await self._writing
        except TimeoutError:
            _log.error(
                "session's tail was not delivered in time",
                extra={"stream": self._record.stream, "session": self._record.session},
            )
        finally:
            await self._encoder.abort()
            self._uploader.cancel()
            self._writing.cancel()
            self._surroundings.metrics.sessions.dec()
            self._metrics.forget()
            await asyncio.wait({self._writing, self._leasing}, timeout=GIVE_BACK_TIMEOUT)
            self._leasing.cancel()
        if self._recorder:
            recording = asyncio.create_task(self._recorder.finish(within=FINISH_TIMEOUT), name="recording")
            self._surroundings.recordings.add(recording)
            recording.add_done_callback(self._surroundings.recordings.discard)
            if not continues:  # what follows must not wait for the recording bucket
                await recording
        _log.info(
            "session ends",
            extra={
                "stream": self._record.stream,
                "session": self._record.session,
                "segments_uploaded": self._metrics.segments_uploaded,
                "segments_retried": self._metrics.segments_retried,
                "segments_lost": self._metrics.segments_lost,
                "ffmpeg_restarts": self._encoder.restarts,
            },
        )

    async def _finish_encoder(self) -> None:
        try:
            await self._encoder.finish()
        except Exception:  # noqa: BLE001 - whatever it was, what is encoded is still to be delivered
            _log.exception(
                "session's last segments could not be encoded", extra={"stream": self._record.stream}
            )

    async def _cut(self, segment: CutSegment) -> None:
        _log.debug(
            "segment cut",
            extra={
                "stream": self._record.stream,
                "session": self._record.session,
                "rung": segment.rung,
                "index": segment.index,
            },
        )
        for index in range(self._next.get(segment.rung, 0), segment.index):
            # The encoder went on behind what it could not make (again).
            self._uploader.upload(self._never_made(segment.rung, SegmentIndex(index)))
        self._next[segment.rung] = segment.index + 1
        self._writer.cut(segment.index)
        self._uploader.upload(segment)
        if self._recorder:
            self._recorder.take(segment)

    def _never_made(self, rung: RungName, index: SegmentIndex) -> CutSegment:
        start, end = self._grid.start(index), self._grid.start(SegmentIndex(index + 1))
        return CutSegment(rung=rung, index=index, start=start, duration=end - start, data=b"")

    async def _lease(self) -> None:
        """Renew the lease by media until the session is over, then give it back, one call at a time."""
        while not await self._over_within(RENEW_INTERVAL):
            self._metrics.follow(restarts=self._encoder.restarts, speed=self._encoder.speed)
            # While we are held up ourselves, the broadcaster's media waits in our socket.
            silent = 0.0 if self._is_writing else self._loop.time() - self._media_at
            holds = await self._try_to_renew(silent_seconds=silent)
            if holds != "on" and not self._is_over.is_set():
                self._on_over(holds)
                return
        await self._try_to_renew(silent_seconds=GIVEN_BACK)

    async def _over_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_over.wait(), seconds)
        return self._is_over.is_set()

    async def _try_to_renew(self, *, silent_seconds: float) -> str:
        """Renew once and return what the session holds: "on" where nobody could say."""
        try:
            return await self._renew(silent_seconds=silent_seconds)
        except BucketcastError as error:
            _log.warning("lease was not renewed", extra={"stream": self._record.stream, "reason": str(error)})
        except Exception:  # noqa: BLE001 - whatever a library may raise: the next renewal is a second away
            _log.exception("renewal failed unexpectedly", extra={"stream": self._record.stream})
        return "on"

    async def _renew(self, *, silent_seconds: float) -> str:
        renewed = await self._surroundings.control.renew(
            Renewal(
                stream=self._record.stream,
                session=self._record.session,
                encoder=self._record.encoder,
                silent_seconds=silent_seconds,
                report=EncoderReport(
                    faults=self.faults(),
                    speed=self._encoder.speed,
                    ffmpeg_restarts=self._encoder.restarts,
                    segments_uploaded=self._metrics.segments_uploaded,
                    segments_retried=self._metrics.segments_retried,
                    segments_lost=self._metrics.segments_lost,
                ),
            )
        )
        return renewed.holds

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong with the input now, or was when the session began."""
        overloaded = (InputFault.ENCODER_OVERLOADED,) if self._encoder.overloaded else ()
        lacking = self._recorder is not None and self._recorder.lacks_source
        unrecorded = (InputFault.SOURCE_NOT_RECORDED,) if lacking else ()
        now = (*self._monitor.faults(), *self._connection_faults(), *overloaded, *unrecorded)
        return tuple(dict.fromkeys((*self._standing_faults, *now)))


async def _claim(control: Control, request: ClaimRequest) -> SessionRecord:
    for _ in range(CLAIM_TRIES - 1):
        try:
            return await control.claim(request)
        except Unavailable as error:
            _log.warning("session is claimed again", extra={"stream": request.stream, "reason": str(error)})
        await asyncio.sleep(CLAIM_PAUSE)
    return await control.claim(request)


def _buffered(opened: Opened) -> timedelta:
    """How much media came since the session's origin."""
    latest = max(
        item.presentation_time
        for item in opened.items
        if isinstance(item, EncodedFrame) and item.track is Track.VIDEO
    )
    return latest - opened.origin
