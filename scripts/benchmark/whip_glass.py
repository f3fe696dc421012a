"""Glass to glass of WebRTC in: from a browser's picture to a viewer's screen, both in headless Chromium.

A plain page draws a moving picture whose strip says when it was drawn, and publishes it with the broadcaster
page's own WHIP client. Publisher and viewer are browsers of their own, or the one that is in the background
would be throttled; they are on one machine, and so have one clock.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from benchmark.figures import Figure, Outcome, Skipped
from benchmark.glass import LIVE_WINDOW, PLAYERS, viewing_figures, watch_often
from benchmark.setting import ON_AIR_SECONDS, STREAM, Ready, Setting, ready
from benchmark.watching import what_is_missing
from local_system.system import NotStarted
from tools.browser import Browser, chromium
from tools.frame_strip import COLUMNS, DARK, LIGHT, NUMBER_BITS, ROWS, STRIP_HEIGHT

WIDTH: Final = 1280
HEIGHT: Final = 720
FRAME_RATE: Final = 30
VIDEO_BITRATE: Final = 2_500_000
SCRIPT_SECONDS: Final = 20
# What it takes to reach a server on this machine.
_FLAGS: Final = ("--allow-loopback-in-peer-connection",)

_PUBLISH: Final = """
const [module, endpoint, key, began, source, strip, done] = arguments;
const { width, height, frameRate, bitrate } = source;
const canvas = document.createElement("canvas");
Object.assign(canvas, { width, height });
const context = canvas.getContext("2d", { alpha: false });

// Something to look at, twice as wide as the picture that travels over it; its end meets its beginning.
const backdrop = document.createElement("canvas");
Object.assign(backdrop, { width: 2 * width, height });
const paint = backdrop.getContext("2d");
for (let i = 0; i < 400; i += 1) {
  const [x, y, size] = [Math.random() * width, Math.random() * height, 10 + Math.random() * height / 6];
  paint.fillStyle = `hsl(${Math.random() * 360} 40% 50% / 0.5)`;
  for (const left of [x - width, x, x + width, x + 2 * width]) {
    paint.beginPath();
    paint.arc(left, y, size, 0, 2 * Math.PI);
    paint.fill();
  }
}

function checksum(number) {
  let crc = strip.start;
  for (let shift = strip.bits - 8; shift >= 0; shift -= 8) {
    crc ^= (number >> shift) & 0xff;
    for (let bit = 0; bit < 8; bit += 1) crc = ((crc << 1) ^ (crc & 0x80 ? strip.polynomial : 0)) & 0xff;
  }
  return crc;
}

function draw() {
  const number = (Date.now() - began) % 2 ** strip.bits;
  context.drawImage(backdrop, -Math.floor(number * width / 16_000) % width, 0);
  const bits = number.toString(2).padStart(strip.bits, "0") + checksum(number).toString(2).padStart(8, "0");
  const [across, down] = [width / strip.columns, height * strip.height / strip.rows];
  for (let i = 0; i < bits.length; i += 1) {
    const grey = bits[i] === "1" ? strip.light : strip.dark;
    context.fillStyle = `rgb(${grey} ${grey} ${grey})`;
    const [column, row] = [i % strip.columns, Math.floor(i / strip.columns)];
    context.fillRect(column * across, row * down, across, down);
  }
}

async function publish() {
  const { WhipConnection } = await import(module);
  draw();
  setInterval(draw, 1000 / frameRate);
  const sound = new AudioContext();
  const out = sound.createMediaStreamDestination();
  const tone = sound.createOscillator();
  tone.connect(out);
  tone.start();
  const [video] = canvas.captureStream(frameRate).getVideoTracks();
  const tracks = { video, audio: out.stream.getAudioTracks()[0] };
  const sending = { bitrate, frameRate, scale: 1 };
  return await new Promise((settle) => {
    const tell = ({ type, detail }) => {
      if (type !== "accepted") settle(type === "connected" ? null : `${type} ${detail ?? ""}`);
    };
    window.bench = new WhipConnection({ endpoint, key, tracks, sending, screen: false, tell });
  });
}
publish().then(done, (error) => done(`${error}`));
"""
_SENT: Final = """
const done = arguments[0];
window.bench.statistics().then((all) => {
  const sent = all.find(({ type, kind }) => type === "outbound-rtp" && kind === "video");
  done({ height: sent.frameHeight, frames: sent.framesEncoded, at: performance.now() / 1000 });
});
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFrames:
    """Pictures whose strip says when they were drawn: milliseconds after *began*, seconds since the epoch."""

    began: float

    def sent_at(self, shown: int, at: float) -> float | None:
        """When the picture whose strip says *shown*, seen at *at*, was drawn; None if that is still to come."""
        lap = 2**NUMBER_BITS / 1000
        drawn = self.began + shown / 1000
        if drawn > at:
            return None
        return drawn + (at - drawn) // lap * lap


def measure(setting: Setting) -> list[Outcome]:
    """Watch with each of PLAYERS what a browser publishes; raises NotStarted."""
    name = "glass to glass, WHIP"
    if (missing := what_is_missing()) is not None:
        return [Skipped(name=name, reason=missing)]
    with ready(setting, "whip-glass") as prepared:
        began = int(time.time())
        with publishing_browser(prepared, began) as browser:
            time.sleep(LIVE_WINDOW.total_seconds())
            before = _sent(browser)
            viewings = [watch_often(prepared.system, player, setting) for player in PLAYERS]
            after = _sent(browser)
    drawn = DrawnFrames(began=began)
    return [
        *(
            outcome
            for player, found in zip(PLAYERS, viewings, strict=True)
            for outcome in viewing_figures(player, found, drawn, name=name)
        ),
        Figure(
            name="publishing browser: pictures a second",
            value=(after["frames"] - before["frames"]) / (after["at"] - before["at"]),
            unit="1/s",
            method=f"framesEncoded of its statistics, last at {after['height']} lines",
        ),
    ]


@contextmanager
def publishing_browser(prepared: Ready, began: int) -> Iterator[Browser]:
    """A browser that publishes until the context ends; raises NotStarted if it cannot."""
    system = prepared.system
    source = {"width": WIDTH, "height": HEIGHT, "frame_rate": FRAME_RATE, "bitrate": VIDEO_BITRATE}
    module = f"{system.studio_url}/whip.js"
    with chromium(flags=_FLAGS) as browser:
        browser.open(module)  # shown as text: a page of the client's own origin, and nothing else in it
        browser.driver.set_script_timeout(SCRIPT_SECONDS)
        failed = browser.driver.execute_async_script(
            _PUBLISH,
            module,
            f"{system.whip_url}?{urlencode(source)}",
            prepared.stream.stream_key,
            1000 * began,
            {"width": WIDTH, "height": HEIGHT, "frameRate": FRAME_RATE, "bitrate": VIDEO_BITRATE},
            {
                "rows": ROWS,
                "columns": COLUMNS,
                "height": float(STRIP_HEIGHT),
                "bits": NUMBER_BITS,
                "dark": DARK,
                "light": LIGHT,
                # CRC-8 as frame_strip's.
                "polynomial": 0x07,
                "start": 0xFF,
            },
        )
        if failed is not None:
            raise NotStarted(f"the browser cannot publish: {failed}")
        system.wait_for(f"{system.media_url}/{STREAM}/master.m3u8", "the broadcast", seconds=ON_AIR_SECONDS)
        yield browser


def _sent(browser: Browser) -> dict[str, Any]:
    browser.driver.set_script_timeout(SCRIPT_SECONDS)
    found: dict[str, Any] = browser.driver.execute_async_script(_SENT)
    return found
