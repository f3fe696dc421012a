"""One task of the job, from its start to its end; another attempt at it goes on where this one stopped."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bucketcast.errors import NotFound, PreconditionFailed
from bucketcast.objects import ABSENT
from bucketcast.ports import Archive, Bucket
from bucketcast.recording.document import RecordingFacts
from bucketcast.recording.names import recording_facts_name
from bucketcast.records import decode_record, record_object
from bucketcast.stream.identifiers import RungName, SegmentIndex
from bucketcast.stream_records import latest_stream_record
from ingest.encode.transport_stream import MediaSegment
from ingest.vod.encoding import TakeSegment, encode
from ingest.vod.finish import finish
from ingest.vod.names import VodNames
from ingest.vod.plan import (
    Compression,
    SourcePlan,
    VodPlan,
    is_encoded,
    missing_segments,
    plan_vod,
    task_segments,
)
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
    world: World, names: VodNames, share: Share, *, source: str | None, compression: Compression
) -> None:
    """Encode this task's *share* of the recording's files, or of *source* alone; finish if then all is there.

    Of several tasks that see all of it at once, each finishes the same. Raises BucketcastError, and can be
    cancelled at any moment.
    """
    if await asyncio.to_thread(world.media.facts, names.facts) is not None:
        _log.info("VOD is there already", extra={"stream": names.stream, "broadcast": names.broadcast})
        return
    plan = await asyncio.to_thread(_agreed_plan, world, names, source, compression)
    there = await asyncio.to_thread(world.media.names, names.folder)
    wanted = task_segments(plan.segments, task=share.task, tasks=share.tasks)
    missing = missing_segments(plan, names, wanted, frozenset(there))
    _log.info(
        "task begins",
        extra={"task": share.task, "first": wanted.start, "end": wanted.stop, "resume": missing.start},
    )
    await world.progress.report(missing.start - wanted.start, len(wanted))
    uploads = _Uploads(world, names, wanted, missing)
    for part, segments in plan.parts(missing):
        url = f"{world.media_url}/{part.name}"
        await encode(world.ffmpeg, part, segments, url=url, take=uploads.taking(part))
    there = await asyncio.to_thread(world.media.names, names.folder)
    if is_encoded(plan, names, frozenset(there)):
        await finish(world.ffmpeg, world.media, plan, names, media_url=world.media_url)


def _agreed_plan(world: World, names: VodNames, source: str | None, compression: Compression) -> VodPlan:
    """The plan that all tasks follow: the first one's, whatever becomes of the stream's configuration."""
    if (content := world.recording.read(names.plan)) is not None:
        return decode_record(VodPlan, content)
    record = latest_stream_record(world.ingest, names.stream)
    if record is None:
        raise NotFound(f"there is no stream {names.stream}")
    files = [source] if source else _files(world, names)
    recordings = {name: probe(f"{world.media_url}/{name}") for name in files}
    plan = plan_vod(recordings, record.configuration, compression)
    try:
        world.recording.write(record_object(names.plan, plan), if_generation=ABSENT)
    except PreconditionFailed:
        return _agreed_plan(world, names, source, compression)
    return plan


def _files(world: World, names: VodNames) -> Sequence[str]:
    """The names of the recording's files, in the order they play."""
    content = world.media.read(recording_facts_name(names.stream, names.broadcast))
    files = () if content is None else decode_record(RecordingFacts, content).files
    if not files:
        raise NotFound(f"there is no recording of broadcast {names.broadcast} of '{names.stream}'")
    return [file.name for file in files]


class _Uploads:
    """Takes the segments of a task, and knows how far it is."""

    def __init__(self, world: World, names: VodNames, wanted: range, missing: range) -> None:
        self._world = world
        self._names = names
        self._wanted = wanted
        self._uploaded = dict.fromkeys(missing, 0)
        self._done = missing.start - wanted.start

    def taking(self, source: SourcePlan) -> TakeSegment:
        """What takes the segments of *source*, as the encoder numbers them."""

        async def take(rung: RungName, segment: MediaSegment) -> None:
            index = SegmentIndex(source.first_segment + segment.index)
            await self._take(rung, replace(segment, index=index), rungs=len(source.rungs))

        return take

    async def _take(self, rung: RungName, segment: MediaSegment, *, rungs: int) -> None:
        """Create the object of *segment*, one of *rungs*, unless another encoder of the same has."""
        await asyncio.to_thread(self._create, rung, segment)
        self._uploaded[segment.index] += 1
        if self._uploaded[segment.index] == rungs:
            del self._uploaded[segment.index]
            self._done += 1
            await self._world.progress.report(self._done, len(self._wanted))

    def _create(self, rung: RungName, segment: MediaSegment) -> None:
        try:
            self._world.media.write(segment_object(self._names, rung, segment), if_generation=ABSENT)
        except PreconditionFailed:
            _log.info("segment is there already", extra={"rung": rung, "segment": segment.index})
