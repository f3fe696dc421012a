"""The viewer page in a real browser: it plays, follows the stream's state and mends what breaks."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import msgspec
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from bucketcast.recording.index import IndexedRecording, RecordingIndex
from bucketcast.recording.names import recording_file_name, recordings_folder
from bucketcast.recording.vod import vod_folder
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from tools.browser import Browser, chromium
from tools.folder_server import FolderServer, serve
from tools.hls_ladder import RUNGS, Ladder, LiveBroadcast, make_ladder

ROOT = Path(__file__).resolve().parents[2]
PLAYER = ROOT / "functions/player"
HLS = json.loads((PLAYER / "hls.json").read_text())
HLS_JS = ROOT / ".cache/hls.js" / HLS["version"] / "hls.min.js"

# The page asks for the state every 2 s and starts 3 segments of 1 s behind live; the rest is a busy machine.
SOON = timedelta(seconds=15)

# With little in the buffer a test need not wait for the player to notice that nothing follows.
CLOSE_TO_LIVE = "stream=demo&liveSyncDurationCount=1"

DEMO = StreamId("demo")
LIST = "/demo/recording/recordings.json"
# A recording is as long as the ladder's first segments, and the VOD plays from them.
RECORDED_SEGMENTS = 12

PLAYING = "document.getElementById('overlay').hidden && document.getElementById('video').currentTime > 0"


def text_is(element: str, text: str) -> str:
    return f"document.getElementById('{element}').textContent === {json.dumps(text)}"


def played_from(file: str) -> str:
    return f"document.getElementById('video').src.endsWith({json.dumps(file)})"


def recording(
    number: int, *, files: int = 1, vod: bool = False, seconds: float = RECORDED_SEGMENTS
) -> IndexedRecording:
    """Broadcast *number*'s recording as the functions list it."""
    broadcast, folder = BroadcastNumber(number), recordings_folder(DEMO)
    names = [recording_file_name(DEMO, broadcast, file) for file in range(1, files + 1)]
    beside = vod_folder(DEMO, broadcast).removeprefix(folder)
    return IndexedRecording(
        broadcast=number,
        seconds=seconds,
        files=tuple(name.removeprefix(folder) for name in names),
        vod=f"{beside}master.m3u8" if vod else None,
        poster=f"{beside}poster.jpg" if vod else None,
        storyboard=f"{beside}storyboard.vtt" if vod else None,
    )


def make_recordings(ladder: Ladder) -> None:
    """Put the files of broadcasts 1 and 2, and the pictures of 1's VOD, beside *ladder*."""
    segments = [ladder.folder / f"180p/segment_{index:06d}.ts" for index in range(RECORDED_SEGMENTS)]
    whole = b"".join(segment.read_bytes() for segment in segments)
    ffmpeg = [get_ffmpeg_exe(), "-v", "error", "-i", "pipe:"]
    vod = ladder.folder.parent / vod_folder(DEMO, BroadcastNumber(1))
    vod.mkdir(parents=True)
    join = ["-c", "copy", "-bsf:a", "aac_adtstoasc", "-movflags", "+faststart"]
    pictures = ["-vf", "fps=1/6,scale=160:90,tile=5x5", "-frames:v", "1", str(vod / "storyboard_00000.jpg")]
    outputs = [pictures, ["-vf", "scale=320:180", "-frames:v", "1", str(vod / "poster.jpg")]]
    for broadcast, file in ((1, 1), (2, 1), (2, 2)):
        name = ladder.folder.parent / recording_file_name(DEMO, BroadcastNumber(broadcast), file)
        name.parent.mkdir(exist_ok=True)
        outputs.append([*join, "-t", "2" if broadcast == 2 else "60", str(name)])
    command = [*ffmpeg, *(word for output in outputs for word in output)]
    subprocess.run(command, input=whole, check=True, capture_output=True, timeout=30)
    cues = [
        f"00:00:{at:02}.000 --> 00:00:{at + 6:02}.000\nstoryboard_00000.jpg#xywh={x},0,160,90\n"
        for at, x in ((0, 0), (6, 160))
    ]
    (vod / "storyboard.vtt").write_text("\n".join(["WEBVTT\n", *cues]))


def labelled(element: str, label: str) -> str:
    return f"document.getElementById('{element}').getAttribute('aria-label') === {json.dumps(label)}"


@dataclass(slots=True)
class Stage:
    """A bucket with the page and a stream called demo, whose state and broadcast a test sets."""

    ladder: Ladder
    site: FolderServer = field(init=False)
    broadcast: LiveBroadcast | None = None
    state: str | None = None
    number: int = 0
    recordings: tuple[IndexedRecording, ...] | None = ()

    def __post_init__(self) -> None:
        self.site = FolderServer({"player": PLAYER, "demo": self.ladder.folder})
        self.site.answers["/player/hls.min.js"] = HLS_JS.read_text
        self.site.answers["/demo/state.json"] = self._state
        self.site.answers["/demo/master.m3u8"] = lambda: (
            self.ladder.multivariant_playlist() if self.broadcast else None
        )
        self.site.answers[LIST] = lambda: (
            None
            if self.recordings is None
            else msgspec.json.encode(RecordingIndex(recordings=self.recordings)).decode()
        )
        vod = "/" + vod_folder(DEMO, BroadcastNumber(1))
        self.site.answers[f"{vod}master.m3u8"] = self.ladder.multivariant_playlist
        for rung in RUNGS:
            self.site.answers[f"{vod}{rung.name}/playlist.m3u8"] = partial(self._vod, rung.name)
            self.site.answers[f"/demo/{rung.name}/playlist.m3u8"] = self._media_playlist

    def _state(self) -> str | None:
        if self.state is None:
            return None
        record = {"version": 1, "stream": "demo", "state": self.state, "broadcast": self.number}
        return json.dumps({**record, "since": "2026-11-22T18:00:00Z"})

    def _media_playlist(self) -> str | None:
        return self.broadcast.media_playlist() if self.broadcast else None

    def _vod(self, rung: str) -> str:
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-PLAYLIST-TYPE:VOD"]
        for index in range(RECORDED_SEGMENTS):
            lines += ["#EXTINF:1.000000,", f"../../../../{rung}/segment_{index:06d}.ts"]
        return "\n".join([*lines, "#EXT-X-ENDLIST", ""])

    def end(self) -> None:
        """End the broadcast before anybody saw it."""
        self.state, self.number = "ended", self.number + 1

    def go_live(self, *, first: int = 0) -> LiveBroadcast:
        self.broadcast = LiveBroadcast(ladder=self.ladder, first=first)
        self.number += 1
        self.state = "live"
        return self.broadcast

    def page(self, query: str = "stream=demo") -> str:
        return f"{self.site.address}/player/index.html?{query}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def ladder(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Ladder:
    if not HLS_JS.exists():
        pytest.skip("hls.js is not in .cache (scripts/get_hls_js gets it from npm)")
    ladder = make_ladder(tmp_path_factory.mktemp("ladder") / "demo", segments=50)
    make_recordings(ladder)
    return ladder


@pytest.fixture
def stage(browser: Browser, ladder: Ladder) -> Iterator[Stage]:
    stage = Stage(ladder)
    with serve(stage.site):
        yield stage
        # The page would go on asking a server that is gone.
        browser.driver.get("about:blank")


def test_plays_live_and_switches_rungs_by_the_selector(stage: Stage, browser: Browser) -> None:
    stage.go_live()
    browser.open(stage.page())
    browser.wait_until(PLAYING, within=SOON)
    assert browser.script("return document.getElementById('state').textContent") == "live"

    quality = Select(browser.driver.find_element(By.ID, "quality"))
    labels = [option.text for option in quality.options]
    assert labels[0].startswith("Auto")
    assert labels[1:] == ["180p · 546 kb/s", "180p · 276 kb/s", "90p · 186 kb/s"]
    quality.select_by_visible_text("90p · 186 kb/s")
    browser.wait_until("document.getElementById('video').videoHeight === 90", within=SOON)
    quality.select_by_visible_text("180p · 546 kb/s")
    browser.wait_until("document.getElementById('video').videoHeight === 180", within=SOON)

    seen = browser.play_for(timedelta(seconds=1))
    assert (seen.stalls, seen.fatal_errors) == (0, 0)
    latency = seen.samples[-1].latency
    assert latency is not None
    assert timedelta(seconds=1) < latency < timedelta(seconds=8)
    assert browser.script("return bucketcast.events.levelSwitches") >= 1
    assert browser.frame().pixels.shape == (180, 320, 3)
    assert browser.frame().pixels.std() > 20  # a picture, not a black box
    assert browser.console() == ()


def test_is_worked_by_keys_alone(stage: Stage, browser: Browser) -> None:
    stage.go_live()
    browser.open(stage.page())
    browser.wait_until(PLAYING, within=SOON)
    video = browser.driver.find_element(By.ID, "video")
    mute = browser.driver.find_element(By.ID, "mute")
    assert (video.get_property("muted"), mute.get_attribute("aria-label")) == (True, "Unmute")
    video.send_keys("m")
    browser.wait_until(labelled("mute", "Mute"), within=SOON)
    assert video.get_property("muted") is False
    video.send_keys(" ")
    browser.wait_until(labelled("play", "Play"), within=SOON)
    browser.driver.find_element(By.ID, "play").send_keys(" ")
    browser.wait_until(labelled("play", "Pause"), within=SOON)
    video.send_keys("f")
    browser.wait_until("document.fullscreenElement?.id === 'player'", within=SOON)


def test_follows_the_stream_from_not_on_air_to_the_next_broadcast(stage: Stage, browser: Browser) -> None:
    browser.open(stage.page(CLOSE_TO_LIVE))
    browser.wait_until(text_is("overlay-title", "Not on air yet"), within=SOON)
    assert browser.script("return document.getElementById('state').textContent") == "not on air yet"

    broadcast = stage.go_live()
    browser.wait_until(PLAYING, within=SOON)

    broadcast.interrupt()
    stage.state = "interrupted"
    browser.wait_until(text_is("state", "interrupted: the broadcaster may come back"), within=SOON)
    browser.wait_until(text_is("overlay-title", "Interrupted"), within=SOON)
    broadcast.resume()
    stage.state = "live"
    browser.wait_until(PLAYING, within=SOON)

    broadcast.end()
    stage.state = "ended"
    browser.wait_until(text_is("state", "ended"), within=SOON)
    browser.wait_until(text_is("overlay-title", "The broadcast has ended"), within=SOON)

    stage.go_live(first=25)
    browser.wait_until(PLAYING, within=SOON)
    assert browser.script("return bucketcast.events.fatalErrors") == 0


def test_waits_when_a_broadcast_on_air_still_has_the_playlists_of_the_one_before(
    stage: Stage, browser: Browser
) -> None:
    stage.go_live().end()
    browser.open(stage.page())
    browser.wait_until(text_is("notice", "The first pictures are on their way. Trying again."), within=SOON)
    stage.broadcast = LiveBroadcast(ladder=stage.ladder, first=25)
    browser.wait_until(PLAYING, within=SOON)
    assert browser.script("return bucketcast.hls.latestLevelDetails.startSN") >= 25


def test_mends_itself_after_errors_of_the_server(stage: Stage, browser: Browser) -> None:
    stage.go_live()
    stage.site.fail("/demo/state.json", 500)
    stage.site.fail("/demo/master.m3u8", 404, 500)
    browser.open(stage.page(CLOSE_TO_LIVE))
    browser.wait_until(text_is("state", "state unknown: trying again"), within=SOON)
    assert "HTTP 500" in browser.script("return document.getElementById('overlay-text').textContent")
    browser.wait_until("!document.getElementById('notice').hidden", within=SOON)
    assert "cannot be loaded right now" in browser.script(
        "return document.getElementById('notice').textContent"
    )
    browser.wait_until(PLAYING, within=SOON)
    browser.wait_until("document.getElementById('notice').hidden", within=SOON)
    assert browser.script("return bucketcast.events.fatalErrors") >= 1
    assert stage.site.faults_left("/demo/master.m3u8") == 0

    # Everything gone for so long that the player gives up: the same broadcast is opened anew.
    broadcast, stage.broadcast, stage.state = stage.broadcast, None, None
    browser.wait_until(text_is("state", "not on air yet"), within=SOON)
    browser.wait_until("document.getElementById('play').disabled", within=SOON)
    stage.broadcast, stage.state = broadcast, "live"
    browser.wait_until(PLAYING, within=SOON)
    assert browser.play_for(timedelta(seconds=1)).played >= timedelta(seconds=1)


@pytest.mark.parametrize(
    "hostile",
    [
        "%3Cscript%3Ewindow.hacked%3D1%3C%2Fscript%3E",
        "%3Cimg%20src%3Dx%20onerror%3Dhacked%3D1%3E",
        "..%2Fdemo",
        "player",
        "-a",
    ],
)
def test_says_what_is_wrong_with_a_name_and_asks_nothing_of_the_bucket(
    stage: Stage, browser: Browser, hostile: str
) -> None:
    browser.open(stage.page(f"stream={hostile}"))
    browser.wait_until("!document.getElementById('notice').hidden", within=SOON)
    assert "is not the name of a stream" in browser.driver.find_element(By.ID, "notice").text
    assert browser.script("return typeof window.hacked") == "undefined"
    assert browser.script("return document.querySelectorAll('#notice *').length") == 0
    assert all(path.startswith("/player/") for path in stage.site.requests)


def test_asks_for_a_stream_when_the_address_names_none(stage: Stage, browser: Browser) -> None:
    browser.open(stage.page(""))
    browser.wait_until("!document.getElementById('notice').hidden", within=SOON)
    assert "?stream=NAME" in browser.driver.find_element(By.ID, "notice").text


def test_takes_settings_of_hls_js_from_the_address_when_they_make_sense(stage: Stage, browser: Browser) -> None:
    stage.go_live()
    browser.open(stage.page("stream=demo&liveSyncDurationCount=1&maxBufferLength=x"))
    browser.wait_until("window.bucketcast?.hls", within=SOON)
    assert browser.script("return bucketcast.hls.userConfig") == {"liveSyncDurationCount": 1}
    assert "maxBufferLength is left at its default" in browser.driver.find_element(By.ID, "notice").text


def test_without_hls_js_beside_it_the_page_asks_the_cdn_by_hash_and_else_the_browser_plays(
    stage: Stage, browser: Browser
) -> None:
    stage.site.answers["/player/hls.min.js"] = lambda: HLS_JS.read_text() + "window.hacked = 1;"
    stage.go_live()
    browser.open(stage.page())
    browser.wait_until("document.getElementById('video').src.endsWith('/demo/master.m3u8')", within=SOON)
    scripts = browser.script(
        "return [...document.querySelectorAll('script[integrity]')].map((it) => [it.src, it.integrity])"
    )
    assert scripts == [
        [f"{stage.site.address}/player/hls.min.js", HLS["integrity"]],
        [f"https://cdn.jsdelivr.net/npm/hls.js@{HLS['version']}/dist/hls.min.js", HLS["integrity"]],
    ]
    assert browser.script("return typeof window.hacked") == "undefined"
    browser.wait_until(PLAYING, within=SOON)
    console = "\n".join(browser.console())
    assert "Content Security Policy" not in console


def test_offers_the_recording_of_what_it_played_and_goes_back_to_live_without_a_reload(
    stage: Stage, browser: Browser
) -> None:
    broadcast = stage.go_live()
    browser.open(stage.page(CLOSE_TO_LIVE))
    browser.wait_until(PLAYING, within=SOON)
    browser.script("window.opened_once = true")
    assert LIST not in stage.site.requests

    broadcast.end()
    stage.state = "ended"
    browser.wait_until(text_is("overlay-title", "The broadcast has ended"), within=SOON)
    ended = "return document.getElementById('overlay-text').textContent"
    assert browser.script(ended) == "The next one plays here by itself when it begins."
    assert not browser.driver.find_element(By.ID, "watch").is_displayed()
    stage.recordings = (recording(1),)
    browser.wait_until(text_is("watch", "Watch the recording"), within=SOON)
    assert browser.script(ended) == "Its recording is 12 seconds long."

    browser.driver.find_element(By.ID, "watch").send_keys(" ")
    browser.wait_until(f"{PLAYING} && {played_from('/recording/00000001/full_stream.mp4')}", within=SOON)
    assert browser.script("return document.activeElement.id") == "video"
    assert browser.script("return document.getElementById('state').textContent") == "recording of broadcast 1"
    assert not browser.driver.find_element(By.ID, "go-live").is_displayed()
    assert browser.play_for(timedelta(seconds=1)).stalls == 0
    assert browser.frame().pixels.std() > 20

    stage.go_live(first=25)
    browser.wait_until(text_is("state", "live now: this is a recording"), within=SOON)
    assert browser.script(f"return {played_from('.mp4')}")
    back = browser.driver.find_element(By.ID, "go-live")
    assert back.text.strip() == "Back to live"
    back.send_keys(" ")
    browser.wait_until(f"{PLAYING} && bucketcast.hls.latestLevelDetails.live", within=SOON)
    assert browser.script("return [document.getElementById('state').textContent, bucketcast.recording]") == [
        "live",
        None,
    ]
    assert browser.script("return window.opened_once")
    assert browser.script("return bucketcast.events.fatalErrors") == 0
    assert browser.console() == ()


def test_plays_the_vod_where_there_is_one_and_moves_in_it_by_keys_and_by_pointer(
    stage: Stage, browser: Browser
) -> None:
    stage.recordings = (recording(1, vod=True),)
    stage.end()
    browser.open(stage.page())
    browser.wait_until(text_is("watch", "Watch the recording"), within=SOON)
    assert browser.script("return document.getElementById('video').poster").endswith("/vod/poster.jpg")
    browser.driver.find_element(By.ID, "watch").click()
    browser.wait_until(PLAYING, within=SOON)
    assert browser.script("return bucketcast.hls.url").endswith("/recording/00000001/vod/master.m3u8")
    assert len(Select(browser.driver.find_element(By.ID, "quality")).options) == 4
    assert browser.script("return document.getElementById('duration').textContent") == "0:12"

    video = browser.driver.find_element(By.ID, "video")
    video.send_keys(" ")
    browser.wait_until(labelled("play", "Play"), within=SOON)
    before = browser.script("return document.getElementById('video').currentTime")
    seek = browser.driver.find_element(By.ID, "seek")
    seek.send_keys("\ue014")  # the right arrow
    moved = browser.script("return document.getElementById('video').currentTime - arguments[0]", before)
    assert moved == pytest.approx(5, abs=0.1)
    spoken = browser.script("return document.getElementById('seek').getAttribute('aria-valuetext')")
    assert spoken.endswith(" seconds of 12 seconds")

    ActionChains(browser.driver).move_to_element_with_offset(seek, seek.size["width"] // 4, 0).perform()
    browser.wait_until("!document.getElementById('preview').hidden", within=SOON)
    picture = browser.driver.find_element(By.ID, "thumbnail")
    assert picture.is_displayed()
    assert "storyboard_00000.jpg" in picture.value_of_css_property("background-image")
    assert picture.value_of_css_property("background-position") == "-160px 0px"
    ActionChains(browser.driver).move_to_element(seek).click().perform()
    middle = browser.script("return document.getElementById('video').currentTime")
    assert middle == pytest.approx(6, abs=0.2)

    video.send_keys(" ")
    seek.send_keys("\ue010")  # the End key
    browser.wait_until(text_is("overlay-title", "The recording is over"), within=SOON)
    assert browser.driver.find_element(By.ID, "watch").text == "Watch it again"
    browser.driver.find_element(By.ID, "watch").click()
    browser.wait_until(f"{PLAYING} && document.getElementById('video').currentTime < 3", within=SOON)
    assert browser.console() == ()


def test_an_address_opens_a_recording_which_plays_all_of_its_files(stage: Stage, browser: Browser) -> None:
    stage.number = 1
    stage.go_live()
    stage.recordings = (recording(3), recording(2, files=2, seconds=4))
    browser.open(stage.page("stream=demo&recording=2"))
    browser.wait_until(f"{PLAYING} && {played_from('/00000002/full_stream.mp4')}", within=SOON)
    parts = Select(browser.driver.find_element(By.ID, "part"))
    assert [option.text for option in parts.options] == ["Part 1 of 2", "Part 2 of 2"]
    browser.wait_until(f"{PLAYING} && {played_from('/00000002/full_stream_2.mp4')}", within=SOON)
    assert parts.first_selected_option.text == "Part 2 of 2"
    browser.wait_until(text_is("overlay-title", "The recording is over"), within=SOON)
    parts.select_by_index(0)
    browser.wait_until(f"{PLAYING} && {played_from('/00000002/full_stream.mp4')}", within=SOON)
    browser.driver.find_element(By.ID, "video").send_keys("l")
    browser.wait_until(f"{PLAYING} && {text_is('state', 'live')}", within=SOON)
    assert browser.console() == ()


def test_waits_for_a_recording_that_its_address_asks_for_too_early(stage: Stage, browser: Browser) -> None:
    stage.end()
    browser.open(stage.page("stream=demo&recording=1"))
    browser.wait_until(text_is("overlay-title", "There is no recording of broadcast 1 yet"), within=SOON)
    stage.recordings = (recording(1),)
    browser.wait_until(PLAYING, within=SOON)
    assert browser.console() == ()


def test_a_list_that_is_missing_is_asked_for_once_after_each_change_of_state(
    stage: Stage, browser: Browser
) -> None:
    stage.recordings = None
    stage.end()
    browser.open(stage.page())
    browser.wait_until(text_is("overlay-title", "The broadcast has ended"), within=SOON)

    reads = "performance.getEntriesByType('resource').filter((it) => it.name.endsWith('/state.json')).length"
    for times in (1, 2):
        browser.wait_until(f"{reads} >= 2 * {times}", within=SOON)
        assert stage.site.requests[LIST] == times
        stage.number += 1


def test_plays_the_file_where_the_vod_cannot_be_had_and_goes_on_where_it_was_after_an_error(
    stage: Stage, browser: Browser
) -> None:
    stage.recordings = (recording(1, vod=True),)
    stage.end()
    stage.site.answers["/" + vod_folder(DEMO, BroadcastNumber(1)) + "master.m3u8"] = lambda: None
    browser.open(stage.page("stream=demo&recording=1"))
    browser.wait_until(f"{PLAYING} && {played_from('/00000001/full_stream.mp4')}", within=SOON)
    assert browser.script("return document.getElementById('notice').hidden")

    browser.script("document.getElementById('video').currentTime = 6")
    browser.wait_until(f"{PLAYING} && document.getElementById('video').currentTime > 6", within=SOON)
    reloads = browser.script("return bucketcast.events.reloads")
    browser.script("document.getElementById('video').dispatchEvent(new Event('error'))")
    browser.wait_until(f"bucketcast.events.reloads > {reloads}", within=SOON)
    browser.wait_until(f"{PLAYING} && document.getElementById('video').readyState > 1", within=SOON)
    assert browser.script("return document.getElementById('video').currentTime") > 6


def test_says_that_a_recording_cannot_be_played_and_tries_again_when_asked(
    stage: Stage, browser: Browser
) -> None:
    stage.recordings = (recording(1),)
    stage.end()
    stage.site.fail("/" + recording_file_name(DEMO, BroadcastNumber(1)), 404, 404, 404)
    browser.open(stage.page("stream=demo&recording=1"))
    failed = text_is("overlay-title", "The recording cannot be played right now")
    browser.wait_until(failed, within=SOON)
    browser.driver.find_element(By.ID, "watch").click()
    browser.wait_until(PLAYING, within=SOON)


def test_plays_nothing_that_a_list_has_no_business_to_name(stage: Stage, browser: Browser) -> None:
    stage.recordings = (
        msgspec.structs.replace(recording(1), files=("../../other/recording/00000001/full_stream.mp4",)),
        msgspec.structs.replace(recording(2), files=("//elsewhere.example/00000002/full_stream.mp4",)),
    )
    stage.number = 1
    stage.end()
    browser.open(stage.page("stream=demo&recording=x"))
    browser.wait_until(text_is("overlay-title", "The broadcast has ended"), within=SOON)
    browser.wait_until(f"performance.getEntriesByName('{stage.site.address}{LIST}').length", within=SOON)
    assert not browser.driver.find_element(By.ID, "watch").is_displayed()
    notice = "recording is the number of a broadcast: 1 for the first."
    browser.wait_until(text_is("notice", notice), within=SOON)
