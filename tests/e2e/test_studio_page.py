"""The broadcaster page in a real browser with a made-up camera, on a WHIP server that hands on to nobody."""

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from bucketcast.stream.encoder_report import InputFault
from ingest.protocols.publishing import CloseReason, PublishRefused, PublishRequest, RefusalReason
from ingest.protocols.whip.endpoint import EndpointSettings
from ingest.protocols.whip.server import WhipServer
from ingest.web import whip_application
from local_cloud.connections import WebServer, cut_connection, listen
from tools.browser import Browser, chromium
from tools.recording_sessions import RecordingSession

KEY: Final = "demo_" + 48 * "0"
VIEWER: Final = "http://127.0.0.1:9/player/index.html?stream={stream}"
CAMERA: Final = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
)
# Sizes that a busy machine encodes in passing.
SMALL: Final = {"size": 480, "frameRate": 15, "bitrate": 700}
SOON: Final = timedelta(seconds=15)
CUT: Final = 0  # in the place of a status: the connection is cut

CHOICES: Final = "bucketcast.studio.choices"
CAMERA_IS_ON: Final = "document.getElementById('curtain').hidden"
PHASES: Final = ("off", "capturing", "connecting", "live", "waiting")


@dataclass(slots=True)
class Planned:
    """An answer made up for one offer."""

    status: int
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class FaultySession(RecordingSession):
    """Finds the same *faults* all the time."""

    def __init__(self, faults: tuple[InputFault, ...]) -> None:
        super().__init__()
        self._faults = faults

    def faults(self) -> tuple[InputFault, ...]:
        return self._faults


class Handler:
    """Lets publishers with `KEY` in, in whose input there are *faults*."""

    def __init__(self) -> None:
        self.sessions: list[FaultySession] = []
        self.faults: tuple[InputFault, ...] = ()

    async def authorize(self, request: PublishRequest) -> FaultySession:
        if request.stream_key.secret != KEY:
            raise PublishRefused(RefusalReason.KEY, "The stream key is wrong.")
        self.sessions.append(FaultySession(self.faults))
        return self.sessions[-1]


class Stage:
    """The server behind the page, in a thread of its own; *planned* answers come before its own.

    At *front* is another one, whose page is the same and whose sessions are at the first.
    """

    def __init__(self) -> None:
        self.planned: list[Planned] = []
        self.requests: list[tuple[str, str]] = []
        self.handler = Handler()
        self.address = self.front = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._arrived = threading.Condition()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def end_sessions(self) -> None:
        """End what is on air from the server's side."""

        def close() -> None:
            for session in self._whip.sessions:
                session.close(CloseReason.SHUTTING_DOWN, "The server goes away.")

        self._loop.call_soon_threadsafe(close)

    def wait_closed(self, session: RecordingSession) -> CloseReason:
        """Why *session* was closed, when it is."""
        closed = asyncio.run_coroutine_threadsafe(session.closed.wait(), self._loop)
        closed.result(timeout=SOON.total_seconds())
        return session.reasons[0]

    def wait_for_request(self, method: str) -> None:
        """Return when a request with *method* has come."""
        with self._arrived:
            came = self._arrived.wait_for(lambda: method in [each for each, _ in self.requests], SOON.seconds)
        assert came, f"no {method} came"

    def offers(self) -> list[str]:
        """The addresses that were posted to."""
        return [address for method, address in self.requests if method == "POST"]

    async def _serve(self) -> None:
        self._whip = WhipServer(self.handler)
        await self._whip.start(["127.0.0.1"], 0)
        listener, front_listener = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
        self.address = "http://{}:{}".format(*listener.getsockname())
        self.front = "http://{}:{}".format(*front_listener.getsockname())
        application = whip_application(self._whip, EndpointSettings(), viewer_url=VIEWER)
        elsewhere = EndpointSettings(session_origin=self.address, studio_origins=(self.address,))

        async def planned(scope: Scope, receive: Receive, send: Send) -> None:
            address = scope["path"] + "?" + scope["query_string"].decode()
            if not address.endswith("/status?") and not address.startswith("/studio"):
                with self._arrived:
                    self.requests.append((scope["method"], address))
                    self._arrived.notify_all()
            if scope["method"] != "POST" or not self.planned:
                await application(scope, receive, send)
                return
            answer = self.planned.pop(0)
            if answer.status == CUT:
                await cut_connection(scope, receive)
                return
            body = JSONResponse(
                {"detail": answer.detail},
                answer.status,
                {"content-type": "application/problem+json", **answer.headers},
            )
            await body(scope, receive, send)

        webs = [
            WebServer(planned, listener),
            WebServer(whip_application(self._whip, elsewhere, viewer_url=VIEWER), front_listener),
        ]
        for web in webs:
            web.start()
        self._ready.set()
        await self._stop.wait()
        await self._whip.close()
        for web in webs:
            await web.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(flags=CAMERA) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(browser: Browser) -> Iterator[Stage]:
    stage = Stage()
    stage.start()
    yield stage
    stage.stop()


@pytest.fixture
def stage(server: Stage, browser: Browser) -> Iterator[Stage]:
    """The server, and a browser that remembers nothing but small sizes."""
    server.planned.clear()
    server.requests.clear()
    server.handler.sessions.clear()
    server.handler.faults = ()
    browser.appear(width=1280, height=800)
    for address in (server.front, server.address):
        browser.open(f"{address}/studio/icon.svg")
        browser.script("localStorage.clear(); localStorage.setItem(...arguments)", CHOICES, json.dumps(SMALL))
    yield server
    browser.driver.get("about:blank")


def text_is(element: str, text: str) -> str:
    return f"document.getElementById('{element}').textContent === {json.dumps(text)}"


def text_of(browser: Browser, element: str) -> str:
    return str(browser.script(f"return document.getElementById('{element}').textContent"))


def open_page(stage: Stage, browser: Browser, key: str = KEY) -> None:
    """Open the page with *key* and wait for its picture."""
    browser.open(f"{stage.address}/studio#key={key}")
    browser.wait_until(CAMERA_IS_ON, within=SOON)


def focused(browser: Browser) -> str:
    return str(browser.script("return document.activeElement.id"))


def press(browser: Browser, element: str) -> None:
    browser.driver.find_element(By.ID, element).click()


def go_live(browser: Browser) -> None:
    press(browser, "go")
    browser.wait_until(text_is("state", "live"), within=SOON)


def modules(browser: Browser, body: str, *arguments: object) -> Any:
    """Run *body*, which may import the page's modules from `at`, with *arguments* as `given`."""
    browser.driver.set_script_timeout(10)
    script = f"""
    const given = [...arguments];
    const done = given.pop();
    const at = location.origin + "/studio/";
    const run = async () => {{ {body} }};
    run().then((value) => done({{ value }}), (error) => done({{ error: `${{error}}` }}));
    """
    done = browser.driver.execute_async_script(script, *arguments)
    assert "error" not in done, done["error"]
    return done["value"]


# The machine of states, as values.

EVENTS: Final = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ("end", "over", "asking", "capture-failed", "released", "source-ended", "unsupported", "online")
            + 3 * ("go", "captured", "accepted", "refused", "unreachable", "connected", "lost", "retry")
        ),
        "kind": st.just("no-camera"),
        "reason": st.sampled_from(("ended", "replaced", "refused")),
        "obstacle": st.sampled_from((None, None, None, "key-missing")),
        "status": st.sampled_from((401, 404, 409, 422, 429, 500, 503) + 2 * (409, 500)),
        "retryAfter": st.integers(0, 10**9),
        "online": st.booleans(),
        "random": st.floats(0, 1),
        "pause": st.integers(0, 20_000),
        "stale": st.integers(0, 4).map(lambda number: number == 4),
    }
)

PLAIN: Final[dict[str, Any]] = {"random": 0.5, "pause": 0, "stale": False, "obstacle": None}
# The button was pressed with the camera on.
BEGUN: Final[list[dict[str, Any]]] = [{**PLAIN, "type": "captured"}, {**PLAIN, "type": "go"}]

WALK: Final = """
const { INITIAL, advance } = await import(at + "lifecycle.js");
const { situation } = await import(at + "words.js");
let state = INITIAL;
let now = 1_000_000;
return given[0].map((event) => {
  now += event.pause;
  const attempt = state.attempt - (event.stale ? 1 : 0);
  const [next, effects] = advance(state, { ...event, now, attempt });
  const same = JSON.stringify(next) === JSON.stringify(state) && effects.length === 0;
  state = next;
  return { state, effects, same, words: situation(state, now) };
});
"""


@pytest.fixture(scope="module")
def blank(server: Stage, browser: Browser) -> Browser:
    """A page from which the modules can be had, and nothing runs."""
    browser.open(f"{server.address}/studio/icon.svg")
    return browser


@dataclass(slots=True)
class Open:
    """What the page has open: the attempt to connect, and whether a timer runs."""

    attempt: int | None = None
    waiting: bool = False

    def follow(self, event: Mapping[str, Any], effects: list[dict[str, Any]]) -> None:
        """Carry *effects* of *event* out, of which none may ask for what cannot be."""
        if event["type"] == "retry":
            self.waiting = False  # the timer has fired
        for effect in effects:
            match effect["type"]:
                case "connect":
                    assert (self.attempt, self.waiting) == (None, False)
                    self.attempt = effect["attempt"]
                case "disconnect":
                    assert effect["attempt"] == self.attempt
                    self.attempt = None
                case "wait":
                    assert (self.attempt, self.waiting) == (None, False)
                    assert 750 <= effect["delay"] <= 60_000
                    self.waiting = True
                case "stop-waiting":
                    self.waiting = False
                case other:
                    assert other == "capture"


@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENTS, min_size=10, max_size=40).map(lambda events: [*BEGUN, *events]))
def test_whatever_happens_one_attempt_at_most_is_open_and_none_when_off(
    blank: Browser, events: list[dict[str, Any]]
) -> None:
    open_now = Open()
    for event, step in zip(events, modules(blank, WALK, events), strict=True):
        open_now.follow(event, step["effects"])
        phase = step["state"]["phase"]
        assert phase in PHASES
        if "connect" in [effect["type"] for effect in step["effects"]]:
            assert step["state"]["source"] == "ready", "there is nothing to send"
        assert (open_now.attempt is not None) == (phase in ("connecting", "live"))
        assert open_now.waiting == (phase == "waiting")
        assert step["words"]["title"]
        if event["type"] == "end":
            assert phase == "off"
        if event["stale"] and event["type"] in ("accepted", "refused", "connected", "lost", "over"):
            assert step["same"], "what is heard of an earlier attempt changes something"


def story(blank: Browser, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of *events* after the page has begun to connect."""
    filled = [*BEGUN, *({**PLAIN, **event} for event in events)]
    return list(modules(blank, WALK, filled))[len(BEGUN) :]


REFUSED_409: Final[dict[str, Any]] = {"type": "refused", "status": 409}
UNREACHABLE: Final[dict[str, Any]] = {"type": "unreachable", "online": True}


def test_retries_come_later_and_later_and_never_later_than_eight_seconds(blank: Browser) -> None:
    failing: list[dict[str, Any]] = [{"type": "connected"}, {"type": "lost"}]
    for _ in range(5):
        failing += [{"type": "retry"}, UNREACHABLE]
    delays = [
        effect["delay"]
        for step in story(blank, *failing)
        for effect in step["effects"]
        if effect["type"] == "wait"
    ]
    assert delays == [1000, 2000, 4000, 8000, 8000, 8000]


def test_a_broadcast_that_flaps_does_not_begin_again_at_the_shortest_pause(blank: Browser) -> None:
    flap: list[dict[str, Any]] = [{"type": "connected"}, {"type": "lost", "pause": 500}, {"type": "retry"}]
    steps = story(blank, *flap, *flap, {"type": "connected"}, {"type": "lost", "pause": 11_000})
    waits = [effect["delay"] for step in steps for effect in step["effects"] if effect["type"] == "wait"]
    assert waits == [1000, 2000, 1000]


def test_while_the_server_keeps_our_own_past_the_page_waits_and_then_says_so(blank: Browser) -> None:
    again: list[dict[str, Any]] = [REFUSED_409, {"type": "retry", "pause": 2000}]
    steps = story(blank, *(6 * again), REFUSED_409)
    assert {step["state"]["phase"] for step in steps[:-1]} == {"waiting", "connecting"}
    assert steps[0]["words"]["title"] == "Waiting for the stream to be free"
    assert steps[-1]["state"]["phase"] == "off"
    assert steps[-1]["words"]["title"] == "The stream is on air from elsewhere"


def test_who_never_was_live_stops_trying_after_a_minute(blank: Browser) -> None:
    steps = story(blank, UNREACHABLE, {"type": "retry", "pause": 60_000}, UNREACHABLE)
    assert steps[0]["state"]["phase"] == "waiting"
    assert (steps[-1]["state"]["phase"], steps[-1]["words"]["tone"]) == ("off", "error")


def test_who_was_live_is_told_when_the_window_is_over_and_goes_on_for_half_an_hour(blank: Browser) -> None:
    live: list[dict[str, Any]] = [{"type": "connected"}, {"type": "lost", "pause": 20_000}]
    within, _, beyond, _, given_up = story(
        blank,
        *live,
        {"type": "retry", "pause": 1000},
        {**UNREACHABLE, "pause": 60_000},
        {"type": "retry", "pause": 1000},
        {**UNREACHABLE, "pause": 1_800_000},
    )[1:]
    assert "viewers stay" in within["words"]["text"]
    assert "the broadcast has ended" in beyond["words"]["text"]
    assert beyond["words"]["name"] == "reconnecting"
    assert given_up["state"]["phase"] == "off"


def test_the_window_begins_anew_with_each_time_the_connection_is_lost(blank: Browser) -> None:
    live: list[dict[str, Any]] = [{"type": "connected"}, {"type": "lost", "pause": 3_600_000}]
    again = story(blank, *live, {"type": "retry"}, *live)[-1]
    assert again["state"]["phase"] == "waiting"
    assert "viewers stay" in again["words"]["text"]


@pytest.mark.parametrize(
    ("reason", "kind"), [("ended", "ended-by-owner"), ("replaced", "taken-over"), ("refused", "refused")]
)
def test_what_the_server_ended_on_purpose_is_not_undone(blank: Browser, reason: str, kind: str) -> None:
    over = story(blank, {"type": "connected"}, {"type": "over", "reason": reason, "detail": "Because."})[-1]
    assert (over["state"]["phase"], over["state"]["problem"]["kind"]) == ("off", kind)
    assert over["words"]["title"] not in ("", "Not connected")


def test_a_picture_that_is_being_chosen_is_waited_for_before_coming_back(blank: Browser) -> None:
    """A bug: the page hung off air when it came back while nobody had chosen a picture yet."""
    steps = story(
        blank,
        {"type": "connected"},
        {"type": "asking"},
        {"type": "lost"},
        {"type": "retry"},
        {"type": "captured"},
    )
    assert [step["state"]["phase"] for step in steps[-2:]] == ["capturing", "connecting"]


def test_no_media_after_an_answer_is_called_blocked_udp_and_a_lost_connection_is_not(blank: Browser) -> None:
    blocked = story(blank, {"type": "accepted"}, {"type": "lost"})[-1]
    assert blocked["state"]["problem"]["kind"] == "udp-blocked"
    assert "VPN" in blocked["words"]["text"]
    lost = story(blank, {"type": "connected"}, {"type": "lost"})[-1]
    assert lost["state"]["problem"]["kind"] == "lost"


def test_what_is_tried_again_and_again_is_said_once_until_the_server_answers(blank: Browser) -> None:
    """A screen reader speaks on every change of the words."""
    again: list[dict[str, Any]] = [{"type": "retry"}, UNREACHABLE]
    for begun in ([UNREACHABLE], [{"type": "connected"}, {"type": "lost"}, {"type": "retry"}, UNREACHABLE]):
        *steps, answered = story(blank, *begun, *(3 * again), {"type": "retry"}, {"type": "accepted"})
        assert len({json.dumps(step["words"]) for step in steps[len(begun) - 1 :]}) == 1
        assert "The server has answered" in answered["words"]["text"]


def test_a_network_that_comes_back_is_tried_at_once_but_a_server_that_asks_to_wait_is_not(
    blank: Browser,
) -> None:
    back = story(blank, {**UNREACHABLE, "online": False}, {"type": "online"})[-1]
    assert [effect["type"] for effect in back["effects"]] == ["stop-waiting", "connect"]
    busy = story(blank, {"type": "refused", "status": 429, "retryAfter": 30_000}, {"type": "online"})
    assert busy[0]["effects"][-1] == {"type": "wait", "delay": 30_000}
    assert busy[1]["same"]


# Links, choices and measurements, as values.


def test_ice_servers_are_read_from_links(blank: Browser) -> None:
    link = (
        '<https://example.com>; rel="next", <stun:stun.example.com>; rel="ice-server", '
        '<turn:turn.example.com?transport=udp>; rel="ice-server"; username="a, \\"b\\""; '
        'credential="c;d"; credential-type="password", <javascript:1>; rel="ice-server"'
    )
    read = modules(blank, 'return [given[0], null].map((await import(at + "whip.js")).iceServers)', link)
    assert read == [
        [
            {"urls": "stun:stun.example.com"},
            {"urls": "turn:turn.example.com?transport=udp", "username": 'a, "b"', "credential": "c;d"},
        ],
        [],
    ]


def test_h264_with_packetization_mode_1_is_offered_first_and_vp8_next(blank: Browser) -> None:
    codecs = [
        {"mimeType": mime, "sdpFmtpLine": line}
        for mime, line in (
            ("video/VP8", ""),
            ("video/rtx", ""),
            ("video/AV1", ""),
            ("video/H264", "packetization-mode=0;profile-level-id=42e01f"),
            ("video/H264", "packetization-mode=1;profile-level-id=42e01f"),
        )
    ]
    preferred = modules(blank, 'return (await import(at + "whip.js")).preferredCodecs(given[0])', codecs)
    assert [codecs.index(codec) for codec in preferred] == [4, 3, 0, 1]


@settings(max_examples=40, deadline=None)
@given(
    kept=st.one_of(
        st.text(max_size=20),
        st.dictionaries(
            st.sampled_from(
                ("picture", "sound", "screenSound", "size", "frameRate", "bitrate", "rememberKey", "x")
            ),
            st.one_of(st.none(), st.booleans(), st.integers(-10, 10_000), st.text(max_size=5), st.just([1])),
        ).map(json.dumps),
    )
)
def test_whatever_was_remembered_the_choices_can_be_used(blank: Browser, kept: str) -> None:
    choices = modules(blank, 'return (await import(at + "choices.js")).parseChoices(given[0])', kept)
    assert choices["size"] in (480, 720, 1080)
    assert choices["frameRate"] in (15, 30, 60)
    assert 500 <= choices["bitrate"] <= 8000
    assert isinstance(choices["picture"], str)
    assert isinstance(choices["rememberKey"], bool)


@pytest.mark.parametrize(
    ("size", "picture", "declared"),
    [
        (720, (1280, 720), (1, 1280, 720)),
        (720, (720, 1280), (1, 720, 1280)),
        (720, (3840, 2160), (3, 1280, 720)),
        (720, (1366, 768), (768 / 720, 1280, 720)),
        (1080, (641, 481), (1, 640, 480)),
    ],
)
def test_what_is_declared_is_what_will_be_sent(
    blank: Browser, size: int, picture: tuple[int, int], declared: tuple[float, int, int]
) -> None:
    width, height = picture
    made = modules(
        blank,
        'return (await import(at + "choices.js")).sending(...given)',
        {"size": size, "frameRate": 30, "bitrate": 2500},
        {"width": width, "height": height},
    )
    assert (made["scale"], made["width"], made["height"]) == (pytest.approx(declared[0]), *declared[1:])


@pytest.mark.parametrize(
    ("measured", "screen", "weak"),
    [
        ({"bitrate": 2_400_000, "limitation": "none"}, False, []),
        ({"bitrate": 1_200_000, "limitation": "none"}, False, ["network"]),
        ({"bitrate": 1_200_000, "limitation": "none", "available": 3_000_000}, False, []),
        ({"bitrate": 100_000, "limitation": "none"}, True, []),
        ({"bitrate": 2_000_000, "limitation": "bandwidth", "available": 3_000_000}, True, ["network"]),
        ({"bitrate": 2_400_000, "limitation": "cpu"}, False, ["cpu"]),
    ],
)
def test_weak_is_what_stays_weak_after_the_first_seconds(
    blank: Browser, measured: dict[str, Any], *, screen: bool, weak: list[str]
) -> None:
    body = """
    const { NO_TREND, follow, weaknesses } = await import(at + "measurements.js");
    const [measured, facts] = given;
    let trend = NO_TREND;
    return [2000, 4000, 12000, 14000, 16000].map((liveFor) => {
      trend = follow(trend, measured, { ...facts, liveFor });
      return weaknesses(trend);
    });
    """
    told = modules(blank, body, {"available": None, **measured}, {"asked": 2_500_000, "screen": screen})
    assert told == [[], [], [], [], weak]


# The page.


def test_goes_live_shows_what_is_sent_and_ends(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    assert browser.driver.current_url == f"{stage.address}/studio", "the key stays in the address"
    assert browser.driver.find_element(By.ID, "viewer").get_attribute("href") == VIEWER.format(stream="demo")
    stage.handler.faults = (InputFault.NO_AUDIO,)
    go_live(browser)
    assert stage.offers() == ["/whip?width=854&height=480&frame_rate=15&bitrate=700000"]
    browser.wait_until("bucketcast.measured?.bitrate > 0", within=SOON)
    browser.wait_until("document.querySelector('#notices li')", within=SOON)
    assert "Viewers hear silence" in text_of(browser, "notices")
    assert text_of(browser, "real-bitrate").endswith("kb/s")
    assert re.fullmatch(r"\d+ . \d+", text_of(browser, "real-size"))
    assert text_of(browser, "on-air").startswith("00:")

    [session] = stage.handler.sessions
    press(browser, "go")
    assert text_of(browser, "state") == "ended"
    browser.wait_until("bucketcast.state.phase === 'off'", within=SOON)
    assert stage.wait_closed(session) is CloseReason.UNPUBLISHED
    assert session.frames
    assert KEY not in browser.script("return JSON.stringify(localStorage)")
    assert browser.console() == ()


def test_a_session_at_another_origin_is_asked_and_ended_there(stage: Stage, browser: Browser) -> None:
    """Behind a load balancer, a session's requests go to the server that holds it."""
    stage.handler.faults = (InputFault.NO_AUDIO,)
    browser.open(f"{stage.front}/studio#key={KEY}")
    browser.wait_until(CAMERA_IS_ON, within=SOON)
    go_live(browser)
    browser.wait_until("document.querySelector('#notices li')", within=SOON)
    [session] = stage.handler.sessions
    press(browser, "go")
    assert stage.wait_closed(session) is CloseReason.UNPUBLISHED
    at_session = [method for method, address in stage.requests if address.startswith("/whip/")]
    assert at_session == ["OPTIONS", "DELETE"]
    assert browser.console() == ()


def test_reconnects_by_itself_when_the_server_lets_go(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    go_live(browser)
    stage.planned = [Planned(409)]
    stage.end_sessions()
    browser.wait_until(text_is("state", "reconnecting"), within=SOON)
    browser.wait_until("bucketcast.state.phase === 'live'", within=SOON)
    assert len(stage.offers()) == 3
    assert len(stage.handler.sessions) == 2


def test_a_page_that_is_left_ends_its_session(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    go_live(browser)
    [session] = stage.handler.sessions
    browser.driver.get("about:blank")
    # Whichever comes first: the DELETE that outlives the page, or its connection's end.
    assert stage.wait_closed(session) in (CloseReason.UNPUBLISHED, CloseReason.DISCONNECTED)
    stage.wait_for_request("DELETE")


def test_a_phone_that_is_turned_while_live_is_told_that_there_is_nothing_to_do(
    stage: Stage, browser: Browser
) -> None:
    open_page(stage, browser)
    press(browser, "release")
    turn = """
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
    const paint = () => canvas.getContext("2d").fillRect(0, 0, 9, 9);
    setInterval(paint, 50);
    paint();
    navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(15);
    window.turn = () => Object.assign(canvas, { width: 180, height: 320 });
    """
    browser.script(turn)
    go_live(browser)
    browser.wait_until("document.getElementById('self').videoWidth === 320", within=SOON)
    browser.script("turn()")
    browser.wait_until("document.querySelector('#notices li')", within=SOON)
    assert "shape has changed" in text_of(browser, "notices")
    assert text_of(browser, "state") == "live"
    assert len(stage.offers()) == 1


def test_what_trying_again_does_not_mend_is_said_once(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    for answer, title in (
        (Planned(401), "The stream key is wrong"),
        (Planned(404), "There is no WHIP server here"),
        (Planned(422, "Choose H.264."), "The server refused the broadcast"),
    ):
        stage.requests.clear()
        stage.planned = [answer]
        press(browser, "go")
        browser.wait_until(text_is("title", title), within=SOON)
        assert (f"The server says: “{answer.detail}”" in text_of(browser, "text")) is bool(answer.detail)
        assert text_of(browser, "go-label") == "Go live"
        assert len(stage.offers()) == 1


def test_what_may_pass_is_tried_again_until_the_button_ends_it(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    for answer, title in (
        (Planned(CUT), "The server cannot be reached"),
        (Planned(500), "The server has a fault"),
        (Planned(429, headers={"retry-after": "60"}), "The server asks to wait"),
        (Planned(409), "Waiting for the stream to be free"),
    ):
        stage.planned = 20 * [answer]  # browsers try again by themselves where a connection is cut
        press(browser, "go")
        browser.wait_until(text_is("title", title), within=SOON)
        assert text_of(browser, "go-label") == "End"
        press(browser, "go")
        assert browser.script("return bucketcast.state.phase") == "off"


def test_says_why_there_is_no_picture_and_takes_one_that_comes(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    refuse = """
    const [message, name] = arguments;
    window.real ??= navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException(message, name); };
    """
    press(browser, "release")
    for error, message, title in (
        ("NotAllowedError", "Permission denied", "Camera or microphone not allowed"),
        ("NotAllowedError", "Permission denied by system", "The system does not let the browser use it"),
        ("NotFoundError", "", "No microphone found"),  # the browser of this test has a camera
        ("NotReadableError", "", "Camera or microphone is in use"),
    ):
        browser.script(refuse, message, error)
        press(browser, "go")
        browser.wait_until(text_is("title", title), within=SOON)
    assert stage.offers() == []
    browser.script("navigator.mediaDevices.getUserMedia = window.real")
    press(browser, "preview")
    browser.wait_until(CAMERA_IS_ON, within=SOON)
    assert text_of(browser, "title") == "Not connected"


def test_is_worked_by_keys_alone(stage: Stage, browser: Browser) -> None:
    stage.planned = 5 * [Planned(500)]
    browser.open(f"{stage.address}/studio")
    browser.wait_until(CAMERA_IS_ON, within=SOON)
    browser.driver.find_element(By.ID, "go").send_keys(Keys.ENTER)
    browser.wait_until(text_is("title", "The stream key is missing"), within=SOON)
    assert focused(browser) == "key"
    browser.driver.switch_to.active_element.send_keys(KEY + Keys.ENTER)
    browser.wait_until(text_is("title", "The server has a fault"), within=SOON)
    assert focused(browser) == "go", "the field that had the focus cannot be filled in any more"
    browser.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert text_of(browser, "go-label") == "Go live"
    browser.driver.find_element(By.ID, "release").send_keys(Keys.SPACE)
    assert focused(browser) == "preview"
    browser.driver.switch_to.active_element.send_keys(Keys.SPACE)
    browser.wait_until(CAMERA_IS_ON, within=SOON)
    assert focused(browser) == "go"


def tab_order(browser: Browser) -> list[str]:
    """The ids of what Tab comes by, once round."""
    browser.script("document.activeElement?.blur()")
    found: list[str] = []
    for _ in range(30):
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        reached = focused(browser)
        if not reached or reached in found:
            break
        assert browser.script("return getComputedStyle(document.activeElement).outlineStyle") != "none"
        found.append(reached)
    return found


def test_every_control_has_a_name_and_a_place_in_the_order_and_what_changes_is_announced(
    stage: Stage, browser: Browser
) -> None:
    open_page(stage, browser)
    controls = browser.driver.find_elements(By.CSS_SELECTOR, "button, input, select, a, video")
    unnamed = [
        each.get_attribute("id") for each in controls if each.is_displayed() and not each.accessible_name
    ]
    assert unnamed == []
    assert tab_order(browser) == [
        "release", "go", "mute", "viewer", "copy", "key", "show", "remember",
        "picture", "sound", "size", "frame-rate", "bitrate",
    ]  # fmt: skip
    live = browser.script(
        "return [...document.querySelectorAll('[aria-live], [role=status]')].map((it) => it.id)"
    )
    assert live == ["situation", "notices", "copied"]


def test_nothing_is_cut_off_and_the_button_is_in_sight(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    for width, height in ((320, 640), (640, 320), (800, 600), (1280, 800)):
        browser.appear(width=width, height=height, phone=min(width, height) < 600)
        assert browser.script("return document.documentElement.scrollWidth") <= width
        box = browser.script("return document.getElementById('go').getBoundingClientRect().toJSON()")
        assert box["bottom"] <= height
        assert box["height"] >= 44


def test_the_key_is_remembered_only_where_that_is_asked_for(stage: Stage, browser: Browser) -> None:
    open_page(stage, browser)
    press(browser, "show")
    assert browser.driver.find_element(By.ID, "key").get_attribute("type") == "text"
    press(browser, "remember")
    browser.open(f"{stage.address}/studio")
    browser.wait_until(f"document.getElementById('key').value === '{KEY}'", within=SOON)
    press(browser, "remember")
    assert KEY not in browser.script("return JSON.stringify(localStorage)")
