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
from ingest.vod.plan import VodPlan
from ingest.vod.playlists import Rungs, playlist_objects
from ingest.vod.quality import SAMPLES, has_vmaf, mean_vmaf, vmaf_of
from ingest.vod.running import FfmpegFailed
from ingest.vod.segment import VodSegment, segments_by_rung
from ingest.vod.storyboard import Size, poster_candidates, sprites, storyboard_object, thumbnail_size

_log = logging.getLogger(__name__)


async def finish(ffmpeg: Path, media: Archive, plan: VodPlan, names: VodNames, *, url: str) -> VodFacts:
    """Make of the segments in *media* what players and pages need, check all of it, and announce it.

    *url* is the recording's address. Raises InvalidVod where the check fails, FfmpegFailed, and what the ports
    raise.
    """
    listed = await _listed(media, names)
    rungs = segments_by_rung(names, [rung.name for rung in plan.rungs], listed.values())
    lowest = rungs[plan.rungs[-1].name]
    size = thumbnail_size(plan.rungs[-1].width, plan.rungs[-1].height)
    await _make_pictures(ffmpeg, media, names, rungs, size, there=listed)
    written = (*playlist_objects(plan, names, rungs), storyboard_object(names, lowest, size))
    for new in written:
        await asyncio.to_thread(_put, media, new)
    sizes = {name: facts.size for name, facts in (await _listed(media, names)).items()}
    check(plan, written, sizes)
    if not sizes.get(names.poster):
        raise InvalidVod(f"{names.poster} is not there")
    vmaf = await _vmaf(ffmpeg, media, plan, rungs[plan.rungs[0].name], url)
    facts = vod_facts(plan, names, rungs, vmaf=vmaf)
    with suppress(PreconditionFailed):  # another task has announced the same
        await asyncio.to_thread(media.write, facts_object(names, facts), if_generation=ABSENT)
    _log.info("VOD announced", extra={"stream": names.stream, "broadcast": names.broadcast, "vmaf": vmaf})
    return facts


async def _listed(media: Archive, names: VodNames) -> Mapping[str, ObjectFacts]:
    listed = await asyncio.to_thread(lambda: list(media.listed(names.folder)))
    return {facts.name: facts for facts in listed}


async def _make_pictures(
    ffmpeg: Path, media: Archive, names: VodNames, rungs: Rungs, size: Size, *, there: Container[str]
) -> None:
    """Make the pictures that are not *there*; thumbnails have *size*."""
    highest, lowest = next(iter(rungs.values())), tuple(rungs.values())[-1]
    for number, shown in enumerate(sprites(lowest)):
        name = names.sprite(number)
        if name not in there:
            await asyncio.to_thread(_put, media, await sprite(ffmpeg, media, shown, size, name=name))
    if names.poster not in there:
        poster = await poster_of(ffmpeg, media, poster_candidates(highest), name=names.poster)
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
    ffmpeg: Path, media: Archive, plan: VodPlan, highest: Sequence[VodSegment], url: str
) -> float | None:
    if not await has_vmaf(ffmpeg):
        return None
    try:
        return mean_vmaf(await _scores(ffmpeg, media, plan, highest, url))
    except FfmpegFailed as error:
        # Such as a build without a model. What was made is not worse for that.
        _log.warning("VMAF was not measured", extra={"reason": str(error)})
        return None


async def _scores(
    ffmpeg: Path, media: Archive, plan: VodPlan, highest: Sequence[VodSegment], url: str
) -> list[float]:
    scores = []
    for index in sampled_segments(plan.segments, SAMPLES):
        content = await asyncio.to_thread(media.read, highest[index].name)
        if content is None:
            raise NotFound(f"{highest[index].name} is gone")
        scores.append(await vmaf_of(ffmpeg, plan, SegmentIndex(index), content, url=url))
    return scores
