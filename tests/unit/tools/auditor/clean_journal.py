"""A journal without a fault: two broadcasts, three sessions, a gap, a borrowed rung, an end, and a clean-up."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from bucketcast.hls import (
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    Resolution,
    VariantStream,
    render,
)
from tools.auditor import MediaFacts, ObjectGeneration
from tools.auditor.object_rules import CACHE_CONTROLS, CONTENT_TYPES

START = datetime(2026, 11, 22, 18, tzinfo=UTC)
SEGMENT_DURATION = timedelta(seconds=2)
LAST_DURATION = timedelta(milliseconds=400)
FRAME_RATE = 30
CODECS = "avc1.64001f,mp4a.40.2"
SIZES = {"720p": Resolution(width=1280, height=720), "360p": Resolution(width=640, height=360)}
BIT_RATES = {"720p": 2_000_000, "360p": 500_000}
# A last segment of 0.4 s is short of half the target duration, and may be as dense as its keyframe makes it.
LAST_BIT_RATES = {"720p": 3_000_000, "360p": 750_000}
BANDWIDTHS = {"720p": 2_600_000, "360p": 650_000}
WINDOW = timedelta(seconds=12)
GAP = (1, 4, "360p")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session: its first number, its segments, and which rung fills each slot."""

    number: int
    base: int
    segments: int
    broadcast: int
    start: datetime
    rungs: Mapping[str, str]

    def duration(self, index: int) -> timedelta:
        return LAST_DURATION if index == self.segments - 1 else SEGMENT_DURATION

    def date(self, index: int) -> datetime:
        return self.start + index * SEGMENT_DURATION

    def uploaded(self, index: int) -> datetime:
        return self.date(index) + self.duration(index) + timedelta(milliseconds=100)

    @property
    def end(self) -> datetime:
        """When its last segment was published."""
        return self.uploaded(self.segments - 1) + timedelta(milliseconds=100)


BOTH = {"720p": "720p", "360p": "360p"}
SESSIONS = (
    Session(number=1, base=0, segments=10, broadcast=1, start=START, rungs=BOTH),
    Session(
        number=2,
        base=10,
        segments=8,
        broadcast=1,
        start=START + timedelta(seconds=40),
        rungs={"720p": "360p", "360p": "360p"},
    ),
    Session(number=3, base=18, segments=9, broadcast=2, start=START + timedelta(minutes=5), rungs=BOTH),
)
ENDED = SESSIONS[1].end + timedelta(seconds=60)
CLEANED_UP = START + timedelta(hours=1)


@dataclass(slots=True)
class World:
    """The journal, with the facts of its media; `edit` and `rename` plant faults."""

    journal: list[ObjectGeneration] = field(default_factory=list)
    media: dict[str, MediaFacts] = field(default_factory=dict)

    def write(
        self, name: str, created: datetime, content: bytes, *, size: int | None = None, **metadata: str
    ) -> None:
        suffix = name[name.rfind(".") :]
        self.add(
            ObjectGeneration(
                bucket="media",
                name=name,
                generation=0,
                created=created,
                size=len(content) if size is None else size,
                content=None if suffix == ".ts" else content,
                content_type=CONTENT_TYPES[suffix],
                cache_control=CACHE_CONTROLS[suffix],
                metadata={key.replace("_", "-"): value for key, value in metadata.items()},
            )
        )

    def add(self, written: ObjectGeneration) -> None:
        """Add *written* under the next generation that its time allows, as Cloud Storage numbers them."""
        taken = {other.generation for other in self.journal}
        generation = round(written.created.timestamp() * 1_000_000)
        while generation in taken:
            generation += 1
        self.journal.append(replace(written, generation=generation))

    def generations(self, name: str) -> list[ObjectGeneration]:
        return sorted((w for w in self.journal if w.name == name), key=lambda written: written.generation)

    def edit(
        self,
        change: Callable[[ObjectGeneration], ObjectGeneration],
        *,
        name: str = "",
        generation: int | None = None,
    ) -> None:
        """Apply *change* to the objects whose name ends with *name*, or to one *generation* of them."""
        edited = [w for w in self.journal if w.name.endswith(name)]
        if generation is not None:
            edited = [w for n in {w.name for w in edited} for w in self.generations(n)[generation:][:1]]
        assert edited, f"there is no {name} to edit"
        keys = {(w.name, w.generation) for w in edited}
        changed = [change(w) if (w.name, w.generation) in keys else w for w in self.journal]
        assert changed != self.journal, "nothing was changed"
        self.journal = changed

    def rename(self, old: str, new: str) -> None:
        """Put *new* for *old* wherever objects are named, and have the metadata follow."""

        def renamed(written: ObjectGeneration) -> ObjectGeneration:
            content = written.content and written.content.replace(old.encode(), new.encode())
            if old not in written.name:
                return replace(written, content=content)
            name = written.name.replace(old, new)
            _, session, index = name.removesuffix(".ts").rsplit("_", 2)
            metadata = {**written.metadata, "session": str(int(session)), "index": str(int(index))}
            return replace(written, name=name, metadata=metadata)

        self.edit(renamed)
        self.media = {name.replace(old, new): facts for name, facts in self.media.items()}


def file_name(session: int, index: int) -> str:
    return f"segment_{session:08}_{index:010}.ts"


def clean_world(*, window: timedelta = WINDOW) -> World:
    """Return a world in which every rule holds, if *window* is as long as it should be."""
    world = World()
    for session in SESSIONS:
        for index in range(session.segments):
            for rung in sorted(set(session.rungs.values())):
                _upload(world, session, rung, index)
            _publish(world, session, index, window)
        if session.number != 2:
            continue
        for slot in SIZES:
            ended = _playlist(session, session.segments - 1, slot, window, ended=True)
            world.write(f"demo/{slot}/playlist.m3u8", ENDED, render(ended).encode())
    for number, session in enumerate(SESSIONS):
        _state(world, "live", session.broadcast, session.uploaded(0) + timedelta(milliseconds=200))
        if number < 2:
            _state(world, "interrupted", session.broadcast, session.end + timedelta(seconds=5))
    _state(world, "ended", 1, ENDED + timedelta(milliseconds=100))
    return world


def _upload(world: World, session: Session, rung: str, index: int) -> None:
    name = f"demo/{rung}/{file_name(session.number, index)}"
    duration = session.duration(index)
    deleted = CLEANED_UP if session.broadcast == 1 else None
    if (session.number, index, rung) == GAP:
        world.write(
            name, session.uploaded(index), b"", session=str(session.number), index=str(index), gap="true"
        )
        return
    rate = LAST_BIT_RATES[rung] if duration == LAST_DURATION else BIT_RATES[rung]
    world.write(
        name,
        session.uploaded(index),
        b"",
        size=int(rate * duration.total_seconds() / 8),
        session=str(session.number),
        index=str(index),
        duration=f"{duration.total_seconds():.6f}",
        program_date_time=session.date(index).isoformat(),
    )
    world.journal[-1] = replace(world.journal[-1], deleted=deleted)
    world.media[name] = MediaFacts(
        codecs=frozenset(CODECS.split(",")),
        width=SIZES[rung].width,
        height=SIZES[rung].height,
        frames=round(duration.total_seconds() * FRAME_RATE),
        # The third session's clock goes round.
        start=(Fraction(10 + 2 * index) if session.number < 3 else Fraction(2**33 - 1, 90_000) + 2 * index)
        % Fraction(2**33, 90_000),
        duration=Fraction(round(duration.total_seconds() * FRAME_RATE), FRAME_RATE),
        starts_with_keyframe=True,
    )


def _publish(world: World, session: Session, index: int, window: timedelta) -> None:
    at = session.uploaded(index) + timedelta(milliseconds=100)
    if index == session.segments - 1:
        # It came less than a second after the one before: the writer waits the second out.
        at = session.uploaded(index - 1) + timedelta(milliseconds=1200)
    for slot in SIZES:
        playlist = _playlist(session, index, slot, window, ended=False)
        world.write(f"demo/{slot}/playlist.m3u8", at, render(playlist).encode())
    if index == 0:
        variants = tuple(
            VariantStream(
                uri=f"{slot}/playlist.m3u8",
                bandwidth=BANDWIDTHS[slot],
                codecs=CODECS,
                resolution=SIZES[session.rungs[slot]],
                frame_rate=Fraction(FRAME_RATE),
            )
            for slot in SIZES
        )
        multivariant = MultivariantPlaylist(independent_segments=True, variant_streams=variants)
        world.write("demo/master.m3u8", at, render(multivariant).encode())


def _playlist(session: Session, last: int, slot: str, window: timedelta, *, ended: bool) -> MediaPlaylist:
    published = [
        (other, index)
        for other in SESSIONS
        if other.broadcast == session.broadcast and other.number <= session.number
        for index in range(last + 1 if other is session else other.segments)
    ]
    first, length = len(published), timedelta(0)
    while first > 0 and length < window:
        first -= 1
        length += published[first][0].duration(published[first][1])
    listed = published[first:]
    return MediaPlaylist(
        target_duration=2,
        media_sequence=listed[0][0].base + listed[0][1],
        discontinuity_sequence=listed[0][0].number - 1,
        ended=ended,
        segments=tuple(
            MediaSegment(
                uri=_uri(slot, other.rungs[slot], file_name(other.number, index)),
                duration=other.duration(index),
                program_date_time=other.date(index),
                discontinuity=index == 0 and position > 0,
                gap=(other.number, index, other.rungs[slot]) == GAP,
            )
            for position, (other, index) in enumerate(listed)
        ),
    )


def _uri(slot: str, rung: str, name: str) -> str:
    return name if slot == rung else f"../{rung}/{name}"


def _state(world: World, state: str, broadcast: int, since: datetime) -> None:
    text = state_text(state=state, broadcast=broadcast, since=since.isoformat().replace("+00:00", "Z"))
    world.write("demo/state.json", since, text)


def state_text(**changes: object) -> bytes:
    """Return a state.json with *changes*."""
    state = {"version": 1, "stream": "demo", "state": "live", "broadcast": 1, "since": "2026-11-22T18:00:02Z"}
    return json.dumps({**state, **changes}).encode()


def put_text(old: str, new: str) -> Callable[[ObjectGeneration], ObjectGeneration]:
    """Return the change that puts *new* for *old* in an object's text."""

    def change(written: ObjectGeneration) -> ObjectGeneration:
        content = written.content and written.content.replace(old.encode(), new.encode())
        return replace(written, content=content)

    return change


def names_of(sequence: Sequence[ObjectGeneration]) -> set[str]:
    return {written.name for written in sequence}
