"""WebRTC in: real publishers over WHIP, the same feed, ladder, bucket and page as RTMP."""

import subprocess
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import requests
from selenium.webdriver.common.by import By

from bucketcast.hls import MediaPlaylist, parse
from bucketcast.stream.identifiers import RungName
from local_system.system import MEDIA_BUCKET, CreatedStream, System
from tools.auditor import audit
from tools.auditor.collect import collect, probe_segments
from tools.broadcasts import SOON, frame_numbers, publish, wait_for_endlist, wait_for_state
from tools.browser import chromium
from tools.frame_strip import Clip, make_clip
from tools.viewing import viewing

RUNGS = ({"name": "360p", "video_kbps": 800}, {"name": "180p", "video_kbps": 400})
# As short as a session can be that has more than its first segments.
CLIP = Clip(
    width=640,
    height=360,
    duration=timedelta(seconds=6),
    keyframe_interval=timedelta(seconds=2),
    video_bitrate=1_200_000,
    frame_rate=Fraction(30),
)


def publish_over_whip(
    ffmpeg: Path, clip: Path, system: System, stream: CreatedStream
) -> subprocess.Popen[bytes]:
    """Send *clip* in real time with FFmpeg's own WHIP muxer."""
    command: list[str | Path] = [ffmpeg, "-nostdin", "-v", "error", "-re", "-i", clip]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "60", "-b:v", "1200k"]
    command += ["-c:a", "libopus", "-ar", "48000", "-ac", "2"]
    command += ["-f", "whip", "-authorization", stream.stream_key, system.whip_url]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def test_ffmpeg_publishes_over_whip_without_a_lost_frame(
    system: System, ffmpeg: Path, hls_js: None, whip_length: timedelta
) -> None:
    clip = replace(CLIP, duration=whip_length)
    file = make_clip(clip)
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    with chromium() as browser:
        sender = publish_over_whip(ffmpeg, file, system, stream)
        try:
            with viewing(system, "demo", browser) as seen:
                seen.play_until(whip_length)
                assert sender.wait(SOON.total_seconds()) == 0
        finally:
            sender.kill()
    assert seen.faults == []
    for rung in RUNGS:
        numbers = frame_numbers(system, seen.journal, RungName(str(rung["name"])))
        assert numbers == list(range(clip.frames)), rung


# The fake camera and microphone: a green picture with a beep a second. Chromium makes no connection to its own
# machine unless it is told to.
CAMERA = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
)
LIVE = "document.getElementById('situation').dataset.tone === 'live'"
ENDED = "document.getElementById('title').textContent === 'The broadcast was ended'"


def test_a_browser_s_camera_reaches_viewers_until_its_owner_ends_it(
    system: System, hls_js: None, whip_length: timedelta
) -> None:
    """The studio, a second tab that watches, and an end over the API, which the studio does not undo."""
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=30)
    with chromium(flags=CAMERA) as browser:
        studio = browser.driver.current_window_handle
        browser.open(f"{system.studio_url}#key={stream.stream_key}")
        browser.wait_until("document.getElementById('curtain').hidden", within=SOON)
        browser.driver.find_element(By.ID, "go").click()
        browser.wait_until(LIVE, within=SOON)
        with viewing(system, "demo", browser) as seen:
            seen.play_until(whip_length)
            browser.driver.switch_to.window(studio)
            system.api("POST", "streams/demo/end")
            browser.wait_until(ENDED, within=SOON)
    assert seen.faults == []
    assert seen.played >= whip_length
    assert system.api("GET", "streams/demo")["broadcast"] == 1
    names = [each.name for each in seen.journal if each.name.endswith(".ts")]
    assert {name.split("_")[1] for name in names} == {"00000001"}, (
        "one session, whatever sizes the browser sent"
    )


def test_an_rtmp_session_is_followed_by_a_whip_session_on_the_same_addresses(
    system: System, ffmpeg: Path
) -> None:
    """P6: one DISCONTINUITY, and numbers that go on."""
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=30)
    clip = make_clip(CLIP)
    assert publish(ffmpeg, clip, system, stream).wait(60) == 0
    wait_for_state(system, "demo", "interrupted")
    assert publish_over_whip(ffmpeg, clip, system, stream).wait(60) == 0
    wait_for_state(system, "demo", "interrupted")
    system.api("POST", "streams/demo/end")
    wait_for_endlist(system, "demo")
    journal = collect(system.url, MEDIA_BUCKET, stream="demo")
    assert audit(journal, probe_segments(system.url, journal)) == []
    playlist = parse(requests.get(f"{system.media_url}/demo/360p/playlist.m3u8", timeout=10).text)
    assert isinstance(playlist, MediaPlaylist)
    assert playlist.discontinuity_sequence + sum(each.discontinuity for each in playlist.segments) == 1
    sessions = [segment.uri.split("_")[1] for segment in playlist.segments]
    assert all(before <= after for before, after in pairwise(sessions))
