"""WHIP clients that others wrote, or as others wrote them, through whole broadcasts."""

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bucketcast.stream.identifiers import RungName
from local_system.system import MEDIA_BUCKET, System
from tools.auditor import audit
from tools.auditor.collect import collect, probe_segments
from tools.auditor.poll import audit_answers, poll
from tools.broadcasts import SOON, frame_numbers, wait_for_endlist
from tools.browser import chromium
from tools.folder_server import FolderServer, serve
from tools.frame_strip import Clip, Container, make_clip
from tools.npm_module import NpmModule, get_module
from tools.obs_publisher import ObsPublisher, read_encoded

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


def test_an_npm_client_in_a_browser_publishes_and_ends_its_session(system: System, hls_js: None) -> None:
    """It trickles its candidates, asks for an ICE restart, which is refused and harms nothing, and DELETEs."""
    site = FolderServer({"client": get_module(WHIP_WHEP).parent})
    site.answers["/client/page.html"] = lambda: PAGE
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    master = f"{system.media_url}/demo/master.m3u8"
    stop = threading.Event()
    with serve(site), chromium(flags=CAMERA) as browser, ThreadPoolExecutor(1) as pool:

        def call(expression: str, *arguments: object) -> Any:
            browser.driver.set_script_timeout(SOON.total_seconds())
            script = f"{ASYNC} {expression}.then(() => done(null), said);"
            return browser.driver.execute_async_script(script, *arguments)

        publisher = browser.driver.current_window_handle
        browser.open(f"{site.address}/client/page.html")
        browser.wait_until("window.publish", within=SOON)
        assert call("publish(arguments[0], arguments[1])", system.whip_url, stream.stream_key) is None
        browser.wait_until("connection.connectionState === 'connected'", within=SOON)
        system.wait_for(master, "the broadcast")
        polling = pool.submit(poll, master, stop)
        try:
            refused = call("client.restart()")
            browser.driver.switch_to.new_window("window")
            browser.open(system.viewer_page("demo"))
            browser.wait_until("document.getElementById('video').currentTime > 0", within=SOON)
            played = browser.play_for(timedelta(seconds=20))
            browser.driver.switch_to.window(publisher)
            state = browser.script("return connection.connectionState")
            assert call("client.stop()") is None
            told = [tuple(each) for each in browser.script("return answers")]
            wait_for_endlist(system, "demo")
        finally:
            stop.set()
        answers = polling.result()
    assert told[0] == ("POST", 201)
    assert told[-1] == ("DELETE", 200)
    # RFC 9725, 4.3.1 and 4.3.3: candidates are taken; whom a restart is refused goes on as before.
    assert set(told[1:-1]) == {("PATCH", 204), ("PATCH", 422)}
    assert "422" in str(refused)
    assert state == "connected"
    assert played.stalls == played.fatal_errors == 0
    assert audit_answers(answers) == []
    journal = collect(system.url, MEDIA_BUCKET, stream="demo")
    assert audit(journal, probe_segments(system.url, journal)) == []


OBS_CLIP = Clip(
    width=640,
    height=360,
    duration=timedelta(seconds=30),
    video_bitrate=1_500_000,
    b_frames=0,
    container=Container.MATROSKA,
)


@pytest.fixture
def obs_clip(ffmpeg: Path, tmp_path: Path) -> Path:
    """OBS_CLIP as OBS would encode it, with Opus."""
    clip = tmp_path / "clip.mkv"
    command: list[str | Path] = [ffmpeg, "-v", "error", "-i", make_clip(OBS_CLIP)]
    subprocess.run([*command, "-c:v", "copy", "-c:a", "libopus", clip], check=True, stdin=subprocess.DEVNULL)
    return clip


async def test_what_obs_sends_reaches_viewers_to_the_last_frame(system: System, obs_clip: Path) -> None:
    """One packet in a hundred comes only when it is asked for; timestamps and sequence numbers wrap."""
    media = read_encoded(obs_clip)
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    publisher = ObsPublisher(system.whip_url, stream.stream_key, lost=0.01)
    try:
        await publisher.connect()
        await publisher.send(media)
    finally:
        status = await publisher.stop()
    assert status == 200
    assert publisher.answered_after < 1
    assert 0 < publisher.withheld <= publisher.sent_again
    wait_for_endlist(system, "demo")
    journal = collect(system.url, MEDIA_BUCKET, stream="demo")
    assert audit(journal, probe_segments(system.url, journal)) == []
    for rung in RUNGS:
        numbers = frame_numbers(system, journal, RungName(str(rung["name"])))
        assert numbers == list(range(OBS_CLIP.frames)), rung
