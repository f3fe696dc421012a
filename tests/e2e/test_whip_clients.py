"""WHIP clients that others wrote, or as others wrote them, through whole broadcasts."""

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from bucketcast.stream.identifiers import RungName
from local_system.system import System
from tools import aiortc_publisher
from tools.broadcasts import SOON, frame_numbers
from tools.browser import chromium
from tools.folder_server import FolderServer, serve
from tools.frame_strip import Clip, Container, make_clip
from tools.npm_module import NpmModule, get_module
from tools.obs_publisher import ObsPublisher, read_encoded
from tools.viewing import viewing

RUNGS = ({"name": "360p", "video_kbps": 800}, {"name": "180p", "video_kbps": 400})

# By an author of RFC 9725, as an ES module without dependencies. It trickles candidates.
WHIP_WHEP = NpmModule(
    name="whip-whep",
    version="1.2.0",
    integrity="sha512-CP+Tht3O/N6QLebW5LxsNKgzFN5KX6WinLr1SLs74feagYu+Gqy+0dw48p5RQuE+FlrM4xyOlOdW2UOQwljImA==",
    member="package/whip.js",
)
PAGE = """<!doctype html><meta charset="utf-8"><title>whip-whep</title><script type="module">
import { WHIPClient } from "./whip.js";
window.answers = [];
const ask = window.fetch;
window.fetch = async (address, options) => {
  const answer = await ask(address, options);
  answers.push([options.method, answer.status]);
  return answer;
};
window.publish = async (endpoint, key) => {
  const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 640, height: 360 } });
  const connection = window.connection = new RTCPeerConnection();
  for (const track of media.getTracks())
    connection.addTransceiver(track, { direction: "sendonly", streams: [media] });
  window.client = new WHIPClient();
  await client.publish(connection, endpoint, key);
};
</script>"""
# Chromium's fake camera and microphone; it makes no connection to its own machine unless it is told to.
CAMERA = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
)
ASYNC = "const done = arguments[arguments.length - 1]; const said = (error) => done(`${error}`);"


def test_an_npm_client_in_a_browser_publishes_and_ends_its_session(
    system: System, hls_js: None, whip_length: timedelta
) -> None:
    """It trickles its candidates, asks for an ICE restart, which is refused and harms nothing, and DELETEs."""
    site = FolderServer({"client": get_module(WHIP_WHEP).parent})
    site.answers["/client/page.html"] = lambda: PAGE
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    with serve(site), chromium(flags=CAMERA) as browser:

        def call(expression: str, *arguments: object) -> Any:
            browser.driver.set_script_timeout(SOON.total_seconds())
            script = f"{ASYNC} {expression}.then(() => done(null), said);"
            return browser.driver.execute_async_script(script, *arguments)

        publisher = browser.driver.current_window_handle
        browser.open(f"{site.address}/client/page.html")
        browser.wait_until("window.publish", within=SOON)
        assert call("publish(arguments[0], arguments[1])", system.whip_url, stream.stream_key) is None
        browser.wait_until("connection.connectionState === 'connected'", within=SOON)
        refused = call("client.restart()")
        with viewing(system, "demo", browser) as seen:
            seen.play_until(whip_length)
            browser.driver.switch_to.window(publisher)
            state = browser.script("return connection.connectionState")
            assert call("client.stop()") is None
            told = [tuple(each) for each in browser.script("return answers")]
    assert told[0] == ("POST", 201)
    assert told[-1] == ("DELETE", 200)
    # RFC 9725, 4.3.1 and 4.3.3: candidates are taken; whom a restart is refused goes on as before.
    assert set(told[1:-1]) == {("PATCH", 204), ("PATCH", 422)}
    assert "422" in str(refused)
    assert state == "connected"
    assert seen.faults == []
    assert seen.played >= whip_length


CLIP = Clip(width=640, height=360, video_bitrate=1_500_000, b_frames=0, container=Container.MATROSKA)


def with_opus(ffmpeg: Path, clip: Path, encoded: Path) -> Path:
    """Return *encoded*, which is *clip* with its sound as Opus."""
    command: list[str | Path] = [
        ffmpeg,
        "-nostdin",
        "-v",
        "error",
        "-i",
        clip,
        "-c:v",
        "copy",
        "-c:a",
        "libopus",
        encoded,
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return encoded


def test_what_obs_sends_reaches_viewers_to_the_last_frame(
    system: System, ffmpeg: Path, tmp_path: Path, hls_js: None, whip_length: timedelta
) -> None:
    """One packet in a hundred comes only when it is asked for; timestamps and sequence numbers wrap."""
    clip = replace(CLIP, duration=whip_length)
    media = read_encoded(with_opus(ffmpeg, make_clip(clip), tmp_path / "clip.mkv"))
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    publisher = ObsPublisher(system.whip_url, stream.stream_key, lost=0.01)
    with chromium() as browser, ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(asyncio.run, publisher.publish(media))
        with viewing(system, "demo", browser) as seen:
            seen.play_until(whip_length)
            assert publishing.result() == 200
    assert publisher.answered_after < 1
    assert 0 < publisher.withheld <= publisher.sent_again
    assert seen.faults == []
    for rung in RUNGS:
        numbers = frame_numbers(system, seen.journal, RungName(str(rung["name"])))
        assert numbers == list(range(clip.frames)), rung


# One is moved by a correction of half a picture's duration, and one by the way back.
MOVED_PICTURES = 2


def test_what_aiortc_encodes_reaches_viewers_to_the_last_frame(
    system: System, hls_js: None, whip_length: timedelta
) -> None:
    """An application's own tracks; it makes keyframes where it is asked for them, and follows REMB.

    Its reports pair a timestamp with when it was sent. Where a busy machine keeps it waiting for seconds, its
    pictures are dated anew, and FFmpeg repeats one or leaves one out.
    """
    frames = round(whip_length.total_seconds() * aiortc_publisher.FRAME_RATE)
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    with chromium() as browser, ThreadPoolExecutor(1) as pool:
        sending = aiortc_publisher.publish(frames, system.whip_url, stream.stream_key)
        publishing = pool.submit(asyncio.run, sending)
        with viewing(system, "demo", browser) as seen:
            seen.play_until(whip_length)
            published = publishing.result()
    assert published.deleted == 200
    assert published.answered_after < timedelta(seconds=1)
    assert seen.faults == []
    for rung in RUNGS:
        found = frame_numbers(system, seen.journal, RungName(str(rung["name"])))
        numbers = [number for number in found if number is not None]
        steps = [after - before for before, after in pairwise([-1, *numbers, frames])]
        assert len(numbers) == len(found), rung
        assert set(steps) <= {0, 1, 2}, rung
        assert sum(step != 1 for step in steps) <= MOVED_PICTURES, rung
