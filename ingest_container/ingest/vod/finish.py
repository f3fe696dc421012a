"""What is left when all segments are there: pictures, playlists, the check, and the announcement.

Safe to run by two tasks at once, and again after it was broken off: everything is made of what lies in the
bucket, and who is second finds the same.
"""

import asyncio
import logging
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bucketcast.errors import NotFound, PreconditionFailed
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.ports import Archive
from bucketcast.stream.identifiers import SegmentIndex
from ingest.vod.check import InvalidVod, check
from ingest.vod.facts import VodFacts, facts_object, sampled_segments, vod_facts
from ingest.vod.names import VodNames
from ingest.vod.pictures import poster_of, sprite
from ingest.vod.plan import SourcePlan, VodPlan
from ingest.vod.playlists import Rungs, fill_slots, playlist_objects
from ingest.vod.quality import SAMPLES, has_vmaf, mean_vmaf, vmaf_of
from ingest.vod.running import FfmpegFailed
from ingest.vod.segment import VodSegment, segments_by_rung
from ingest.vod.storyboard import frame_size, poster_candidates, sprites, storyboard_object

_log = logging.getLogger(__name__)


async def finish(ffmpeg: Path, media: Archive, plan: VodPlan, names: VodNames, *, media_url: str) -> VodFacts:
    """Make of the segments in *media* what players and pages need, check all of it, and announce it.

    *media_url* is the address under which *media* is read. Raises InvalidVod where the check fails,
    FfmpegFailed, and what the ports raise.
    """
    listed = await _listed(media, names)
    rungs = segments_by_rung(names, plan.slots, listed.values())
    slots = fill_slots(plan, rungs)
    await _make_pictures(ffmpeg, media, plan, names, slots, there=listed)
    storyboard = storyboard_object(names, slots[plan.slots[-1]], frame_size(plan))
    written = (*playlist_objects(plan, names, slots), storyboard)
    for new in written:
        await asyncio.to_thread(_put, media, new)
    sizes = {name: facts.size for name, facts in (await _listed(media, names)).items()}
    check(plan, written, sizes)
    if not sizes.get(names.poster):
        raise InvalidVod(f"{names.poster} is not there")
    vmaf = [
        await _vmaf(ffmpeg, media, source, rungs[source.rungs[0].name], f"{media_url}/{source.name}")
        for source in plan.sources
    ]
    facts = vod_facts(plan, names, rungs, vmaf=vmaf)
    with suppress(PreconditionFailed):  # another task has announced the same
        await asyncio.to_thread(media.write, facts_object(names, facts), if_generation=ABSENT)
    _log.info("VOD announced", extra={"stream": names.stream, "broadcast": names.broadcast, "vmaf": facts.vmaf})
    return facts


async def _listed(media: Archive, names: VodNames) -> Mapping[str, ObjectFacts]:
    listed = await asyncio.to_thread(lambda: list(media.listed(names.folder)))
    return {facts.name: facts for facts in listed}


async def _make_pictures(
    ffmpeg: Path, media: Archive, plan: VodPlan, names: VodNames, slots: Rungs, *, there: Container[str]
) -> None:
    """Make the pictures that are not *there*."""
    highest, lowest = slots[plan.slots[0]], slots[plan.slots[-1]]
    for number, shown in enumerate(sprites(lowest)):
        name = names.sprite(number)
        if name not in there:
            await asyncio.to_thread(_put, media, await sprite(ffmpeg, media, plan, shown, name=name))
    if names.poster not in there:
        of_first = highest[: plan.sources[0].segments]
        poster = await poster_of(ffmpeg, media, poster_candidates(of_first), name=names.poster)
        await asyncio.to_thread(_put, media, poster)


def _put(media: Archive, new: NewObject) -> None:
    """Make sure that *media* holds *new*: created, or in place of what an attempt before has left."""
    with suppress(PreconditionFailed):
        media.write(new, if_generation=ABSENT)
        return
    facts = media.facts(new.name)
    if facts is not None and media.read(new.name) != new.content:
        media.write(new, if_generation=facts.generation)


async def _vmaf(
    ffmpeg: Path, media: Archive, source: SourcePlan, highest: Sequence[VodSegment], url: str
) -> float | None:
    """The VMAF of *source*, which lies at *url*; its rung *highest* may have segments of other files."""
    if not await has_vmaf(ffmpeg):
        return None
    try:
        made = [segment for segment in highest if segment.index in source.indexes]
        return mean_vmaf(await _scores(ffmpeg, media, source, made, url))
    except FfmpegFailed as error:
        # Such as a build without a model. What was made is not worse for that.
        _log.warning("VMAF was not measured", extra={"reason": str(error)})
        return None


async def _scores(
    ffmpeg: Path, media: Archive, source: SourcePlan, made: Sequence[VodSegment], url: str
) -> list[float]:
    scores = []
    for index in sampled_segments(source.segments, SAMPLES):
        content = await asyncio.to_thread(media.read, made[index].name)
        if content is None:
            raise NotFound(f"{made[index].name} is gone")
        scores.append(await vmaf_of(ffmpeg, source, SegmentIndex(index), content, url=url))
    return scores
