"""Players in headless Chromium: the viewer page, and on a bare page hls.js and Shaka with their defaults."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

from local_system.system import ROOT
from player_survey.stage import Stage
from tools.browser import Browser, chromium
from tools.folder_server import FolderServer, serve
from tools.players import SHAKA_VERSION, get_shaka_player

# Each opens with what its documentation shows first, and nothing that would bring it back from an error.
_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>Players</title>
<video id="hls" muted width="320"></video><video id="shaka" muted width="320"></video>
<script src="HLS_JS"></script><script src="shaka-player.compiled.js"></script><script>
const complaints = { hls: [], shaka: [] };
const players = {};
const open = {
  hls(video, address) {
    players.hls?.destroy();
    const hls = (players.hls = new Hls());
    const failed = ({ fatal, details }) => complaints.hls.push(fatal ? `fatal ${details}` : details);
    hls.on(Hls.Events.ERROR, (_, data) => failed(data));
    hls.on(Hls.Events.MANIFEST_PARSED, () => video.play());
    hls.loadSource(address);
    hls.attachMedia(video);
  },
  async shaka(video, address) {
    await players.shaka?.destroy();
    const player = (players.shaka = new shaka.Player());
    const failed = (error) => {
      const kind = error.severity === 2 ? "critical" : "recoverable";
      complaints.shaka.push(`${kind} error ${error.code ?? error}`);
    };
    player.addEventListener("error", ({ detail }) => failed(detail));
    await player.attach(video);
    try { await player.load(address); await video.play(); } catch (error) { failed(error); }
  },
};
function openAgain(name, address) { open[name](document.getElementById(name), address); }
function shown(name) { return document.getElementById(name).getVideoPlaybackQuality().totalVideoFrames; }
function told(name) { return complaints[name].splice(0); }
</script>"""

_VIEWER_PICTURES: Final = "return document.getElementById('video').getVideoPlaybackQuality().totalVideoFrames"
# The page counts what ended playing; what the console says is the browser's own list.
_VIEWER_EVENTS: Final = "return window.bucketcast?.events ?? {}"


class ViewerPage:
    """The project's own page, which takes hls.js's fatal errors and the stream's state into account."""

    name = "viewer page"

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._told: dict[str, Any] = {}

    def open(self) -> None:
        """Load the page."""
        self._told = {}
        self._browser.open(self._address)

    def pictures(self) -> int | None:
        """How many pictures its video has shown."""
        return int(self._browser.script(_VIEWER_PICTURES))

    def complaints(self) -> list[str]:
        """What it counted since it was last asked: fatal errors, and how often it loaded the stream again."""
        events = self._browser.script(_VIEWER_EVENTS)
        wanted = {"fatalErrors": "fatal error", "reloads": "load again"}
        news = {
            words: events.get(key, 0) - self._told.get(key, 0) for key, words in wanted.items() if key in events
        }
        self._told = events
        return [words for words, count in news.items() for _ in range(count)]

    def close(self) -> None:
        """Leave the page."""
        self._browser.driver.get("about:blank")


class BarePlayer:
    """The library *key* on the bare page."""

    def __init__(self, browser: Browser, key: str, name: str, address: str) -> None:
        self.name = name
        self._browser = browser
        self._key = key
        self._address = address

    def open(self) -> None:
        """Have the library load the address with a new player."""
        self._browser.script("openAgain(arguments[0], arguments[1])", self._key, self._address)

    def pictures(self) -> int | None:
        """How many pictures its video has shown."""
        return int(self._browser.script("return shown(arguments[0])", self._key))

    def complaints(self) -> list[str]:
        """Its error events since it was last asked."""
        return [str(one) for one in self._browser.script("return told(arguments[0])", self._key)]

    def close(self) -> None:
        """Nothing: the page ends with its browser."""


@contextmanager
def browser_players(stage: Stage) -> Iterator[list[ViewerPage | BarePlayer]]:
    """The three, in two browsers: a page that is not in front may be slowed down."""
    with ExitStack() as stack:
        site = FolderServer({"shaka": get_shaka_player()})
        page = _PAGE.replace("HLS_JS", f"{stage.system.media_url}/player/hls.min.js")
        site.answers["/shaka/page.html"] = lambda: page
        stack.enter_context(serve(site))
        own, bare = (stack.enter_context(chromium(width=800, height=500)) for _ in range(2))
        bare.open(f"{site.address}/shaka/page.html")
        yield [
            ViewerPage(own, stage.viewer_page),
            BarePlayer(bare, "hls", "hls.js", stage.address),
            BarePlayer(bare, "shaka", "Shaka", stage.address),
        ]


def versions() -> list[str]:
    """The libraries' versions."""
    hls_js = json.loads((ROOT / "functions/player/hls.json").read_text())["version"]
    return [f"hls.js {hls_js}", f"Shaka Player {SHAKA_VERSION}"]
