"""One storm, from its seed to what is left of the cloud when it is over."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import requests

from bucketcast.stream.document import StreamDocument
from fault_storm import wiring
from fault_storm.broadcaster import Broadcaster
from fault_storm.cloud import INGEST, MEDIA, running_cloud
from fault_storm.compressed_time import CompressedTime
from fault_storm.encoder import Studio
from fault_storm.functions import ADMIN_TOKEN, StormFunctions
from fault_storm.loss import last_playlists, lose_and_rebuild
from fault_storm.story import RUNGS, Show, tell
from fault_storm.verdict import Finding, Promise, Volume, judge
from fault_storm.weather import weathers
from local_cloud.connections import WebServer, listen
from local_cloud.faults import NO_FAULTS, Faults
from tools.auditor import ObjectGeneration
from tools.auditor.collect import read_journal

HOST: Final = "127.0.0.1"
# In seconds of the machine: what a function, or the reaper of some streams, may take when the machine is busy.
ANSWER_SECONDS: Final = 60
# How long the longest reconnect window and some rounds of the reaper may take to bring all to rest.
SETTLE: Final = timedelta(minutes=10)
SETTLE_INTERVAL: Final = timedelta(seconds=15)
# A session of which nothing was heard for so long has nothing to say.
HOPE: Final = timedelta(minutes=1)
END_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class StormOptions:
    """What decides a storm: its *seed*, how much *media* on how many *streams*, and how fast."""

    seed: int
    media: timedelta
    streams: int
    factor: float
    journals: Path | None = None  # a folder in which to leave the journals of both buckets


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a storm did, and what it broke."""

    findings: tuple[Finding, ...]
    volume: Volume
    media: timedelta
    lasted: timedelta  # in compressed time
    counts: Mapping[str, int]  # of runs, claims, uploads
    faults: Mapping[str, int]
    weather: Mapping[str, int]


def run_storm(options: StormOptions, *, say: Callable[[str], None]) -> Outcome:
    """Let the storm of *options* pass, telling its course with *say*, and judge what it left."""
    clock = CompressedTime(factor=options.factor)
    with asyncio.Runner(loop_factory=clock.new_event_loop) as runner:
        return runner.run(_Storm(options, clock, say).run())


class _Storm:
    def __init__(self, options: StormOptions, clock: CompressedTime, say: Callable[[str], None]) -> None:
        self._options = options
        self._clock = clock
        self._say = say
        self._shows = tell(options.seed, media=options.media, streams=options.streams)
        self._faults = Faults(Random(f"{options.seed}/functions"))  # noqa: S311
        self._weather: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()

    async def run(self) -> Outcome:
        async with AsyncExitStack() as stack:
            listener = stack.enter_context(listen(HOST, 0))
            self._functions_url = f"http://{HOST}:{listener.getsockname()[1]}"
            self._cloud = stack.enter_context(
                running_cloud(self._clock, seed=self._options.seed, functions_url=self._functions_url)
            )
            stack.enter_context(_environment(self._cloud.environment))
            self._functions = StormFunctions(
                world=wiring.world(self._clock, stack),
                faults=self._faults,
                random=Random(f"{self._options.seed}/killed"),  # noqa: S311
            )
            stack.push_async_callback(self._functions.close)
            server = WebServer(self._functions, listener)
            server.start()
            stack.push_async_callback(server.close)
            for show in self._shows:
                await self._create(show)
            lasted = await self._broadcast(wiring.studio(self._clock, self._functions_url, self._counts, stack))
            unsettled = await self._settle()
            return await asyncio.to_thread(self._judge, unsettled, lasted)

    async def _create(self, show: Show) -> None:
        await self._api(
            "POST",
            "/v1/streams",
            {
                "id": show.stream,
                "rungs": [{"name": rung, "video_kbps": RUNGS[rung]} for rung in show.rungs],
                "segment_seconds": show.segment_duration.total_seconds(),
                "reconnect_window_seconds": int(show.reconnect_window.total_seconds()),
            },
        )

    async def _broadcast(self, studio: Studio) -> timedelta:
        """Play all shows in changing weather; return how long it took."""
        began = self._clock.now()
        weather = asyncio.create_task(self._change_weather())
        async with asyncio.TaskGroup() as shows:
            for show in self._shows:
                shows.create_task(Broadcaster(show=show, studio=studio, end=self._end).play())
        weather.cancel()
        await self._set_weather((), NO_FAULTS, 0.0)
        return self._clock.now() - began

    async def _change_weather(self) -> None:
        for weather in weathers(Random(f"{self._options.seed}/weather")):  # noqa: S311
            self._weather.update(weather.names or ("fair",))
            await self._set_weather(weather.names, weather.plan, weather.killed)
            await asyncio.sleep(weather.lasts.total_seconds())

    async def _set_weather(self, names: tuple[str, ...], plan: Any, killed: float) -> None:
        self._say(f"{self._clock.seconds():7.0f} s  {', '.join(names) or 'fair'}")
        self._faults.set(plan, now=self._clock.now())
        self._functions.killed = killed
        await asyncio.to_thread(self._cloud.set_faults, plan)

    async def _end(self, stream: str) -> None:
        """Ask for the end of *stream*'s broadcast, as its owner does; there may be none."""
        for _ in range(END_TRIES):
            try:
                status = await self._api("POST", f"/v1/streams/{stream}/end")
            except requests.RequestException:
                continue
            self._counts[f"ends answered {status}"] += 1
            if status < requests.codes.server_error:
                return

    async def _api(self, method: str, path: str, body: Any = None) -> int:
        answer = await asyncio.to_thread(self._ask, method, path, body)
        return answer.status_code

    def _ask(self, method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(
            method,
            self._functions_url + path,
            json=body,
            headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
            timeout=ANSWER_SECONDS,
        )

    async def _settle(self) -> tuple[str, ...]:
        """Wait until every stream has come to rest by itself; return those that do not."""
        deadline = self._clock.now() + SETTLE
        self._say(f"{self._clock.seconds():7.0f} s  all is sent; waiting for rest")
        while True:
            # The scheduler's minutes are not waited for: the reaper comes as often as we look.
            await asyncio.to_thread(self._reap)
            restless = await asyncio.to_thread(self._restless)
            if not restless or self._clock.now() >= deadline:
                return restless
            await asyncio.sleep(SETTLE_INTERVAL.total_seconds())

    def _reap(self) -> None:
        requests.post(f"{self._functions_url}/reap", timeout=ANSWER_SECONDS).raise_for_status()

    def _restless(self) -> tuple[str, ...]:
        documents = list(self._functions.world.documents.all())
        now = self._clock.now()
        return tuple(
            document.stream for document in documents if document.is_under_way or _waits(document, now)
        )

    def _journal(self, bucket: str) -> list[ObjectGeneration]:
        lines = self._cloud.journal(bucket)
        if self._options.journals is not None:
            self._options.journals.mkdir(parents=True, exist_ok=True)
            (self._options.journals / f"{bucket}.jsonl").write_text("\n".join(lines))
        return read_journal(lines)

    def _judge(self, unsettled: tuple[str, ...], lasted: timedelta) -> Outcome:
        media = self._journal(MEDIA)
        findings, volume = judge(media, self._journal(INGEST))
        findings += lose_and_rebuild(last_playlists(media), wake=self._reap)
        findings += [
            Finding(rule=Promise.SETTLED.name, meaning=str(Promise.SETTLED), where=stream, text="it does not")
            for stream in unsettled
        ]
        return Outcome(
            findings=tuple(findings),
            volume=volume,
            media=sum((show.media for show in self._shows), timedelta(0)),
            lasted=lasted,
            counts=self._counts + self._functions.counts,
            faults=self._cloud.drawn_faults() + self._faults.drawn,
            weather=self._weather,
        )


def _waits(document: StreamDocument, now: datetime) -> bool:
    """Whether *document* has a session that is not sealed, and something came of it or may still come."""
    shown = {segment.session for segment in document.window}
    return any(
        not session.sealed and (session.session in shown or now - session.claimed < HOPE)
        for session in document.sessions
    )


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
