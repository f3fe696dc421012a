"""The encoder of a session: a feed in, segments of every rung out, whatever happens to FFmpeg in between."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from bucketcast.errors import Unavailable
from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream.silence import CLOCK_START
from ingest.encode.container import FeedWriter, feed_writer
from ingest.encode.history import MAX_KEPT_BYTES, FeedHistory, GroupStart
from ingest.encode.intake import Intake, SourceChanged
from ingest.encode.ladder import EncodingPlan, RungPlan
from ingest.encode.overload import (
    HELD_BACK,
    MAX_LAG,
    REPORTED_FOR,
    Arrivals,
    EncoderOverloaded,
    Pace,
    is_noted,
    is_overloaded,
    skip_to,
)
from ingest.encode.pass_through import CopyWatch, NotCopyable
from ingest.encode.process import FfmpegProcess
from ingest.encode.source import Opened
from ingest.encode.transport_stream import InvalidTransportStream, MediaSegment, SegmentCutter
from ingest.feed import EncodedFrame, FeedItem, Track
from ingest.feed.file_clock import LEAD, UnwritableFrame

# Media that may wait for FFmpeg. Whoever writes is held up beyond it, and so is the broadcaster in the end:
# one who sends faster than real time, or whose groups are too long for any to be left out.
MAX_WAITING_MEDIA = timedelta(seconds=10)
# The same in bytes: ten seconds at 20 Mb/s.
MAX_WAITING_BYTES = 25 * 2**20
# FFmpeg has media, or the end of it, and has written nothing for so long: it is hung. Starting takes it below
# a second on a busy machine.
STALL_TIMEOUT = timedelta(seconds=10)
_WATCH_INTERVAL = timedelta(milliseconds=500)
# How long to wait before the next FFmpeg, by how many in a row have delivered no segment. The first is
# replaced at once: viewers have some seconds in hand.
RESTART_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (0, 0.5, 1, 2, 4))
# A replacement starts to decode this much before its first segment, so that its sound is warmed up too.
_RUN_UP = timedelta(milliseconds=500)
# A session may begin so long after the keyframe that its decoding begins with: a file has room for LEAD, and
# sound and pictures out of order may lie a little before a keyframe.
_MAX_DECODED_BEFORE = LEAD - timedelta(seconds=1)

_FIRST = SegmentIndex(0)

_log = logging.getLogger(__name__)


class EncoderFailed(Unavailable):
    """FFmpeg cannot be kept running on this feed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSegment:
    """A whole segment of *rung*; *start* and *duration* are on the session's clock, exact to the frame."""

    rung: RungName
    index: SegmentIndex
    start: timedelta
    duration: timedelta
    data: bytes


class SessionEncoder:
    """Encodes one session: keeps one FFmpeg running on *plan*, and hands every segment to *on_segment*.

    *origin* is the session's time 0 on the sender's clock; *first* is the first segment that is wanted. Each
    rung's segments come in order, one at a time, each once; rungs run beside each other. While *on_segment*
    is awaited, that rung's FFmpeg output waits. If FFmpeg dies, or writes nothing for *stall_timeout*, it is
    replaced, from the first missing segment on. If it falls behind and is too slow to catch up, the session is
    over, and the next has to do without a rung. If it falls behind by more than MAX_LAG, it is replaced from
    the newest group of the feed on, and every rung lacks the same segments.
    """

    def __init__(
        self,
        plan: EncodingPlan,
        *,
        origin: timedelta,
        ffmpeg: Path,
        on_segment: Callable[[CutSegment], Awaitable[None]],
        first: SegmentIndex = _FIRST,
        stall_timeout: timedelta = STALL_TIMEOUT,
    ) -> None:
        self._plan = plan
        self._origin = origin
        self._ffmpeg = ffmpeg
        self._on_segment = on_segment
        self._stall_timeout = stall_timeout
        self._loop = asyncio.get_running_loop()
        self._intake = Intake(plan.source, origin=origin)
        self._copy_watch = CopyWatch(plan, origin=origin) if plan.copies_top else None
        self._history = FeedHistory(max_bytes=MAX_KEPT_BYTES)
        self._next = {rung.name: first for rung in plan.rungs}
        self._cutters: tuple[SegmentCutter, ...] = ()
        self._read_position = 0
        self._read_time = self._written_time = origin
        self._ended = self._handed_over = False
        self._written, self._room = asyncio.Event(), asyncio.Event()
        self._outputs = self._delivering = self._delivered = 0
        self._arrivals = Arrivals()
        self._pace = Pace(at=self._loop.time(), written=origin, encoded=origin, due=origin)
        self._skipped_at: float | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._process: FfmpegProcess | None = None
        self.restarts = 0
        """How often FFmpeg was replaced."""
        self.lost = 0
        """Segments, over all rungs, that were not made: the feed was no longer kept, or left out."""
        self.speed = 0.0
        """Media time per time, as FFmpeg last reported it: about 1 for a live feed that is kept up with."""
        self.frames = 0
        """Frames that the running FFmpeg has encoded, as it last reported."""

    @property
    def lag(self) -> timedelta:
        """How far the pictures that left FFmpeg are behind those that were written."""
        return max(timedelta(0), self._written_time - self._encoded)

    @property
    def overloaded(self) -> bool:
        """Whether FFmpeg does not keep up, or a moment ago did not."""
        now = self._loop.time()
        if self._skipped_at is not None and now - self._skipped_at < REPORTED_FOR.total_seconds():
            return True
        return is_noted(lag=self.lag, waiting=self._arrivals.waiting(self._encoded, now=now))

    @property
    def _encoded(self) -> timedelta:
        """Up to when every rung's pictures have left FFmpeg, on the sender's clock."""
        return self._origin + self._plan.grid.time_of_frame(self._last_frame + 1)

    @property
    def _last_frame(self) -> int:
        return min((cutter.last_frame for cutter in self._cutters), default=-1)

    @property
    def waiting(self) -> timedelta:
        """Media that was written and that FFmpeg has not read yet."""
        return self._written_time - self._read_time

    @property
    def pid(self) -> int | None:
        """The process id of the FFmpeg that runs, if one does."""
        return self._process.pid if self._process else None

    async def start(self, items: Iterable[FeedItem] = ()) -> None:
        """Start to encode *items*, which have waited for it, and what is written. Raises SourceChanged."""
        self._supervisor = asyncio.create_task(self._supervise(), name="encoder")
        self._supervisor.add_done_callback(lambda _: self._room.set())
        for item in items:
            self._take(item)
        now, written = self._loop.time(), self._written_time
        self._pace = Pace(at=now, written=written, encoded=self._origin, due=written)

    async def write(self, item: FeedItem) -> None:
        """Encode *item*; waits while FFmpeg is far behind.

        Raises SessionOver for an item with which this session cannot go on (finish it and open another):
        SourceChanged, or EncoderOverloaded; further EncoderFailed, and what *on_segment* raised.
        """
        self._raise_failure()
        if (place := self._place_to_shed()) is not None:
            await self._shed(*place)
        self._take(item)
        while not self._has_room() and self._place_to_shed() is None:
            self._room.clear()
            await self._room.wait()
            self._raise_failure()

    async def finish(self) -> None:
        """End the feed; returns when every rung's last segment is delivered, or raises as `write` does."""
        assert self._supervisor is not None
        self._ended = True
        self._written.set()
        await asyncio.wait([self._supervisor])
        if not self._handed_over:
            self._raise_failure()

    async def abort(self) -> None:
        """End FFmpeg without its last segments; nothing is delivered afterwards. Safe to call at any time."""
        if self._process is not None:
            self._process.kill()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])

    def _take(self, item: FeedItem) -> None:
        admitted = self._intake.take(item)
        self._watch_copy(item)
        for taken in admitted:
            self._keep(taken)
        self._written.set()

    def _watch_copy(self, item: FeedItem) -> None:
        """Raise SourceChanged where *item* ends the copying of the top rung; nothing of it is lost then."""
        if (watch := self._copy_watch) is None:
            return
        try:
            watch.admit(item)
        except NotCopyable as error:
            items = (*self._history.configurations, *watch.group)
            raise SourceChanged(
                f"the source cannot be passed through any more: {error}",
                fault=InputFault.NOT_PASSED_THROUGH,
                successor=Opened(source=self._plan.source, origin=watch.end, items=items),
            ) from error

    def _timed(self, item: FeedItem) -> FeedItem:
        if self._copy_watch is None or not isinstance(item, EncodedFrame) or item.track is Track.AUDIO:
            return item
        return self._copy_watch.retimed(item)

    def _keep(self, item: FeedItem) -> None:
        self._history.append(item)
        if isinstance(item, EncodedFrame) and item.track is Track.VIDEO:
            self._written_time = max(self._written_time, item.presentation_time)
            self._arrivals.note(item.presentation_time, arrived=self._loop.time())
        if self._history.kept_bytes > MAX_KEPT_BYTES:
            self._history.release(self._needed_from(), read=self._read_position)

    def _place_to_shed(self) -> tuple[timedelta, GroupStart] | None:
        """Where the next session begins, and its decoding, if the encoder has to do without a rung now.

        It begins with the first segment that is missing, once that is the same in all rungs: nothing is lost,
        and what FFmpeg has begun is made again. Only beyond MAX_LAG something is left out.
        """
        missing = frozenset(self._next.values())
        if not self._pace.cannot_catch_up or self._plan.sheddable_rung is None:
            return None
        if len(missing) > 1 or self._delivering:
            return None
        begin = self._origin + self._plan.grid.start(min(missing))
        # A millisecond: keyframes' times are rounded to it.
        start = self._history.start_for(begin + timedelta(milliseconds=1))
        if self.lag > MAX_LAG and (later := self._history.start_from(self._written_time - MAX_LAG)):
            begin, start = later.time, later
        if start is None or begin - start.time > _MAX_DECODED_BEFORE:
            # A later segment will be nearer to a keyframe.
            return None
        return begin, start

    async def _shed(self, begin: timedelta, start: GroupStart) -> NoReturn:
        """End FFmpeg, and raise EncoderOverloaded."""
        assert self._plan.sheddable_rung is not None
        self._handed_over = True
        await self.abort()
        self.lost += len(self._next) * (self._index_at(begin) - min(self._next.values()))
        successor = Opened(
            source=self._plan.source,
            origin=begin,
            items=self._history.since(start),
            source_delay=self._plan.source_delay,
        )
        raise EncoderOverloaded(shed=self._plan.sheddable_rung, successor=successor)

    def _has_room(self) -> bool:
        return (
            self.waiting <= MAX_WAITING_MEDIA
            and self._history.bytes_from(self._read_position) <= MAX_WAITING_BYTES
        )

    def _raise_failure(self) -> None:
        if self._supervisor is not None and self._supervisor.done():
            if self._supervisor.cancelled():
                raise EncoderFailed("the encoder was aborted")
            if error := self._supervisor.exception():
                raise error

    async def _supervise(self) -> None:
        """Keep an FFmpeg running until the feed has ended and all of it is delivered."""
        failures = 0
        while (start := await self._resume_from()) is not None:
            delivered = self._delivered
            if await self._run(start):
                return
            failures = 0 if self._delivered > delivered else failures + 1
            if failures >= len(RESTART_DELAYS):
                raise EncoderFailed("FFmpeg fails again and again on this feed")
            self.restarts += 1
            _log.warning("FFmpeg is replaced", extra={"restarts": self.restarts, "failures": failures})
            await asyncio.sleep(RESTART_DELAYS[failures].total_seconds())

    async def _resume_from(self) -> GroupStart | None:
        """Wait for a group of the feed from which the first missing segment can be made; None at its end."""
        while (start := self._history.start_for(self._needed_from())) is None:
            if self._ended:
                self._count_lost()
                return None
            self._written.clear()
            await self._written.wait()
        return start

    def _count_lost(self) -> None:
        """Count what was written, is not delivered, and is not kept any more."""
        last = self._index_at(self._written_time)
        if self._written_time > self._origin:
            self.lost += sum(max(0, last + 1 - missing) for missing in self._next.values())

    def _index_at(self, time: timedelta) -> SegmentIndex:
        """The segment in which *time* lies, on the sender's clock."""
        grid = self._plan.grid
        return grid.index_of_frame(grid.frame_at(_seconds(time - self._origin)))

    def _needed_from(self) -> timedelta:
        """From when on the feed is needed for the first missing segment, on the sender's clock."""
        return self._origin + self._plan.grid.start(min(self._next.values())) - _RUN_UP

    def _first_index(self, start: GroupStart) -> SegmentIndex:
        """The first missing segment that can be made whole from *start* on."""
        grid = self._plan.grid
        whole = grid.index_of_frame(grid.frame_at(_seconds(start.time - self._origin)) - 1) + 1
        return max(min(self._next.values()), SegmentIndex(whole))

    async def _run(self, start: GroupStart) -> bool:
        """Run one FFmpeg from *start* on; return whether it encoded the feed to its end."""
        index = self._first_index(start)
        try:
            process = await FfmpegProcess.start(self._ffmpeg, self._plan, index)
        except OSError as error:
            _log.warning("FFmpeg cannot be started", extra={"error": str(error)})
            return False
        self._process = process
        self._read_position, self._read_time = start.position, start.time
        self._cutters = tuple(
            SegmentCutter(
                self._plan.grid,
                first=index,
                clock_start=CLOCK_START,
                # FFmpeg holds an encoded picture back until more of the feed comes, or its end, which is known
                # then; a copied one it does not.
                prompt=rung.source_codec is None,
            )
            for rung in self._plan.rungs
        )
        self._follow_pace()
        self._pace = self._pace.restarted(encoded=self._encoded)
        try:
            return await self._pump(process, start)
        finally:
            await process.stop()
            self._process = None

    async def _pump(self, process: FfmpegProcess, start: GroupStart) -> bool:
        readers = list(zip(range(len(self._cutters)), self._plan.rungs, self._cutters, strict=True))
        try:
            async with asyncio.TaskGroup() as tasks:
                feeder = tasks.create_task(self._feed(process, start))
                watchers = [
                    tasks.create_task(watcher)
                    for watcher in (
                        self._follow_progress(process),
                        self._watch(process),
                        process.log_messages(),
                    )
                ]
                outputs = [tasks.create_task(self._read(process, *reader)) for reader in readers]
                await asyncio.wait(outputs)
                status = await process.wait()
                complete = status == 0 and feeder.done() and not feeder.cancelled() and feeder.result()
                for task in (feeder, *watchers):
                    task.cancel()
        except* Exception as errors:  # noqa: BLE001 - only unwrapped, and raised again
            raise _first(errors) from None
        if not complete or self._made_nothing():
            _log.warning("FFmpeg ended before its feed", extra={"pid": process.pid, "status": status})
            return False
        for _, rung, cutter in readers:
            if (last := cutter.finish()) is not None:
                await self._deliver(rung, last)
        return True

    def _made_nothing(self) -> bool:
        """Whether FFmpeg, although it says that all is well, has left out every picture of some rung."""
        grid = self._plan.grid
        written = grid.frame_at(_seconds(self._written_time - self._origin))
        expected = written >= grid.first_frame(min(self._next.values()))
        return expected and any(cutter.is_empty for cutter in self._cutters)

    async def _feed(self, process: FfmpegProcess, start: GroupStart) -> bool:
        """Give *process* the feed from *start* on; return whether it took all of it."""
        # Its own: a writer's times go on from the last item that it wrote.
        writer = feed_writer(self._plan.source, origin=self._origin)
        try:
            await process.write(writer.header() + b"".join(map(writer.write, start.configurations)))
            while (item := await self._item()) is not None:
                await self._feed_item(process, writer, item)
        except OSError:
            # It has gone; its outputs end too, and say so.
            return False
        for cutter in self._cutters:
            cutter.expect_end()
        process.end_input()
        return True

    async def _feed_item(self, process: FfmpegProcess, writer: FeedWriter, item: FeedItem) -> None:
        try:
            await process.write(writer.write(self._timed(item)))
        except UnwritableFrame as error:
            _log.warning("a frame is left out", extra={"reason": str(error)})
        self._read_position += 1
        if isinstance(item, EncodedFrame) and item.track is Track.VIDEO:
            self._read_time = max(self._read_time, item.presentation_time)
        self._room.set()

    async def _item(self) -> FeedItem | None:
        """Wait for the next item that is to be fed; None at the feed's end."""
        while self._read_position == self._history.end:
            if self._ended:
                return None
            self._written.clear()
            await self._written.wait()
        return self._history.at(self._read_position)

    async def _read(self, process: FfmpegProcess, number: int, rung: RungPlan, cutter: SegmentCutter) -> None:
        """Cut what *process* writes for *rung*, and deliver it."""
        async with contextlib.aclosing(process.output(number)) as output:
            async for data in output:
                self._outputs += 1
                try:
                    segments = list(cutter.feed(data))
                except InvalidTransportStream as error:
                    _log.error(
                        "FFmpeg wrote what it should not", extra={"rung": rung.name, "error": str(error)}
                    )
                    process.kill()
                    return
                for segment in segments:
                    await self._deliver(rung, segment)

    async def _deliver(self, rung: RungPlan, segment: MediaSegment) -> None:
        missing = self._next[rung.name]
        if segment.index < missing or self._handed_over:
            # A replacement makes it again for the sake of another rung, or the next session does.
            return
        self.lost += segment.index - missing
        self._delivering += 1
        try:
            await self._on_segment(
                CutSegment(
                    rung=rung.name,
                    index=segment.index,
                    start=segment.start,
                    duration=segment.duration,
                    data=segment.data,
                )
            )
        finally:
            self._delivering -= 1
        self._delivered += 1
        self._next[rung.name] = SegmentIndex(segment.index + 1)
        self._history.release(self._needed_from(), read=self._read_position)

    async def _follow_progress(self, process: FfmpegProcess) -> None:
        async with contextlib.aclosing(process.progress()) as reports:
            async for report in reports:
                self.speed, self.frames = report.speed, report.frames

    def _follow_pace(self) -> None:
        pace = self._pace.advanced(
            at=self._loop.time(),
            written=self._written_time,
            encoded=self._encoded,
            held_up=not self._has_room(),
        )
        # One whose output is not taken is not slow.
        self._pace = replace(pace, measured_from=None) if self._delivering else pace
        if pace.cannot_catch_up:
            # A writer is not held up any longer where a rung can be shed instead.
            self._room.set()

    def _skip(self) -> bool:
        """Give up what FFmpeg is too far behind to make, if it is; return whether it must be replaced."""
        newest, now = self._history.newest_start, self._loop.time()
        waiting = self._arrivals.waiting(self._encoded, now=now)
        overloaded = is_overloaded(lag=self.lag, waiting=waiting, held_up=not self._has_room())
        if newest is None or self._delivering or not overloaded or self._place_to_shed() is not None:
            return False
        index = skip_to(
            missing=frozenset(self._next.values()),
            encoding=self._plan.grid.index_of_frame(self._last_frame + 1),
            newest=self._first_index(newest),
        )
        if index is None:
            return False
        self._skipped_at = now
        _log.warning(
            "part of the feed is left out",
            extra={"lag_seconds": self.lag.total_seconds(), "missing": min(self._next.values()), "next": index},
        )
        for rung, missing in self._next.items():
            self.lost += index - missing
            self._next[rung] = index
        return True

    async def _watch(self, process: FfmpegProcess) -> None:
        """End *process* when it falls too far behind, or writes nothing although it has something to write."""
        seen, since = self._outputs, self._loop.time()
        while True:
            await asyncio.sleep(_WATCH_INTERVAL.total_seconds())
            self._follow_pace()
            if self._skip():
                process.kill()
                return
            idle = not self._ended and self.lag < HELD_BACK
            if self._outputs != seen or self._delivering or idle:
                seen, since = self._outputs, self._loop.time()
            elif self._loop.time() - since > self._stall_timeout.total_seconds():
                _log.warning("FFmpeg hangs", extra={"pid": process.pid})
                process.kill()
                return


def _seconds(time: timedelta) -> Fraction:
    return Fraction(time // timedelta(microseconds=1), 1_000_000)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """One error for a group of them: the tasks of one FFmpeg fail for one reason."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
