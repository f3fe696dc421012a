"""The auditor against a local cloud to which a small live stream is published."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.storage import Client

from bucketcast.hls import (
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    Resolution,
    VariantStream,
    render,
)
from local_cloud.cloud import RunningLocalCloud, running_local_cloud
from tools.auditor import Rule, audit
from tools.auditor.__main__ import main
from tools.auditor.collect import collect, probe_segments
from tools.auditor.object_rules import CACHE_CONTROLS, CONTENT_TYPES
from tools.auditor.poll import audit_answers, poll
from tools.frame_strip import Clip, make_clip

SIZES = {"180p": Resolution(width=320, height=180), "144p": Resolution(width=256, height=144)}
SEGMENTS, SECONDS = 3, 2
START = datetime(2026, 11, 22, 18, tzinfo=UTC)


@pytest.fixture(scope="module")
def ladder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments of two seconds in two renditions."""
    folder = tmp_path_factory.mktemp("ladder")
    duration = timedelta(seconds=SEGMENTS * SECONDS)
    clip = make_clip(Clip(width=320, height=180, duration=duration, video_bitrate=500_000), directory=folder)
    for rung, size in SIZES.items():
        (folder / rung).mkdir()
        encoder = ["-c:v", "libx264", "-preset", "superfast", "-profile:v", "main", "-level", "3.0"]
        grid = ["-force_key_frames", f"expr:gte(t,n_forced*{SECONDS})", "-segment_time", str(SECONDS)]
        grid += ["-segment_time_delta", "0.01", "-bf", "0"]
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(clip)]
        scale = ["-b:v", "300k", "-s", f"{size.width}x{size.height}", "-c:a", "aac"]
        output = ["-f", "segment", "-segment_format", "mpegts", str(folder / rung / "%d.ts")]
        subprocess.run([*command, *encoder, *scale, *grid, *output], check=True)
    return folder


@pytest.fixture
def cloud() -> Iterator[RunningLocalCloud]:
    with running_local_cloud() as running:
        yield running


class _Publisher:
    """Publishes the ladder as fast as names may be written again, and ends the broadcast."""

    def __init__(self, url: str, ladder: Path) -> None:
        client = Client(
            project="demo", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
        )
        self.bucket = client.bucket("media")
        self._ladder = ladder

    def write(self, name: str, content: bytes, **metadata: str) -> None:
        suffix = name[name.rfind(".") :]
        blob = self.bucket.blob(f"demo/{name}")
        blob.cache_control = CACHE_CONTROLS[suffix]
        blob.metadata = {key.replace("_", "-"): value for key, value in metadata.items()} or None
        blob.upload_from_string(content, content_type=CONTENT_TYPES[suffix])

    def publish(self) -> None:
        pause = threading.Event()
        for index in range(SEGMENTS):
            for rung in SIZES:
                self._segment(rung, index)
            for rung in SIZES:
                self._playlist(rung, index, ended=False)
            if index == 0:
                self._multivariant()
                self._state("live")
            pause.wait(1.05)  # Cloud Storage takes one write a second to a name
        for rung in SIZES:
            self._playlist(rung, SEGMENTS - 1, ended=True)
        self._state("ended")

    def _segment(self, rung: str, index: int) -> None:
        self.write(
            f"{rung}/segment_00000001_{index:010}.ts",
            (self._ladder / rung / f"{index}.ts").read_bytes(),
            session="1",
            index=str(index),
            duration=f"{SECONDS}.000000",
            program_date_time=(START + timedelta(seconds=SECONDS * index)).isoformat(),
        )

    def _playlist(self, rung: str, last: int, *, ended: bool) -> None:
        segments = tuple(
            MediaSegment(
                uri=f"segment_00000001_{index:010}.ts",
                duration=timedelta(seconds=SECONDS),
                program_date_time=START + timedelta(seconds=SECONDS * index),
            )
            for index in range(last + 1)
        )
        playlist = MediaPlaylist(target_duration=SECONDS, ended=ended, segments=segments)
        self.write(f"{rung}/playlist.m3u8", render(playlist).encode())

    def _multivariant(self) -> None:
        variants = tuple(
            VariantStream(
                uri=f"{rung}/playlist.m3u8",
                bandwidth=1_000_000,
                codecs="avc1.4d401e,mp4a.40.2",
                resolution=size,
                frame_rate=Fraction(30),
            )
            for rung, size in SIZES.items()
        )
        playlist = MultivariantPlaylist(independent_segments=True, variant_streams=variants)
        self.write("master.m3u8", render(playlist).encode())

    def _state(self, state: str) -> None:
        since = START if state == "live" else START + timedelta(minutes=1)
        text = f'{{"version":1,"stream":"demo","state":"{state}","broadcast":1,"since":"{since.isoformat()}"}}'
        self.write("state.json", text.encode())


def test_a_published_stream_is_audited_from_its_journal_and_as_a_player_sees_it(
    cloud: RunningLocalCloud, ladder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher, over = _Publisher(cloud.url, ladder), threading.Event()
    with ThreadPoolExecutor() as pool:
        polling = pool.submit(poll, f"{cloud.url}/media/demo/master.m3u8", over)
        try:
            publisher.publish()
        finally:
            over.set()
        answers = polling.result()

    assert audit_answers(answers) == []
    seen = {answer.name for answer in answers if answer.name.endswith(".ts")}
    # The player comes by half a target duration after a playlist was written, so it may miss the last ones.
    assert len(seen) >= len(SIZES) * (SEGMENTS - 1)

    journal = collect(cloud.url, "media", stream="demo")
    media = probe_segments(cloud.url, journal)
    assert len(SIZES) * SEGMENTS == len(media)
    assert audit(journal, media) == []
    assert main([cloud.url, "media", "demo"]) == 0
    assert "no violations" in capsys.readouterr().out

    publisher.bucket.blob("demo/144p/segment_00000001_0000000002.ts").delete()
    assert {violation.rule for violation in audit(collect(cloud.url, "media"))} == {Rule.RETENTION}
    assert main([cloud.url, "media", "demo", "--no-media"]) == 1
    assert "RETENTION: 1 violations of: " in capsys.readouterr().out


def test_a_stream_that_never_was_is_an_error(
    cloud: RunningLocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([cloud.url, "media", "demo"]) == 1
    assert capsys.readouterr().out == "nothing was written to media/demo\n"


def test_a_cloud_that_does_not_answer_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert main([f"http://127.0.0.1:{port}", "media"]) == 2
    assert capsys.readouterr().err.startswith("auditor: ")


def test_a_player_that_waits_in_vain_goes_home(cloud: RunningLocalCloud) -> None:
    over = threading.Event()
    with ThreadPoolExecutor() as pool:
        polling = pool.submit(poll, f"{cloud.url}/media/demo/master.m3u8", over)
        over.set()
        assert polling.result() == []
