"""A broadcast as its viewers see it: hls.js plays it, a player polls it, and the auditor judges them."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from local_system.system import MEDIA_BUCKET, System
from tools.auditor import ObjectGeneration, audit
from tools.auditor.collect import collect, probe_segments
from tools.auditor.poll import audit_answers, poll
from tools.broadcasts import SOON, wait_for_endlist
from tools.browser import GRACE, Browser

_VIDEO = "document.getElementById('video')"


@dataclass(slots=True)
class Viewing:
    """A broadcast in a window of *browser*; once its context has ended, what became of it.

    *played* is how far the page came, *journal* every object that was written; *faults* are all stalls and
    errors of the page, and all violations in the journal and in the answers that a player got.
    """

    browser: Browser
    played: timedelta = timedelta()
    journal: list[ObjectGeneration] = field(default_factory=list)
    faults: list[object] = field(default_factory=list)

    def play_until(self, position: timedelta) -> None:
        """Return when the page has played as far as *position*, or all of a broadcast that is shorter."""
        played = f"{_VIDEO}.ended || {_VIDEO}.currentTime >= {position.total_seconds()}"
        self.browser.wait_until(played, within=position + GRACE)


@contextmanager
def viewing(system: System, stream: str, browser: Browser) -> Iterator[Viewing]:
    """Watch *stream*, whose broadcast is about to begin, in a new window, from its first picture on.

    The context's body ends the broadcast; the context waits for ENDLIST.
    """
    master = f"{system.media_url}/{stream}/master.m3u8"
    system.wait_for(master, "the broadcast")
    over = threading.Event()
    seen = Viewing(browser)
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll, master, over)
        try:
            browser.driver.switch_to.new_window("window")
            window = browser.driver.current_window_handle
            browser.open(system.viewer_page(stream))
            browser.wait_until(f"{_VIDEO}.currentTime > 0", within=SOON)
            yield seen
            wait_for_endlist(system, stream)
            browser.driver.switch_to.window(window)
        finally:
            over.set()
        answers = polling.result()
    seen.played = timedelta(seconds=browser.script(f"return {_VIDEO}.currentTime"))
    events = browser.script("return bucketcast.events")
    seen.faults += [f"{name}: {events[name]}" for name in ("stalls", "fatalErrors", "reloads") if events[name]]
    seen.faults += browser.console()
    seen.journal = collect(system.url, MEDIA_BUCKET, stream=stream)
    seen.faults += audit(seen.journal, probe_segments(system.url, seen.journal))
    seen.faults += audit_answers(answers)
    segments = sum(written.name.endswith(".ts") for written in seen.journal)
    print(f"{stream}: {seen.played} played, {segments} segments, {len(answers)} answers, {events}")
