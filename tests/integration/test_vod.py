"""The VOD job against the local cloud: tasks that die, and what comes of it in the end."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from mimetypes import guess_type
from pathlib import Path
from posixpath import normpath

import av
import msgspec
import numpy as np
import pytest
import requests
from PIL import Image

from bucketcast.gcp.clients import storage_client
from bucketcast.gcp.storage import CloudStorageBucket
from bucketcast.hls import MediaPlaylist, MultivariantPlaylist, parse
from bucketcast.objects import ABSENT, NewObject, ObjectFacts
from bucketcast.recording.document import RecordedFile, RecordingFacts
from bucketcast.recording.index import index_object
from bucketcast.recording.names import recording_facts_name, recording_file_name
from bucketcast.records import JSON, decode_record, encode_record
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import (
    BitsPerSecond,
    BroadcastNumber,
    RungName,
    SegmentIndex,
    SessionNumber,
    StreamId,
)
from bucketcast.stream.stream_record import StreamRecord
from bucketcast.stream_records import stream_record_object
from ingest.encode.ffmpeg import find_ffmpeg
from ingest.encode.transport_stream import MediaSegment
from ingest.vod.__main__ import INTERRUPTED
from ingest.vod.encoding import encode
from ingest.vod.facts import VodFacts
from ingest.vod.job import Share, World, run_task
from ingest.vod.names import VodNames
from ingest.vod.plan import Compression, VodPreset, plan_vod
from ingest.vod.progress import BucketProgress
from ingest.vod.quality import has_vmaf, vmaf_of
from ingest.vod.running import FfmpegFailed
from ingest.vod.source import probe
from local_cloud.cloud import CloudOptions, RunningLocalCloud, running_local_cloud
from local_cloud.run_jobs import JobOptions
from local_cloud.run_jobs.execution import Execution
from tools.browser import chromium
from tools.frame_strip import Clip, make_clip, read_frame_numbers
from tools.players import play_with_ffmpeg, play_with_ffprobe

ROOT = Path(__file__).resolve().parents[2]
PLAYER = ROOT / "functions/player"
HLS_JS = ROOT / ".cache/hls.js" / json.loads((PLAYER / "hls.json").read_text())["version"] / "hls.min.js"
VIDEO = "document.getElementById('video')"
SECONDS = 60
STREAM = StreamId("concert")
HIGH, LOW = RungName("180p"), RungName("144p")
CLIP = Clip(
    width=320,
    height=180,
    frame_rate=Fraction(30000, 1001),
    duration=timedelta(seconds=20),
    video_bitrate=600_000,
)
LANDSCAPE = replace(CLIP, duration=timedelta(seconds=8))
UPRIGHT = Clip(width=96, height=160, frame_rate=Fraction(25), duration=timedelta(seconds=5), audio=False)
SILENT = Clip(width=160, height=96, frame_rate=Fraction(25), duration=timedelta(seconds=5), audio=False)
# Slow enough to be killed half-way, for a picture of this size.
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(str(ROOT / folder) for folder in ("functions", "ingest_container")),
    "BUCKETCAST_MEDIA_BUCKET": "media",
    "BUCKETCAST_INGEST_BUCKET": "ingest",
    "BUCKETCAST_RECORDING_BUCKET": "recording",
    "BUCKETCAST_VOD_PRESET": "slower",
    "STREAM": STREAM,
}
COMMAND = (sys.executable, "-m", "ingest.vod")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A local cloud with recordings of some broadcasts, and the job that makes VODs of them."""

    running: RunningLocalCloud
    media: CloudStorageBucket
    ingest: CloudStorageBucket
    recording: CloudStorageBucket

    def record(self, broadcast: int, *clips: Clip) -> VodNames:
        """Make *clips* the files of the recording of *broadcast*."""
        number = BroadcastNumber(broadcast)
        files = [
            self.put(recording_file_name(STREAM, number, place), make_clip(clip).read_bytes(), "video/mp4")
            for place, clip in enumerate(clips, 1)
        ]
        facts = RecordingFacts(
            stream=STREAM,
            broadcast=number,
            files=tuple(
                RecordedFile(
                    name=file.name,
                    size=file.size,
                    crc32c=file.crc32c,
                    duration=timedelta(seconds=float(clip.frames / clip.frame_rate)),
                    frames=clip.frames,
                    sessions=(SessionNumber(1),),
                )
                for file, clip in zip(files, clips, strict=True)
            ),
        )
        self.put(recording_facts_name(STREAM, number), encode_record(facts), JSON)
        return VodNames(stream=STREAM, broadcast=number)

    def put(self, name: str, content: bytes, content_type: str) -> ObjectFacts:
        """Create the object *name* in the media bucket."""
        new = NewObject(name=name, content=content, content_type=content_type, cache_control="no-store")
        return self.media.write(new, if_generation=ABSENT)

    def start(self, broadcast: int, *, tasks: int) -> Execution:
        """Begin to make the VOD of *broadcast*."""
        overrides = {
            "containerOverrides": [{"env": [{"name": "BROADCAST", "value": str(broadcast)}]}],
            "taskCount": tasks,
        }
        url = f"{self.running.url}/v2/projects/demo/locations/here/jobs/vod:run"
        answer = requests.post(url, json={"overrides": overrides}, timeout=SECONDS).json()
        execution = self.running.cloud.jobs.execution(answer["metadata"]["name"])
        assert execution is not None
        return execution

    def end(self, execution: Execution) -> None:
        """Wait for *execution* and see that it succeeded."""
        self.running.run(self.running.cloud.jobs.ended(execution))
        assert execution.succeeded, [list(task.log) for task in execution.tasks]

    def get(self, name: str, **headers: str) -> requests.Response:
        """What a viewer gets of *name*."""
        answer = requests.get(f"{self.running.url}/media/{name}", headers=headers, timeout=SECONDS)
        answer.raise_for_status()
        return answer

    def facts(self, names: VodNames) -> VodFacts:
        """The announcement."""
        return msgspec.json.decode(self.get(names.facts).content, type=VodFacts)

    def playlist(self, name: str) -> MediaPlaylist:
        """The media playlist *name*."""
        playlist = parse(self.get(name).text)
        assert isinstance(playlist, MediaPlaylist)
        return playlist

    def segments(self, names: VodNames, rung: RungName) -> list[str]:
        """The names of the segments that the playlist of *rung* has."""
        segments = self.playlist(names.media_playlist(rung)).segments
        return [normpath(f"{names.folder}{rung}/{segment.uri}") for segment in segments]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    job = JobOptions(name="vod", command=COMMAND, environment=ENVIRONMENT, max_retries=1)
    with running_local_cloud(CloudOptions(jobs=(job,))) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", running.url)
        client = storage_client("demo", emulated=True)
        media, ingest, recording = (
            CloudStorageBucket(client, name, patience=1) for name in ("media", "ingest", "recording")
        )
        configuration = StreamConfiguration(
            rungs=(
                RungConfiguration(name=HIGH, video_bitrate=BitsPerSecond(400_000)),
                RungConfiguration(name=LOW, video_bitrate=BitsPerSecond(250_000)),
            )
        )
        record = StreamRecord(
            stream=STREAM,
            number=1,
            created=datetime.now(UTC),
            key_hash="0" * 64,
            configuration=configuration,
        )
        ingest.write(stream_record_object(record), if_generation=ABSENT)
        yield Cloud(running=running, media=media, ingest=ingest, recording=recording)
        client.close()


@pytest.fixture(scope="module")
def vod(cloud: Cloud) -> VodNames:
    """Made by two tasks, the first of which was killed when it had made one of its two segments."""
    names = cloud.record(1, CLIP)
    execution = cloud.start(1, tasks=2)
    killed = execution.tasks[0]
    until(lambda: cloud.media.facts(names.segment(HIGH, SegmentIndex(0))))
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    cloud.end(execution)
    assert [task.attempt for task in execution.tasks] == [1, 0]
    return names


def test_every_picture_is_there_once_in_every_rung(cloud: Cloud, vod: VodNames) -> None:
    for rung in (HIGH, LOW):
        media = b"".join(cloud.get(name).content for name in cloud.segments(vod, rung))
        frames = read_frame_numbers(media)
        assert [frame.number for frame in frames] == list(range(CLIP.frames))
        first = frames[0].time
        assert all(
            abs(frame.time - first - number / CLIP.frame_rate) < Fraction(1, 1000)
            for number, frame in enumerate(frames)
        )


def test_the_sound_has_no_seam(cloud: Cloud, vod: VodNames) -> None:
    media = b"".join(cloud.get(name).content for name in cloud.segments(vod, LOW))
    with av.open(io.BytesIO(media), "r") as container:
        times = [packet.pts for packet in container.demux(audio=0) if packet.pts is not None]
    steps = {after - before for before, after in pairwise(times)}
    assert steps == {1024 * 90_000 // 48_000}
    assert abs(len(times) * 1024 / 48_000 - 20.02) < 0.03


def test_what_was_made_before_a_task_was_killed_is_kept(cloud: Cloud, vod: VodNames) -> None:
    """One generation of every segment: nothing was written twice."""
    entries = cloud.running.store.journal.entries(
        bucket="media", prefix=f"{vod.folder}{HIGH}/", since=0, limit=100
    )
    assert len(entries) == len({entry.stored.name for entry in entries}) == 4 + 2


def test_facts_say_what_was_made(cloud: Cloud, vod: VodNames) -> None:
    facts = cloud.facts(vod)
    assert (facts.frames, facts.segments) == (CLIP.frames, 4)
    assert facts.duration == timedelta(seconds=20.02)
    assert [(rung.name, rung.width, rung.height) for rung in facts.rungs] == [(HIGH, 320, 180), (LOW, 256, 144)]
    sizes = [len(cloud.get(name).content) for rung in (HIGH, LOW) for name in cloud.segments(vod, rung)]
    assert facts.bytes == sum(sizes)
    assert facts.vmaf is None or 80 < facts.vmaf <= 100


def test_the_multivariant_playlist_names_what_plays(cloud: Cloud, vod: VodNames) -> None:
    answer = cloud.get(vod.multivariant_playlist)
    assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    playlist = parse(answer.text)
    assert isinstance(playlist, MultivariantPlaylist)
    facts = cloud.facts(vod)
    assert [stream.codecs for stream in playlist.variant_streams] == [rung.codecs for rung in facts.rungs]
    for stream in playlist.variant_streams:
        assert stream.average_bandwidth is not None
        assert stream.average_bandwidth <= stream.bandwidth
    for i_frames, stream in zip(playlist.i_frame_streams, playlist.variant_streams, strict=True):
        assert i_frames.bandwidth < stream.bandwidth
    url = f"{cloud.running.url}/media/{vod.multivariant_playlist}"
    report = play_with_ffprobe(url, timedelta(seconds=20))
    assert report.errors == ()
    assert abs(report.played - timedelta(seconds=20.02)) < timedelta(milliseconds=1)


def test_a_range_of_the_i_frame_playlist_is_one_keyframe(cloud: Cloud, vod: VodNames) -> None:
    for rung in (HIGH, LOW):
        playlist = parse(cloud.get(vod.i_frame_playlist(rung)).text)
        assert isinstance(playlist, MediaPlaylist)
        assert playlist.i_frames_only
        assert playlist.duration == timedelta(seconds=20.02)
        shown = []
        for segment in playlist.segments:
            assert segment.byte_range is not None
            offset, end = segment.byte_range.offset, segment.byte_range.end
            name = f"{vod.folder}{rung}/{segment.uri}"
            # RFC 8216bis, 4.4.3.6: the tables are between the start of the resource and the I-frame.
            tables = cloud.get(name, Range=f"bytes=0-{offset - 1}")
            picture = cloud.get(name, Range=f"bytes={offset}-{end - 1}")
            (frame,) = read_frame_numbers(tables.content + picture.content)
            shown.append(frame.number)
        assert shown == [0, 180, 360, 540]


def test_pictures_are_as_the_storyboard_says(cloud: Cloud, vod: VodNames) -> None:
    cues = cloud.get(vod.storyboard).text.split("\n\n")
    assert cues[0] == "WEBVTT"
    assert cues[1:] == [
        "00:00:00.000 --> 00:00:12.012\nstoryboard_00000.jpg#xywh=0,0,160,90",
        "00:00:12.012 --> 00:00:20.020\nstoryboard_00000.jpg#xywh=160,0,160,90\n",
    ]
    sprite = Image.open(io.BytesIO(cloud.get(vod.sprite(0)).content))
    assert sprite.size == (800, 450)
    poster = Image.open(io.BytesIO(cloud.get(vod.poster).content))
    assert poster.size == (320, 180)


def test_everything_can_be_cached_as_long_as_it_holds(cloud: Cloud, vod: VodNames) -> None:
    for name in (cloud.segments(vod, HIGH)[0], vod.sprite(0), vod.poster):
        assert cloud.get(name).headers["Cache-Control"] == "public, max-age=86400, immutable"
    for name in (vod.multivariant_playlist, vod.media_playlist(LOW), vod.storyboard, vod.facts):
        assert "must-revalidate" in cloud.get(name).headers["Cache-Control"]


def test_progress_is_told_task_by_task(cloud: Cloud, vod: VodNames) -> None:
    told = [msgspec.json.decode(cloud.recording.read(vod.progress(task)) or b"") for task in range(2)]
    assert told == [{"task": task, "tasks": 2, "done": 2, "total": 2} for task in range(2)]


def test_a_vod_that_is_announced_is_left_alone(cloud: Cloud, vod: VodNames) -> None:
    before = len(cloud.running.store.journal.entries(bucket="media", prefix=vod.folder, since=0, limit=1000))
    cloud.end(cloud.start(1, tasks=1))
    after = len(cloud.running.store.journal.entries(bucket="media", prefix=vod.folder, since=0, limit=1000))
    assert before == after


def test_sigterm_stops_a_task_which_then_goes_on_where_it_stopped(cloud: Cloud, vod: VodNames) -> None:
    """And what it makes has the structure of what two tasks made."""
    names = cloud.record(2, CLIP)
    chosen = {"BROADCAST": "2", "BUCKETCAST_VOD_PRESET": "medium"}
    environment = {**os.environ, **ENVIRONMENT, **cloud.running.cloud.environment, **chosen}
    with subprocess.Popen(COMMAND, env=environment, stderr=subprocess.PIPE, text=True) as task:
        until(lambda: cloud.media.facts(names.segment(LOW, SegmentIndex(0))))
        task.terminate()
        _, said = task.communicate(timeout=10)
    assert task.returncode == INTERRUPTED
    assert "task interrupted" in said
    made = {facts.name: facts.generation for facts in cloud.media.listed(names.folder)}
    assert made
    assert len(made) < 8
    cloud.end(cloud.start(2, tasks=1))
    now = {facts.name: facts.generation for facts in cloud.media.listed(names.folder)}
    assert made.items() <= now.items()
    for rung in (HIGH, LOW):
        playlists = [cloud.get(each.media_playlist(rung)).content for each in (vod, names)]
        assert playlists[0] == playlists[1]


def test_a_finish_that_was_broken_off_is_done_again(cloud: Cloud, vod: VodNames) -> None:
    """What an attempt has left behind is made good, whatever it is, and nothing is encoded again."""
    before = {facts.name: facts for facts in cloud.media.listed(vod.folder)}
    for name in (vod.facts, vod.poster, vod.i_frame_playlist(LOW)):
        cloud.media.delete(name)
    stale = NewObject(
        name=vod.storyboard, content=b"WEBVTT\n", content_type="text/vtt", cache_control="no-store"
    )
    cloud.media.write(stale, if_generation=before[vod.storyboard].generation)
    cloud.end(cloud.start(1, tasks=1))
    now = {facts.name: facts for facts in cloud.media.listed(vod.folder)}
    assert {name: facts.crc32c for name, facts in now.items()} == {
        name: facts.crc32c for name, facts in before.items()
    }


async def test_two_that_do_the_same_at_once_announce_it_once(cloud: Cloud) -> None:
    """A task that Cloud Run runs twice, or two tasks that both see that all is there."""
    names = cloud.record(5, SILENT)
    progress = BucketProgress(cloud.recording, names, task=0, tasks=1, monotonic=time.monotonic)
    world = World(
        media=cloud.media,
        ingest=cloud.ingest,
        recording=cloud.recording,
        media_url=f"{cloud.running.url}/media",
        ffmpeg=find_ffmpeg(),
        progress=progress,
    )

    async def task() -> None:
        await run_task(
            world,
            names,
            Share(task=0, tasks=1),
            source=recording_file_name(STREAM, names.broadcast),
            compression=Compression(preset=VodPreset.SUPERFAST),
        )

    await asyncio.gather(task(), task())
    assert cloud.facts(names).frames == SILENT.frames
    entries = cloud.running.store.journal.entries(bucket="media", prefix=names.folder, since=0, limit=100)
    assert sorted(entry.stored.name for entry in entries) == cloud.media.names(names.folder)


async def test_a_recording_that_breaks_off_gives_no_short_segment() -> None:
    """FFmpeg takes a lost connection for the end, and a segment is created once: a short one would stay."""
    path = make_clip(SILENT)
    compression = Compression(preset=VodPreset.SUPERFAST)
    plan = plan_vod({"x": probe(str(path))}, StreamConfiguration(), compression).sources[0]
    taken: list[SegmentIndex] = []

    async def take(_: RungName, segment: MediaSegment) -> None:
        taken.append(segment.index)

    await encode(find_ffmpeg(), plan, range(1), url=str(path), take=take)
    assert taken == [0]
    longer = msgspec.structs.replace(plan, frames=plan.frames + 25)
    with pytest.raises(FfmpegFailed, match="where 0:00:06 of 0 was due"):
        await encode(find_ffmpeg(), longer, range(1), url=str(path), take=take)
    assert taken == [0]


async def test_a_picture_that_differs_is_measured_as_worse() -> None:
    if not await has_vmaf(find_ffmpeg()):
        pytest.skip("this FFmpeg has no libvmaf")
    path = make_clip(CLIP)
    configuration = StreamConfiguration(
        rungs=(RungConfiguration(name=HIGH, video_bitrate=BitsPerSecond(600_000)),)
    )
    compression = Compression(preset=VodPreset.SUPERFAST)
    plan = plan_vod({"x": probe(str(path))}, configuration, compression).sources[0]
    made: dict[int, bytes] = {}

    async def take(_: RungName, segment: MediaSegment) -> None:
        made[segment.index] = segment.data

    await encode(find_ffmpeg(), plan, range(1, 3), url=str(path), take=take)
    right, wrong = [
        await vmaf_of(find_ffmpeg(), plan, SegmentIndex(1), made[index], url=str(path)) for index in (1, 2)
    ]
    assert right > 95
    assert wrong < 50


def test_a_small_recording_without_sound_gets_its_own_size_and_no_sound(cloud: Cloud) -> None:
    names = cloud.record(3, SILENT)
    cloud.end(cloud.start(3, tasks=2))
    facts = cloud.facts(names)
    assert [(rung.name, rung.width, rung.height) for rung in facts.rungs] == [(LOW, 160, 96)]
    assert [rung.codecs for rung in facts.rungs] == ["avc1.64001e"]
    (segment,) = cloud.segments(names, LOW)
    numbers = [frame.number for frame in read_frame_numbers(cloud.get(segment).content)]
    assert numbers == list(range(SILENT.frames))


@pytest.fixture(scope="module")
def joined(cloud: Cloud) -> VodNames:
    """Of two files that cannot be joined. One task makes the end of the first and the second; it was killed."""
    names = cloud.record(6, LANDSCAPE, UPRIGHT)
    execution = cloud.start(6, tasks=2)
    killed = execution.tasks[1]
    until(lambda: cloud.media.facts(names.segment(LOW, SegmentIndex(1))))
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    cloud.end(execution)
    assert [task.attempt for task in execution.tasks] == [0, 1]
    return names


def test_every_picture_of_every_file_is_there_once_in_every_slot(cloud: Cloud, joined: VodNames) -> None:
    folders = []
    for slot in (HIGH, LOW):
        segments = cloud.segments(joined, slot)
        assert [name[-13:-3] for name in segments] == ["0000000000", "0000000001", "0000000002"]
        folders.append([name.split("/")[-2] for name in segments])
        for file, names in ((LANDSCAPE, segments[:2]), (UPRIGHT, segments[2:])):
            media = b"".join(cloud.get(name).content for name in names)
            frames = read_frame_numbers(media)
            assert [frame.number for frame in frames] == list(range(file.frames))
            with av.open(io.BytesIO(media), "r") as container:
                video = container.streams.video[0]
                assert (video.width < video.height) == (file.width < file.height)
                assert abs((video.average_rate or 0) - file.frame_rate) < Fraction(1, 100)
    assert folders == [[HIGH, HIGH, LOW], [LOW, LOW, LOW]]


def test_playlists_of_several_files_have_a_discontinuity_between_them(cloud: Cloud, joined: VodNames) -> None:
    for slot in (HIGH, LOW):
        for name in (joined.media_playlist(slot), joined.i_frame_playlist(slot)):
            playlist = cloud.playlist(name)
            assert [segment.discontinuity for segment in playlist.segments] == [False, False, True]
            assert playlist.duration == timedelta(seconds=13.008)
    facts = cloud.facts(joined)
    assert (facts.frames, facts.segments) == (LANDSCAPE.frames + UPRIGHT.frames, 3)
    assert [rung.codecs for rung in facts.rungs] == ["avc1.64001e,mp4a.40.2"] * 2
    assert isinstance(facts.files, tuple)
    assert [file.frames for file in facts.files] == [LANDSCAPE.frames, UPRIGHT.frames]


def test_a_file_without_sound_is_silent_beside_one_with_sound(cloud: Cloud, joined: VodNames) -> None:
    with av.open(io.BytesIO(cloud.get(cloud.segments(joined, LOW)[2]).content), "r") as container:
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    assert abs(samples.shape[1] / 48_000 - 5) < 0.03
    assert float(np.abs(samples).max()) < 1e-4


def test_thumbnails_of_another_shape_stand_in_the_middle(cloud: Cloud, joined: VodNames) -> None:
    cues = cloud.get(joined.storyboard).text.split("\n\n")[1:]
    assert cues == [
        "00:00:00.000 --> 00:00:08.008\nstoryboard_00000.jpg#xywh=0,0,160,90",
        "00:00:08.008 --> 00:00:13.008\nstoryboard_00000.jpg#xywh=160,0,160,90\n",
    ]
    sprite = np.asarray(Image.open(io.BytesIO(cloud.get(joined.sprite(0)).content)).convert("L"))
    upright = sprite[:90, 160:320]
    assert upright[:, :48].max() < 30
    assert upright[:, 112:].max() < 30
    assert upright[:, 56:104].mean() > 60
    assert Image.open(io.BytesIO(cloud.get(joined.poster).content)).size == (320, 180)


def test_ffmpeg_plays_several_files_without_a_word(cloud: Cloud, joined: VodNames) -> None:
    report = play_with_ffmpeg(
        f"{cloud.running.url}/media/{joined.multivariant_playlist}", timedelta(seconds=13)
    )
    assert report.errors == ()
    assert abs(report.played - timedelta(seconds=13)) < timedelta(seconds=0.1)


def test_the_page_plays_one_vod_of_several_files_and_those_if_it_breaks(cloud: Cloud, joined: VodNames) -> None:
    if not HLS_JS.exists():
        pytest.skip("hls.js is not in .cache (scripts/get_hls_js gets it from npm)")
    facts = decode_record(RecordingFacts, cloud.get(recording_facts_name(STREAM, joined.broadcast)).content)
    cloud.media.write(index_object(STREAM, [facts], [joined.broadcast]), if_generation=ABSENT)
    for file in (*PLAYER.iterdir(), HLS_JS):
        cloud.put(f"player/{file.name}", file.read_bytes(), guess_type(file.name)[0] or JSON)
    soon = timedelta(seconds=SECONDS)
    with chromium() as browser:
        browser.open(f"{cloud.running.url}/media/player/index.html?stream={STREAM}&recording=6")
        browser.wait_until(f"{VIDEO}.currentTime > 0", within=soon)
        assert browser.script("return bucketcast.hls.url").endswith(joined.multivariant_playlist)
        assert browser.script(f"return {VIDEO}.duration") == pytest.approx(13, abs=0.2)
        browser.script(f"{VIDEO}.playbackRate = 2")
        browser.wait_until(f"{VIDEO}.ended", within=soon)
        assert browser.script(f"return [{VIDEO}.videoWidth, {VIDEO}.videoHeight]") == [96, 160]
        events = browser.script("return bucketcast.events")
        assert (events["stalls"], events["fatalErrors"], events["reloads"]) == (0, 0, 0)
        assert browser.script("return document.getElementById('part').options.length") <= 1

        broken = "{ type: 'mediaError', details: 'manifestIncompatibleCodecsError', fatal: true }"
        browser.script(f"{VIDEO}.currentTime = 10; bucketcast.hls.trigger('hlsError', {broken})")
        browser.wait_until(f"{VIDEO}.src.endsWith('full_stream_2.mp4') && {VIDEO}.readyState > 1", within=soon)
        assert 1.9 < browser.script(f"return {VIDEO}.currentTime") <= 5
        assert browser.script("return document.getElementById('part').options.length") == 2


def test_a_recording_that_is_not_there_fails_the_task_and_says_so(cloud: Cloud) -> None:
    execution = cloud.start(4, tasks=1)
    cloud.running.run(cloud.running.cloud.jobs.ended(execution))
    (task,) = execution.tasks
    assert (task.exit_code, task.attempt) == (1, 1)
    assert "there is no recording of broadcast 4" in task.log[-1]


def test_a_file_that_is_gone_fails_the_task_and_says_so(cloud: Cloud) -> None:
    names = cloud.record(7, SILENT, UPRIGHT)
    cloud.media.delete(recording_file_name(STREAM, names.broadcast, 2))
    execution = cloud.start(7, tasks=1)
    cloud.running.run(cloud.running.cloud.jobs.ended(execution))
    (task,) = execution.tasks
    assert "the recording cannot be read" in task.log[-1]


def test_one_file_can_be_chosen_by_hand(cloud: Cloud) -> None:
    """SOURCE in the environment names it."""
    names = cloud.record(8, LANDSCAPE, SILENT)
    chosen = {"BROADCAST": "8", "SOURCE": recording_file_name(STREAM, names.broadcast, 2)}
    environment = {**os.environ, **ENVIRONMENT, **cloud.running.cloud.environment, **chosen}
    subprocess.run(COMMAND, env=environment, capture_output=True, check=True, timeout=SECONDS)
    facts = cloud.facts(names)
    assert (facts.source, facts.frames, facts.files) == (chosen["SOURCE"], SILENT.frames, msgspec.UNSET)
