"""A film that is encoded live, recorded, and made into VODs of its recordings; and how all of them look.

The live ladder is FFmpeg with the session's own command line, as fast as it goes; the recordings are made of
its best rung, and of the source itself, as the recorders and the finalizer make them; the VODs are encoded by
the job's own code.
"""

import asyncio
import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import av

from benchmark.film import FRAME_RATE, Film, make_film
from benchmark.finalizing import SESSION
from benchmark.recorded_media import parts, read_source
from bucketcast.errors import BucketcastError
from bucketcast.objects import NewObject
from bucketcast.recording.movie import Piece, write_movie
from bucketcast.recording.names import HEAD_BYTES_KEY, SOURCE
from bucketcast.recording.part_head import read_head
from bucketcast.recording.part_object import part_objects
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.identifiers import RungName, SegmentIndex, parse_stream_id
from bucketcast.stream.silence import CLOCK_START
from ingest.encode.ffmpeg import ffmpeg_arguments
from ingest.encode.ladder import EncodingPlan, plan_encoding
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.encode.transport_stream import MediaSegment, SegmentCutter
from ingest.vod.encoding import encode
from ingest.vod.facts import sampled_segments
from ingest.vod.plan import Compression, SourcePlan, plan_vod
from ingest.vod.quality import SAMPLES, has_vmaf, mean_vmaf, vmaf_of
from ingest.vod.source import probe
from local_system.system import NotStarted

# One picture in so many is scored, as neighbours score alike. It divides no keyframe interval, so that pictures
# at every distance from their keyframe are looked at.
VMAF_SAMPLING: Final = 7
# Far above what it takes on a machine that others use, too.
_PATIENCE: Final = timedelta(minutes=4)

_STREAM: Final = parse_stream_id("bench")

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A rung as it came out: its bytes with sound and container, those of its pictures alone, and its VMAF.

    The VMAF is against what was sent, scaled up to its size; None where it cannot be measured.
    """

    bytes: int
    video_bytes: int
    vmaf: float | None


class Recorded(StrEnum):
    """What a recording is made of."""

    BEST_RUNG = "best rung"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """*rungs*, highest first, and FFmpeg's CPU seconds for all of them."""

    rungs: Mapping[RungName, Encoded]
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Vod(Ladder):
    """The VOD of a recording.

    *against_recording* is the VMAF that the job itself measures: of the highest rung, and not against the film.
    """

    against_recording: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VodRun:
    """A *film*, its *live* ladder and its *vods*, by what is recorded of it."""

    film: Film
    live: Ladder
    vods: Mapping[Recorded, Vod]
    compression: Compression
    live_preset: str


def run(
    film: Film, configuration: StreamConfiguration, compression: Compression, *, ffmpeg: Path, folder: Path
) -> VodRun:
    """Encode *film* every way. Raises NotStarted, and subprocess.SubprocessError where FFmpeg fails."""
    sent = folder / "film.flv"
    make_film(ffmpeg, film, sent)
    studio = _Studio(film, sent, ffmpeg, folder, is_measurable=asyncio.run(has_vmaf(ffmpeg)))
    plan = plan_encoding(configuration, _facts(film))
    live, cpu = _taken(lambda: _encode_live(ffmpeg, plan, sent, folder))
    recordings = {
        Recorded.BEST_RUNG: _of_best_rung(plan, live[plan.rungs[0].name].read_bytes()),
        Recorded.SOURCE: _of_source(sent),
    }
    return VodRun(
        film=film,
        live=Ladder(rungs=studio.seen(live), cpu=cpu),
        vods={
            recorded: studio.vod(_finalized(written), configuration, compression)
            for recorded, written in recordings.items()
        },
        compression=compression,
        live_preset=configuration.preset,
    )


@dataclass(frozen=True, slots=True)
class _Studio:
    """What makes VODs of a *film*, which is in the file *sent*, and looks at what came out."""

    film: Film
    sent: Path
    ffmpeg: Path
    folder: Path
    is_measurable: bool

    def vod(self, recording: bytes, configuration: StreamConfiguration, compression: Compression) -> Vod:
        file = self.folder / "recording.mp4"
        file.write_bytes(recording)
        try:
            plan = plan_vod({file.name: probe(str(file))}, configuration, compression).sources[0]
            segments, cpu = _taken(lambda: asyncio.run(_encode_vod(self.ffmpeg, plan, file)))
            checked = asyncio.run(_checked(self.ffmpeg, plan, segments, file)) if self.is_measurable else None
        except BucketcastError as error:
            raise NotStarted(f"the VOD cannot be made: {error}") from error
        return Vod(rungs=self.seen(_joined(segments, self.folder)), cpu=cpu, against_recording=checked)

    def seen(self, files: Mapping[RungName, Path]) -> Mapping[RungName, Encoded]:
        return {
            name: Encoded(
                bytes=file.stat().st_size,
                video_bytes=picture_bytes(file, frames=self.film.frames),
                vmaf=_score(self.ffmpeg, file, self.sent, self.film, self.folder)
                if self.is_measurable
                else None,
            )
            for name, file in files.items()
        }


def _facts(film: Film) -> SourceFacts:
    return SourceFacts(
        video=VideoSource(width=film.width, height=film.height),
        audio=AudioSource(sample_rate=48_000, channels=1),
        frame_rate=Fraction(FRAME_RATE),
    )


def _taken(work: Callable[[], _Made]) -> tuple[_Made, float]:
    """What comes of *work*, and the CPU seconds that processes which it started, and waited for, have taken."""
    before = os.times()
    made = work()
    after = os.times()
    taken = after.children_user + after.children_system - before.children_user - before.children_system
    return made, taken


def _encode_live(ffmpeg: Path, plan: EncodingPlan, sent: Path, folder: Path) -> dict[RungName, Path]:
    files = {rung.name: folder / f"live-{rung.name}.ts" for rung in plan.rungs}
    with ExitStack() as stack:
        outputs = [stack.enter_context(file.open("wb")).fileno() for file in files.values()]
        progress = stack.enter_context((folder / "progress").open("wb")).fileno()
        arguments = ffmpeg_arguments(plan, start=SegmentIndex(0), outputs=outputs, progress=progress)
        subprocess.run(
            [ffmpeg, *arguments],
            stdin=stack.enter_context(sent.open("rb")),
            pass_fds=[*outputs, progress],
            check=True,
            timeout=_PATIENCE.total_seconds(),
        )
    for file in files.values():
        # What viewers get: without the sound before the first picture.
        file.write_bytes(b"".join(segment.data for segment in _cut(plan, file.read_bytes())))
    return files


def _cut(plan: EncodingPlan, stream: bytes) -> Sequence[MediaSegment]:
    cutter = SegmentCutter(plan.grid, first=SegmentIndex(0), clock_start=CLOCK_START)
    segments = list(cutter.feed(stream))
    last = cutter.finish()
    return [*segments, last] if last is not None else segments


def _of_best_rung(plan: EncodingPlan, stream: bytes) -> Sequence[NewObject]:
    """The parts of a session whose best rung is *stream*."""
    samples = (
        read_segment(segment.data, index=segment.index, start=segment.start, duration=segment.duration)
        for segment in _cut(plan, stream)
    )
    return list(parts(_STREAM, SESSION, plan.rungs[0].name, samples))


def _of_source(sent: Path) -> Sequence[NewObject]:
    """The parts of a session whose source is *sent*."""
    source = read_source(sent, frame_rate=Fraction(FRAME_RATE))
    made = (part_objects(_STREAM, SESSION, SOURCE, part.samples(source.format)) for part in source.parts())
    return list(chain.from_iterable(made))


def _finalized(written: Sequence[NewObject]) -> bytes:
    movie = write_movie(_piece(part.content, int(part.metadata[HEAD_BYTES_KEY])) for part in written)
    return b"".join((*movie.header, *(part.content for part in written)))


def _piece(part: bytes, head_bytes: int) -> Piece:
    head = read_head(part[:head_bytes], size=len(part))
    first, last = head.segments[0].index, head.segments[-1].index
    return Piece(session=SESSION, first=first, last=last, head=head)


async def _encode_vod(ffmpeg: Path, plan: SourcePlan, recording: Path) -> Mapping[RungName, list[bytes]]:
    segments: dict[RungName, list[bytes]] = defaultdict(list)

    async def take(rung: RungName, segment: MediaSegment) -> None:
        segments[rung].append(segment.data)

    async with asyncio.timeout(_PATIENCE.total_seconds()):
        await encode(ffmpeg, plan, range(plan.segments), url=str(recording), take=take)
    return {rung.name: segments[rung.name] for rung in plan.rungs}


async def _checked(
    ffmpeg: Path, plan: SourcePlan, segments: Mapping[RungName, Sequence[bytes]], recording: Path
) -> float:
    """The VMAF that the job says of itself."""
    highest = segments[plan.rungs[0].name]
    return mean_vmaf([
        await vmaf_of(ffmpeg, plan, SegmentIndex(index), highest[index], url=str(recording))
        for index in sampled_segments(plan.segments, SAMPLES)
    ])  # fmt: skip


def _joined(segments: Mapping[RungName, Sequence[bytes]], folder: Path) -> dict[RungName, Path]:
    files = {rung: folder / f"vod-{rung}.ts" for rung in segments}
    for rung, file in files.items():
        file.write_bytes(b"".join(segments[rung]))
    return files


def picture_bytes(file: Path, *, frames: int) -> int:
    """Return how many bytes the pictures of *file* have; raises NotStarted where they are not *frames*.

    They are compared by their numbers: behind one that is missing, each would be compared with another.
    """
    with av.open(str(file), mode="r") as container:
        sizes = [packet.size for packet in container.demux(video=0) if packet.size]
    if len(sizes) != frames:
        raise NotStarted(f"{file.stem} has {len(sizes)} pictures instead of {frames}")
    return sum(sizes)


def _score(ffmpeg: Path, made: Path, sent: Path, film: Film, folder: Path) -> float:
    """The mean VMAF of *made*, scaled up to the size of *film*, against what was *sent*, picture by picture."""
    log = folder / "vmaf.json"
    number = f"settb=1/{FRAME_RATE},setpts=N"
    graph = (
        f"[0:v]{number},scale={film.width}:{film.height}:flags=bicubic[made];[1:v]{number}[sent];"
        f"[made][sent]libvmaf=n_threads={os.cpu_count()}:n_subsample={VMAF_SAMPLING}"
        f":log_fmt=json:log_path={log}"
    )
    arguments = ("-hide_banner", "-loglevel", "error", "-nostdin", "-i", made, "-i", sent)
    subprocess.run(
        [ffmpeg, *arguments, "-filter_complex", graph, "-f", "null", "-"],
        check=True,
        timeout=_PATIENCE.total_seconds(),
    )
    return float(json.loads(log.read_text())["pooled_metrics"]["vmaf"]["mean"])
