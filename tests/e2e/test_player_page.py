"""The viewer page in a real browser: it plays, follows the stream's state and mends what breaks."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

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

PLAYING = "document.getElementById('overlay').hidden && document.getElementById('video').currentTime > 0"


def text_is(element: str, text: str) -> str:
    return f"document.getElementById('{element}').textContent === {json.dumps(text)}"


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

    def __post_init__(self) -> None:
        self.site = FolderServer({"player": PLAYER, "demo": self.ladder.folder})
        self.site.answers["/player/hls.min.js"] = HLS_JS.read_text
        self.site.answers["/demo/state.json"] = self._state
        self.site.answers["/demo/master.m3u8"] = lambda: (
            self.ladder.multivariant_playlist() if self.broadcast else None
        )
        for rung in RUNGS:
            self.site.answers[f"/demo/{rung.name}/playlist.m3u8"] = self._media_playlist

    def _state(self) -> str | None:
        if self.state is None:
            return None
        record = {"version": 1, "stream": "demo", "state": self.state, "broadcast": self.number}
        return json.dumps({**record, "since": "2026-11-22T18:00:00Z"})

    def _media_playlist(self) -> str | None:
        return self.broadcast.media_playlist() if self.broadcast else None

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
    return make_ladder(tmp_path_factory.mktemp("ladder") / "demo", segments=50)


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
