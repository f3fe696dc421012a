"""From a broadcaster to a browser, through the bucket: everything real, nothing shortened."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from bucketcast.hls import MediaPlaylist, parse
from bucketcast.stream.identifiers import RungName
from local_system.system import MEDIA_BUCKET, CreatedStream, System
from tools.auditor import audit
from tools.auditor.collect import collect, probe_segments
from tools.auditor.poll import audit_answers, poll
from tools.broadcasts import SOON, frame_numbers, publish, wait_for_endlist, wait_for_state
from tools.browser import chromium
from tools.frame_strip import Clip, make_clip

RUNGS = ({"name": "360p", "video_kbps": 800}, {"name": "240p", "video_kbps": 400})
RUNG_NAMES = tuple(RungName(str(rung["name"])) for rung in RUNGS)
# A keyframe interval that fits no segment: the encoder's grid has to come from the clock.
CLIP = Clip(
    width=640,
    height=360,
    duration=timedelta(seconds=25),
    keyframe_interval=timedelta(milliseconds=3300),
    video_bitrate=1_200_000,
)
PLAYED = timedelta(seconds=14)


def test_a_broadcast_reaches_a_browser_without_a_stall_and_without_a_lost_frame(
    system: System, ffmpeg: Path, hls_js: None
) -> None:
    """Every frame sent is in every rendition once, in order; hls.js plays on and switches."""
    stream = system.create_stream("demo", rungs=RUNGS)
    clip = make_clip(CLIP)
    stop = threading.Event()
    with chromium() as browser, ThreadPoolExecutor(1) as pool:
        sender = publish(ffmpeg, clip, system, stream)
        master = f"{system.media_url}/demo/master.m3u8"
        system.wait_for(master, "the broadcast")
        polling = pool.submit(poll, master, stop)
        try:
            browser.open(system.viewer_page("demo"))
            browser.wait_until("document.getElementById('video').currentTime > 0", within=SOON)
            first = browser.play_for(PLAYED / 2)
            quality = Select(browser.driver.find_element(By.ID, "quality"))
            heights = {sample.height for sample in first.samples}
            wanted = "240p" if 360 in heights else "360p"
            quality.select_by_visible_text(next(o.text for o in quality.options if o.text.startswith(wanted)))
            second = browser.play_for(PLAYED / 2)
            errors = browser.console()
            assert sender.wait(60) == 0
            wait_for_state(system, "demo", "interrupted")
            system.api("POST", "streams/demo/end")
            browser.wait_until("document.getElementById('video').ended", within=SOON)
        finally:
            stop.set()
            sender.kill()
        answers = polling.result()

    assert first.stalls == second.stalls == 0
    assert first.fatal_errors == second.fatal_errors == 0
    assert first.played + second.played >= PLAYED
    assert int(wanted[:-1]) in {sample.height for sample in second.samples}
    assert errors == ()

    journal = collect(system.url, MEDIA_BUCKET, stream="demo")
    assert audit(journal, probe_segments(system.url, journal)) == []
    assert audit_answers(answers) == []
    renditions = {rung: frame_numbers(system, journal, rung) for rung in RUNG_NAMES}
    for rung, numbers in renditions.items():
        assert numbers == list(range(CLIP.frames)), rung

    for rung in RUNG_NAMES:
        playlist = parse(requests.get(f"{system.media_url}/demo/{rung}/playlist.m3u8", timeout=10).text)
        assert isinstance(playlist, MediaPlaylist)
        assert playlist.ended


def test_no_frame_is_lost_at_other_frame_rates(system: System, ffmpeg: Path) -> None:
    """The grid holds where a segment is no whole number of frames, and where the source has no sound."""
    ntsc = Clip(
        width=320,
        height=180,
        duration=timedelta(seconds=9),
        frame_rate=Fraction(30_000, 1001),
        video_bitrate=400_000,
    )
    clips = {"ntsc": ntsc, "pal": replace(ntsc, frame_rate=Fraction(25), audio=False)}
    files = {name: make_clip(clip) for name, clip in clips.items()}
    configuration = {"rungs": [{"name": "180p", "video_kbps": 400}], "reconnect_window_seconds": 1}
    streams = [system.create_stream(name, **configuration) for name in clips]
    senders = [publish(ffmpeg, files[stream.id], system, stream) for stream in streams]
    try:
        assert [sender.wait(60) for sender in senders] == [0, 0]
    finally:
        for sender in senders:
            sender.kill()
    for stream, clip in clips.items():
        wait_for_endlist(system, stream)
        journal = collect(system.url, MEDIA_BUCKET, stream=stream)
        assert audit(journal, probe_segments(system.url, journal)) == []
        assert frame_numbers(system, journal, RungName("180p")) == list(range(clip.frames)), stream


def test_a_wrong_key_is_refused_and_leaves_no_trace(system: System, ffmpeg: Path) -> None:
    """The sender is told at once; nothing is claimed, nothing is written, and no log holds the key."""
    created = system.create_stream("demo", rungs=RUNGS)
    wrong = CreatedStream(id="demo", stream_key=f"{created.stream_key[:-8]}01234567")
    sender = publish(ffmpeg, make_clip(CLIP), system, wrong)
    assert sender.wait(20) != 0
    assert system.api("GET", "streams/demo")["session"] == 0
    assert wrong.stream_key.partition("_")[2] not in system.log("ingest")
