"""One task of the job, from its start to its end; another attempt at it goes on where this one stopped."""

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from bucketcast.errors import NotFound, PreconditionFailed
from bucketcast.objects import ABSENT
from bucketcast.ports import Archive, Bucket
from bucketcast.records import decode_record, record_object
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream_records import latest_stream_record
from ingest.encode.transport_stream import MediaSegment
from ingest.vod.encoding import encode
from ingest.vod.finish import finish
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, VodPlan, is_encoded, missing_segments, plan_vod, task_segments
from ingest.vod.progress import Progress
from ingest.vod.segment import segment_object
from ingest.vod.source import probe

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a task meets: the buckets, the address under which *media* is read, and FFmpeg."""

    media: Archive
    ingest: Bucket
    recording: Bucket
    media_url: str
    ffmpeg: Path
    progress: Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The share of number *task* of *tasks*, counted from 0."""

    task: int
    tasks: int


async def run_task(
    world: World, names: VodNames, share: Share, *, source: str, compression: Compression
) -> None:
    """Encode this task's *share* of the recording *source*; if then all is there, finish the VOD.

    Of several tasks that see all of it at once, each finishes the same. Raises BucketcastError, and can be
    cancelled at any moment.
    """
    if await asyncio.to_thread(world.media.facts, names.facts) is not None:
        _log.info("VOD is there already", extra={"stream": names.stream, "broadcast": names.broadcast})
        return
    plan = await asyncio.to_thread(_agreed_plan, world, names, source, compression)
    url = f"{world.media_url}/{plan.source}"
    there = await asyncio.to_thread(world.media.names, names.folder)
    wanted = task_segments(plan.segments, task=share.task, tasks=share.tasks)
    missing = missing_segments(plan, names, wanted, frozenset(there))
    _log.info(
        "task begins",
        extra={"task": share.task, "first": wanted.start, "end": wanted.stop, "resume": missing.start},
    )
    await world.progress.report(missing.start - wanted.start, len(wanted))
    if missing:
        uploads = _Uploads(world, plan, names, wanted, missing)
        await encode(world.ffmpeg, plan, missing, url=url, take=uploads.take)
    there = await asyncio.to_thread(world.media.names, names.folder)
    if is_encoded(plan, names, frozenset(there)):
        await finish(world.ffmpeg, world.media, plan, names, url=url)


def _agreed_plan(world: World, names: VodNames, source: str, compression: Compression) -> VodPlan:
    """The plan that all tasks follow: the first one's, whatever becomes of the stream's configuration."""
    if (content := world.recording.read(names.plan)) is not None:
        return decode_record(VodPlan, content)
    record = latest_stream_record(world.ingest, names.stream)
    if record is None:
        raise NotFound(f"there is no stream {names.stream}")
    recording = probe(f"{world.media_url}/{source}")
    plan = plan_vod(recording, record.configuration, compression, source=source)
    try:
        world.recording.write(record_object(names.plan, plan), if_generation=ABSENT)
    except PreconditionFailed:
        return _agreed_plan(world, names, source, compression)
    return plan


class _Uploads:
    """Takes the segments of a task, and knows how far it is."""

    def __init__(self, world: World, plan: VodPlan, names: VodNames, wanted: range, missing: range) -> None:
        self._world = world
        self._names = names
        self._rungs = len(plan.rungs)
        self._wanted = wanted
        self._uploaded = dict.fromkeys(missing, 0)
        self._done = missing.start - wanted.start

    async def take(self, rung: RungName, segment: MediaSegment) -> None:
        """Create the object of *segment*, unless another encoder of the same has."""
        await asyncio.to_thread(self._create, rung, segment)
        self._uploaded[segment.index] += 1
        if self._uploaded[segment.index] == self._rungs:
            del self._uploaded[SegmentIndex(segment.index)]
            self._done += 1
            await self._world.progress.report(self._done, len(self._wanted))

    def _create(self, rung: RungName, segment: MediaSegment) -> None:
        try:
            self._world.media.write(segment_object(self._names, rung, segment), if_generation=ABSENT)
        except PreconditionFailed:
            _log.info("segment is there already", extra={"rung": rung, "segment": segment.index})
