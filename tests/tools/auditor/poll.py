"""Watches a stream over HTTP as a player does, and judges what it was answered."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin, urlsplit

import requests

from bucketcast.errors import PlaylistSyntaxError
from bucketcast.hls import MediaPlaylist, MultivariantPlaylist, parse
from tools.auditor.history import read_histories
from tools.auditor.journal import ObjectGeneration, Rule, Violation
from tools.auditor.object_rules import CACHE_CONTROLS, CONTENT_TYPES
from tools.auditor.playlist_rules import PLAYLIST_RULES

# A player gives a request up long before this.
_ANSWER_SECONDS = 10
# How often to ask for a multivariant playlist that is not there yet.
_START_SECONDS = 0.5
# What left a playlist is asked for once more this long before its time is up.
_BEFORE_EXPIRY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one GET was answered; *name* is the address within the bucket, *size* that of the body."""

    name: str
    time: datetime
    status: int
    content_type: str = ""
    cache_control: str = ""
    allow_origin: str = ""
    size: int = 0
    content: bytes | None = field(default=None, repr=False)  # of playlists


def poll(url: str, until: threading.Event) -> list[Answer]:
    """Follow the stream whose multivariant playlist is at *url*, in all renditions, until *until* is set."""
    return _Player(url, until).play()


class _Player:
    def __init__(self, url: str, until: threading.Event) -> None:
        self._url = url
        # The bucket is the first part of the path: names are what follows.
        parts = urlsplit(url)
        self._base = f"{parts.scheme}://{parts.netloc}/{parts.path.split('/')[1]}/"
        self._until = until
        self._session = requests.Session()
        self._session.headers["Origin"] = "http://player.example"
        self._answers: list[Answer] = []
        self._listed: dict[str, dict[str, timedelta]] = {}
        self._fetched: set[str] = set()
        self._expiring: dict[str, datetime] = {}

    def play(self) -> list[Answer]:
        with self._session:
            multivariant = self._open()
            while multivariant is not None and not self._until.is_set():
                pause = 1.0
                for variant in multivariant.variant_streams:
                    pause = self._reload(urljoin(self._url, variant.uri), pause)
                self._revisit(datetime.now(UTC) + _BEFORE_EXPIRY)
                self._until.wait(pause)
            self._revisit(datetime.max.replace(tzinfo=UTC))
        return self._answers

    def _open(self) -> MultivariantPlaylist | None:
        while not self._until.is_set():
            # A stream that never was on air has no playlist yet: no fault, and no player's answer.
            if self._session.head(self._url, timeout=_ANSWER_SECONDS).status_code != requests.codes.not_found:
                playlist = self._playlist(self._url)
                return playlist if isinstance(playlist, MultivariantPlaylist) else None
            self._until.wait(_START_SECONDS)
        return None

    def _reload(self, url: str, pause: float) -> float:
        """Ask for a media playlist and what is new in it; return the shorter of *pause* and its own."""
        playlist = self._playlist(url)
        if not isinstance(playlist, MediaPlaylist):
            return pause
        now = datetime.now(UTC)
        listed = {
            urljoin(url, segment.uri): segment.duration + playlist.duration
            for segment in playlist.segments
            if not segment.gap
        }
        for address, availability in self._listed.get(url, {}).items():
            if address not in listed:
                self._expiring.setdefault(address, now + availability)
        self._listed[url] = listed
        for address in listed:
            if address not in self._fetched:
                self._fetched.add(address)
                self._get(address)
        # Section 6.3.4: a client waits half the target duration before it asks again for what has not changed.
        return min(pause, playlist.target_duration / 2)

    def _revisit(self, due: datetime) -> None:
        for address in [address for address, expiry in self._expiring.items() if expiry <= due]:
            del self._expiring[address]
            self._get(address)

    def _playlist(self, url: str) -> MediaPlaylist | MultivariantPlaylist | None:
        answer = self._get(url)
        try:
            return parse((answer.content or b"").decode())
        except (PlaylistSyntaxError, UnicodeDecodeError):
            return None  # audit_answers says so

    def _get(self, url: str) -> Answer:
        response = self._session.get(url, timeout=_ANSWER_SECONDS)
        name = url.removeprefix(self._base)
        answer = Answer(
            name=name,
            time=datetime.now(UTC),
            status=response.status_code,
            content_type=response.headers.get("Content-Type", ""),
            cache_control=response.headers.get("Cache-Control", ""),
            allow_origin=response.headers.get("Access-Control-Allow-Origin", ""),
            size=len(response.content),
            content=response.content if name.endswith(".m3u8") else None,
        )
        self._answers.append(answer)
        return answer


def audit_answers(answers: Iterable[Answer]) -> list[Violation]:
    """Return every violation that a player could see in *answers*, in the order in which they came."""
    answers = list(answers)
    violations = [
        Violation(rule=rule, name=answer.name, generation=position, text=text)
        for position, answer in enumerate(answers)
        for rule, text in _answer_faults(answer)
    ]
    histories, unreadable = read_histories(_seen_generations(answers))
    violations.extend(unreadable)
    for history in histories:
        for rule in PLAYLIST_RULES:
            violations.extend(rule(history))
    return violations


def _answer_faults(answer: Answer) -> Iterator[tuple[Rule, str]]:
    if answer.status != requests.codes.ok:
        yield Rule.ANSWER, f"answered with {answer.status}"
        return
    suffix = answer.name[answer.name.rfind(".") :]
    if answer.size == 0:
        yield Rule.ANSWER, "answered with nothing"
    if answer.allow_origin != "*":
        yield Rule.ANSWER, "no browser on another site may read the answer"
    if answer.content_type != CONTENT_TYPES.get(suffix):
        yield Rule.CONTENT_TYPE, f"answered as {answer.content_type}"
    if answer.cache_control != CACHE_CONTROLS.get(suffix):
        yield Rule.CACHE_CONTROL, f"answered with {answer.cache_control}"


def _seen_generations(answers: Iterable[Answer]) -> Iterator[ObjectGeneration]:
    last: dict[str, bytes] = {}
    for position, answer in enumerate(answers):
        if answer.content is None or answer.status != requests.codes.ok:
            continue
        if last.get(answer.name) != answer.content:
            last[answer.name] = answer.content
            yield ObjectGeneration(
                bucket="",
                name=answer.name,
                generation=position,
                created=answer.time,
                size=answer.size,
                content=answer.content,
            )
