"""Senders are simulated: two clocks that drift, reports as real senders make them, and a network in between."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.feed import AudioCodec, Track, VideoCodec
from ingest.protocols.whip.media.clock import MAX_HOLD, SETTLING_SLEW, TOGETHER, ClockMapper
from ingest.protocols.whip.media.formats import TrackFormat

VIDEO = TrackFormat(track=Track.VIDEO, codec=VideoCodec.H264, payload_type=96, clock_rate=90_000)
AUDIO = TrackFormat(track=Track.AUDIO, codec=AudioCodec.OPUS, payload_type=111, clock_rate=48_000, channels=2)
# What sound and picture may be apart.
IN_SYNC = 0.040
# The wall clock of senders: seconds since 1900, in 2026.
WALL_CLOCK = 3_976_000_000.0
# Our clock began some time before the publisher came.
BOOT = 5_000.0


@dataclass(frozen=True, kw_only=True)
class Sender:
    """One track of a publisher; all in seconds of true time since it began, drift in millionths."""

    track_format: TrackFormat
    interval: float
    slowest_interval: float = 0.0
    drift: float = 0.0
    first_timestamp: int = 0
    begins: float = 0.0
    encoding: float = 0.0
    pauses: tuple[tuple[float, float], ...] = ()
    reports_every: float | None = None
    reports_from: float = 0.0
    reports_until: float = 1e9
    lost_reports: float = 0.0
    report_noise: float = 0.0

    def timestamp(self, at: float) -> int:
        clock = self.track_format.clock_rate * (1 + self.drift / 1e6)
        return self.first_timestamp + round(at * clock)

    def captures(self, until: float, chance: random.Random) -> Iterator[float]:
        at = self.begins
        while at < until:
            pause = next((pause for pause in self.pauses if pause[0] <= at < pause[1]), None)
            if pause is not None:
                at = pause[1]
                continue
            yield at
            at += chance.uniform(self.interval, max(self.interval, self.slowest_interval))


@dataclass(frozen=True, kw_only=True)
class Network:
    """Delays by *least*, and by up to *jitter* more, each packet by itself or all together as in a *queue*.

    Now and then each track meets the least delay: else nothing could tell how arrivals relate the tracks.
    """

    least: float = 0.02
    jitter: float = 0.0
    queue: bool = False

    def delay(self, at: float, number: int, chance: random.Random) -> float:
        if self.queue:
            return self.least + self.jitter * max(0.0, 1 - abs((at % 1.3) - 0.45) / 0.45)
        return self.least + (0.0 if number % 4 == 0 else chance.uniform(0, self.jitter))


@dataclass(order=True, frozen=True)
class Event:
    """A frame or a report that *arrived* before it was *released*, when all before it had come as well."""

    released: float
    arrived: float = field(compare=False)
    track: Track = field(compare=False)
    timestamp: int = field(compare=False)
    captured: float = field(compare=False)
    ntp: int | None = field(default=None, compare=False)


def events(
    *senders: Sender, until: float, network: Network, seed: int = 0, wall_clock_step: float = 0.0
) -> list[Event]:
    """What comes of *senders* in the first *until* seconds; the wall clock is put forward at half time."""
    chance = random.Random(seed)
    found: list[Event] = []
    for sender in senders:
        track, released, next_report = sender.track_format.track, 0.0, sender.reports_from
        for number, at in enumerate(sender.captures(until, chance)):
            timestamp = sender.timestamp(at)
            sent = BOOT + at + sender.encoding
            arrived = sent + network.delay(at, number, chance)
            released = max(arrived, released)
            found.append(Event(released, arrived, track, timestamp, at))
            if sender.reports_every is None or not next_report <= at < sender.reports_until:
                continue
            next_report = at + sender.reports_every
            if chance.random() >= sender.lost_reports:
                wall = WALL_CLOCK + at + (wall_clock_step if at > until / 2 else 0.0)
                ntp = round((wall + chance.uniform(0, sender.report_noise)) * 2**32)
                arrived = sent + network.delay(at, 1, chance)
                found.append(Event(arrived, arrived, track, timestamp & 0xFFFFFFFF, at, ntp=ntp))
    return sorted(found)


@dataclass(frozen=True)
class Placed:
    event: Event
    time: float


class Receiver:
    """Holds frames back as long as the mapper says, and hands them on."""

    def __init__(self, *formats: TrackFormat) -> None:
        self.mapper = ClockMapper(formats)
        self.held: dict[Track, list[Event]] = {Track.VIDEO: [], Track.AUDIO: []}
        self.placed: dict[Track, list[Placed]] = {Track.VIDEO: [], Track.AUDIO: []}
        self.longest_hold = 0.0

    def receive(self, event: Event) -> None:
        if event.ntp is not None:
            self.mapper.sender_report(event.track, event.ntp, event.timestamp, arrived=event.arrived)
        else:
            self.mapper.observe(event.track, event.timestamp, arrived=event.arrived)
            self.held[event.track].append(event)
        for track, held in self.held.items():
            if held and self.mapper.settled(track, now=event.released):
                self.longest_hold = max(self.longest_hold, event.released - held[0].released)
                self.placed[track] += [self._place(each) for each in held]
                held.clear()

    def _place(self, event: Event) -> Placed:
        time = self.mapper.frame_time(event.track, event.timestamp, arrived=event.arrived)
        return Placed(event, time.total_seconds())


def received(happened: list[Event], *formats: TrackFormat) -> Receiver:
    receiver = Receiver(*(formats or (VIDEO, AUDIO)))
    for event in happened:
        receiver.receive(event)
    return receiver


def skews(receiver: Receiver, sound: Sender) -> list[float]:
    """By how much each picture is shown after the sound that was recorded with it."""
    first = receiver.placed[Track.AUDIO][0]
    offset = first.time - first.event.timestamp / AUDIO.clock_rate
    return [
        picture.time - offset - sound.timestamp(picture.event.captured) / AUDIO.clock_rate
        for picture in receiver.placed[Track.VIDEO]
    ]


def assert_smooth(receiver: Receiver) -> None:
    """Times never go back, and go on by what the sender's do: exactly for sound, nearly so for pictures."""
    for track, slew in ((Track.VIDEO, SETTLING_SLEW), (Track.AUDIO, 0.0)):
        clock_rate = {Track.VIDEO: 90_000, Track.AUDIO: 48_000}[track]
        for before, after in pairwise(receiver.placed[track]):
            media = (after.event.timestamp - before.event.timestamp) / clock_rate
            assert after.time >= before.time
            assert abs(after.time - before.time - media) <= slew * min(media, 0.2) + 3e-6


DRIFT = st.floats(-200, 200)
TIMESTAMP = st.integers(0, 2**32 - 1)


@st.composite
def pauses(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    begin = draw(st.floats(3, 25))
    return draw(st.sampled_from(((), ((begin, begin + draw(st.floats(1, 12))),))))


@st.composite
def pictures(draw: st.DrawFn) -> Sender:
    fastest = draw(st.sampled_from((5.0, 15.0, 24.0, 30.0, 60.0)))
    return Sender(
        track_format=VIDEO,
        interval=1 / fastest,
        slowest_interval=1 / draw(st.floats(5, fastest)),
        drift=draw(DRIFT),
        first_timestamp=draw(TIMESTAMP),
        begins=draw(st.floats(0, 2)),
        pauses=draw(pauses()),
    )


@st.composite
def sounds(draw: st.DrawFn) -> Sender:
    return Sender(
        track_format=AUDIO,
        interval=draw(st.sampled_from((0.02, 0.06))),
        drift=draw(DRIFT),
        first_timestamp=draw(TIMESTAMP),
        begins=draw(st.floats(0, 2)),
        pauses=draw(pauses()),
    )


NETWORKS = st.builds(Network, least=st.floats(0, 0.3), jitter=st.floats(0, 0.2), queue=st.booleans())
SEEDS = st.integers(0, 2**32)
PICTURES = Sender(track_format=VIDEO, interval=1 / 30, drift=200, first_timestamp=2**32 - 900_000)
SOUND = Sender(track_format=AUDIO, interval=0.02, drift=-200, first_timestamp=2**32 - 400_000)


def reporting(sender: Sender, every: float = 1.0, **how: Any) -> Sender:
    return replace(sender, reports_every=every, **how)


@settings(max_examples=15, deadline=None)
@given(
    video=pictures(),
    sound=sounds(),
    network=NETWORKS,
    seed=SEEDS,
    encoding=st.floats(0, 0.3),
    every=st.sampled_from((1.0, 5.0)),
    lost=st.floats(0, 0.9),
)
def test_with_reports_everything_that_is_handed_on_is_in_sync(
    *, video: Sender, sound: Sender, network: Network, seed: int, encoding: float, every: float, lost: float
) -> None:
    """However much longer pictures take to be encoded; all but the first reports may be lost."""
    video = reporting(replace(video, encoding=encoding), lost_reports=lost)
    happened = events(video, reporting(sound, every, lost_reports=lost), until=35, network=network, seed=seed)
    # As FFmpeg does it: a report before the first frame.
    first = [
        Event(
            BOOT,
            BOOT,
            each.track_format.track,
            each.timestamp(0) & 0xFFFFFFFF,
            0,
            ntp=round(WALL_CLOCK * 2**32),
        )
        for each in (video, sound)
    ]
    receiver = received(first + happened)
    assert max(map(abs, skews(receiver, sound))) <= IN_SYNC
    assert_smooth(receiver)


@settings(max_examples=15, deadline=None)
@given(
    video=pictures(),
    sound=sounds(),
    network=NETWORKS,
    seed=SEEDS,
    encoding=st.floats(-0.015, 0.015),
    begin=st.floats(0, 20),
    duration=st.floats(0, 40),
)
def test_with_reports_that_come_late_or_cease_or_never_come_tracks_are_in_sync(
    *,
    video: Sender,
    sound: Sender,
    network: Network,
    seed: int,
    encoding: float,
    begin: float,
    duration: float,
) -> None:
    """What only reports tell, as how long pictures took, is unknown until then, and so has to be small."""
    video = replace(video, encoding=max(encoding, 0.0))
    sound = replace(sound, encoding=max(-encoding, 0.0))
    when = {"reports_from": begin, "reports_until": begin + max(0.0, duration - 10)}
    tracks = reporting(video, **when), reporting(sound, 5.0, **when)
    receiver = received(events(*tracks, until=35, network=network, seed=seed))
    assert max(map(abs, skews(receiver, sound))) <= IN_SYNC
    assert_smooth(receiver)


@pytest.mark.parametrize("reports_until", [0.0, 1e9])
def test_tracks_are_in_sync_after_hours(reports_until: float) -> None:
    """Clocks that are 400 millionths apart are 2.9 s apart after two hours."""
    video = reporting(replace(PICTURES, interval=0.2), reports_until=reports_until)
    sound = reporting(replace(SOUND, interval=0.12), 5.0, reports_until=reports_until)
    receiver = received(events(video, sound, until=7200, network=Network(jitter=0.2)))
    assert max(map(abs, skews(receiver, sound))) <= IN_SYNC
    assert_smooth(receiver)


def test_feed_goes_on_at_the_sounds_own_pace_so_that_lag_does_not_grow() -> None:
    receiver = received(events(PICTURES, SOUND, until=600, network=Network()))
    for placed in receiver.placed.values():
        since = placed[-1].event.captured - placed[0].event.captured
        assert placed[-1].time - placed[0].time == pytest.approx(since * (1 + SOUND.drift / 1e6), abs=IN_SYNC)


def test_times_begin_near_zero() -> None:
    receiver = received(events(PICTURES, SOUND, until=2, network=Network(jitter=0.2)))
    assert all(-0.2 <= placed[0].time <= 0.2 for placed in receiver.placed.values())


@settings(deadline=None, max_examples=20)
@given(pictures(), sounds(), NETWORKS, SEEDS)
def test_no_frame_is_held_back_for_longer_than_the_bound(
    video: Sender, sound: Sender, network: Network, seed: int
) -> None:
    receiver = received(events(video, sound, until=20, network=network, seed=seed))
    # The next frame is what has the receiver ask again; the mapper itself does not.
    assert receiver.longest_hold <= MAX_HOLD.total_seconds() + 0.2 + 0.2


@pytest.mark.parametrize("first", Track)
def test_tracks_that_begin_together_settle_together(first: Track) -> None:
    """Not one after the other, or frames of the one would be behind all that was held of the other."""
    second = Track.AUDIO if first is Track.VIDEO else Track.VIDEO
    for gap, together in ((TOGETHER, True), (TOGETHER + timedelta(milliseconds=1), False)):
        mapper = ClockMapper((VIDEO, AUDIO))
        mapper.observe(first, 0, arrived=0.0)
        mapper.observe(second, 0, arrived=gap.total_seconds())
        held = MAX_HOLD.total_seconds()
        assert not mapper.settled(first, now=held - 0.01)
        assert not mapper.settled(second, now=held - 0.01)
        assert mapper.settled(first, now=held)
        mapper.frame_time(first, 0, arrived=0.0)
        assert mapper.settled(second, now=held) is together
        assert mapper.settled(second, now=held + gap.total_seconds())


def test_tracks_that_both_reported_are_not_held_back() -> None:
    receiver = received(events(reporting(PICTURES), reporting(SOUND), until=1, network=Network()))
    assert receiver.longest_hold < 0.05


@pytest.mark.parametrize("encoding", [0.1, 0.25])
def test_first_reports_that_come_late_are_made_up_for_within_seconds(encoding: float) -> None:
    """Chromium holds back its first pictures, and reports on sound only after some seconds."""
    video = reporting(replace(PICTURES, encoding=encoding), reports_from=0.5)
    receiver = received(
        events(video, reporting(SOUND, 5.0, reports_from=4), until=60, network=Network(jitter=0.1))
    )
    late = [
        skew
        for skew, placed in zip(skews(receiver, SOUND), receiver.placed[Track.VIDEO], strict=True)
        if placed.event.captured > 4 + 10 * encoding
    ]
    assert max(map(abs, late)) <= IN_SYNC
    assert_smooth(receiver)


def test_what_reports_showed_holds_when_they_cease() -> None:
    video = reporting(replace(PICTURES, encoding=0.2), reports_until=20)
    receiver = received(
        events(video, reporting(SOUND, reports_until=20), until=300, network=Network(jitter=0.1))
    )
    assert max(map(abs, skews(receiver, SOUND))) <= IN_SYNC


def test_what_the_first_frames_show_of_encoding_is_not_kept_when_reports_cease() -> None:
    """The first picture came late by chance, and the only reports before it."""
    video = reporting(replace(PICTURES, interval=0.2, drift=0), reports_until=0.1)
    sound = reporting(replace(SOUND, drift=0), reports_until=0.01)
    late = BOOT + 0.15
    happened = [
        replace(event, arrived=max(event.arrived, late), released=max(event.released, late))
        if event.track is Track.VIDEO
        else event
        for event in events(video, sound, until=60, network=Network())
    ]
    receiver = received(sorted(happened))
    assert max(map(abs, skews(receiver, sound))) <= IN_SYNC


def test_reports_of_frames_that_were_sent_late_by_chance_do_no_harm() -> None:
    """OBS reports when it sent a frame, which waits for other frames now and then."""
    video, sound = (reporting(each, report_noise=0.03) for each in (PICTURES, SOUND))
    receiver = received(events(video, sound, until=120, network=Network(jitter=0.1)))
    assert max(map(abs, skews(receiver, sound))) <= IN_SYNC


@pytest.mark.parametrize("step", [-3600.0, -2.0, -0.3, 0.3, 2.0, 3600.0])
@pytest.mark.parametrize("every", [1.0, 5.0])
def test_senders_wall_clock_may_be_set(step: float, every: float) -> None:
    """Until both tracks have reported by the new time, their reports do not fit each other."""
    tracks = reporting(PICTURES), reporting(SOUND, every, reports_from=0.7)
    happened = events(*tracks, until=120, network=Network(jitter=0.2), wall_clock_step=step)
    receiver = received(happened)
    assert max(map(abs, skews(receiver, SOUND))) <= IN_SYNC
    assert_smooth(receiver)


def test_reports_on_clocks_with_nothing_in_common_are_disbelieved() -> None:
    happened = [
        replace(event, ntp=event.ntp + (10_000 << 32)) if event.ntp and event.track is Track.AUDIO else event
        for event in events(reporting(PICTURES), reporting(SOUND), until=30, network=Network(jitter=0.1))
    ]
    receiver = received(happened)
    assert max(map(abs, skews(receiver, SOUND))) <= IN_SYNC


def test_reports_without_a_wall_clock_say_nothing() -> None:
    happened = [
        replace(event, ntp=0) if event.ntp else event
        for event in events(reporting(PICTURES), reporting(SOUND), until=5, network=Network())
    ]
    assert received(happened).longest_hold >= MAX_HOLD.total_seconds()


def test_a_track_alone_goes_by_its_own_clock() -> None:
    for sender in (PICTURES, SOUND):
        track = sender.track_format.track
        happened = events(reporting(sender), until=20, network=Network(jitter=0.2))
        for formats in ((sender.track_format,), (VIDEO, AUDIO)):
            placed = received(happened, *formats).placed[track]
            paces = {
                after.time
                - before.time
                - (after.event.timestamp - before.event.timestamp) / sender.track_format.clock_rate
                for before, after in pairwise(placed)
            }
            assert max(map(abs, paces)) < 3e-6


def test_pictures_that_come_later_join_the_sound() -> None:
    video = replace(PICTURES, begins=20)
    receiver = received(events(video, SOUND, until=60, network=Network(jitter=0.2)))
    assert max(map(abs, skews(receiver, SOUND))) <= IN_SYNC


def test_sound_that_comes_later_joins_the_pictures() -> None:
    sound = replace(SOUND, begins=20)
    receiver = received(events(PICTURES, sound, until=60, network=Network(jitter=0.2)))
    joined = skews(receiver, sound)[-30 * 39 :]
    assert max(map(abs, joined)) <= IN_SYNC
    assert_smooth(receiver)


def changed(happened: list[Event], track: Track, *, at: float, by: int) -> list[Event]:
    """The timestamps of *track* leap *by* so much where the capture comes to *at*."""
    return [
        replace(event, timestamp=event.timestamp + by)
        if event.track is track and event.captured >= at
        else event
        for event in happened
    ]


def restored(receiver: Receiver, track: Track, *, at: float, by: int) -> Receiver:
    """Undo `changed`, so that times can be compared with what the timestamps were."""
    receiver.placed[track] = [
        replace(placed, event=changed([placed.event], track, at=at, by=-by)[0])
        for placed in receiver.placed[track]
    ]
    return receiver


def assert_goes_on(receiver: Receiver, *, after: float) -> None:
    """Nothing goes back, and a second and a half *after* which something happened, all is in sync."""
    for placed in receiver.placed.values():
        assert all(later.time >= earlier.time for earlier, later in pairwise(placed))
        # On the line of before as well: the feed runs neither ahead of real time nor behind.
        assert placed[-1].time == pytest.approx(placed[-1].event.captured, abs=0.3)
    sound = next(each for each in receiver.placed[Track.AUDIO] if each.event.captured > after + 1.5)
    for picture in receiver.placed[Track.VIDEO]:
        if picture.event.captured > after + 1.5:
            since = picture.event.captured - sound.event.captured
            assert picture.time - sound.time == pytest.approx(since, abs=IN_SYNC)


@pytest.mark.parametrize("track", Track)
@pytest.mark.parametrize("seconds", [-3000, -5, 5, 3000])
@pytest.mark.parametrize("every", [None, 1.0])
def test_timestamps_that_leap_leave_times_going_on(track: Track, seconds: int, every: float | None) -> None:
    by = seconds * {Track.VIDEO: 90_000, Track.AUDIO: 48_000}[track]
    video, sound = (replace(each, reports_every=every, drift=0) for each in (PICTURES, SOUND))
    happened = changed(events(video, sound, until=40, network=Network(jitter=0.1)), track, at=20, by=by)
    assert_goes_on(restored(received(happened), track, at=20, by=by), after=20)


def test_pictures_do_not_follow_sound_whose_place_is_not_yet_found() -> None:
    video, sound = (replace(each, drift=0) for each in (PICTURES, SOUND))
    happened = changed(events(video, sound, until=12, network=Network()), Track.AUDIO, at=8, by=5 * 48_000)
    pictures = received(happened).placed[Track.VIDEO]
    assert all(each.time == pytest.approx(each.event.captured, abs=IN_SYNC) for each in pictures)


@pytest.mark.parametrize("every", [None, 1.0])
def test_timestamps_that_stood_still_in_a_pause_are_made_up_for(every: float | None) -> None:
    """Chromium counts the sound that it sends: nothing, while there is no microphone."""
    video = replace(PICTURES, reports_every=every, drift=0)
    sound = replace(SOUND, reports_every=every, drift=0, pauses=((10, 20),))
    happened = events(video, sound, until=40, network=Network(jitter=0.1))
    stood_still = changed(happened, Track.AUDIO, at=20, by=-10 * 48_000)
    assert_goes_on(restored(received(stood_still), Track.AUDIO, at=20, by=-10 * 48_000), after=20)


@pytest.mark.parametrize("track", Track)
@pytest.mark.parametrize("every", [None, 1.0])
def test_restarted_track_finds_its_place(track: Track, every: float | None) -> None:
    """A change of SSRC brings a new random timestamp."""
    by = 123_456_789
    video, sound = (replace(each, reports_every=every, drift=0) for each in (PICTURES, SOUND))
    happened = changed(events(video, sound, until=40, network=Network(jitter=0.1)), track, at=20, by=by)
    receiver = Receiver(VIDEO, AUDIO)
    for before, event in pairwise([happened[0], *happened]):
        if event.track is track and before.captured < 20 <= event.captured:
            receiver.mapper.restart(track)
        receiver.receive(event)
    assert_goes_on(restored(receiver, track, at=20, by=by), after=20)


@pytest.mark.parametrize("formats", [(VIDEO,), (AUDIO,), (VIDEO, AUDIO)])
@pytest.mark.parametrize("speed", [1.3, 3, 1000])
def test_an_outage_whose_packets_come_late_moves_nothing(
    formats: tuple[TrackFormat, ...], speed: float
) -> None:
    """Nothing comes for four seconds; then all that was held up, at some times the usual speed."""

    def held_up(event: Event) -> Event:
        least = BOOT + 24 + (event.captured - 20) / speed if event.captured > 20 else 0
        return replace(event, arrived=max(event.arrived, least), released=max(event.released, least))

    senders = [replace(each, drift=0) for each in (PICTURES, SOUND) if each.track_format in formats]
    happened = [held_up(event) for event in events(*senders, until=60, network=Network(jitter=0.1))]
    receiver = received(sorted(happened), *formats)
    assert_smooth(receiver)
    for placed in receiver.placed.values():
        assert all(each.time == pytest.approx(each.event.captured, abs=0.2) for each in placed)


def test_one_stray_timestamp_holds_nothing_up() -> None:
    happened = events(replace(PICTURES, drift=0), until=40, network=Network())
    stray = replace(happened[600], timestamp=happened[600].timestamp + 3600 * 90_000)
    placed = received([*happened[:600], stray, *happened[601:]], VIDEO).placed[Track.VIDEO]
    assert all(each.time == pytest.approx(each.event.captured, abs=0.1) for each in placed[660:])


def test_a_sender_whose_clock_leaps_all_the_time_is_not_held_back_for_longer() -> None:
    mapper = ClockMapper((VIDEO, AUDIO))
    for number in range(12):
        mapper.observe(Track.VIDEO, 900_000 * number, arrived=BOOT + number / 10)
    assert mapper.settled(Track.VIDEO, now=BOOT + 1.1)


@pytest.mark.parametrize("how", ["restart", "leap", "leap back"])
def test_a_track_alone_goes_on_where_it_was_when_its_clock_steps(how: str) -> None:
    """Not where it would be had it not drifted for an hour."""
    mapper = ClockMapper((VIDEO,))
    video = replace(PICTURES, drift=2000)
    *_, before = (
        mapper.frame_time(Track.VIDEO, video.timestamp(number / 30), arrived=BOOT + number / 30)
        for number in range(900)
    )
    assert before.total_seconds() > 30
    by = -(10**9) if how == "leap back" else 10**9
    if how == "restart":
        mapper.restart(Track.VIDEO)
    after = mapper.frame_time(Track.VIDEO, video.timestamp(30) + by, arrived=BOOT + 30)
    assert (after - before).total_seconds() == pytest.approx(1 / 30, abs=0.025)


def test_reports_before_the_first_frames_count() -> None:
    """FFmpeg reports before the first frame, and then after five seconds."""
    mapper = ClockMapper((VIDEO, AUDIO))
    for track in Track:
        mapper.sender_report(track, 1 << 32, 0, arrived=BOOT)
        mapper.observe(track, 10, arrived=BOOT)
    assert all(mapper.settled(track, now=BOOT) for track in Track)


def test_pictures_no_longer_go_by_sound_that_is_gone() -> None:
    video, sound = replace(PICTURES, drift=2000), replace(SOUND, drift=2000, pauses=((10, 1e9),))
    happened = events(video, sound, until=120, network=Network())
    receiver = received(happened)
    gone = receiver.placed[Track.VIDEO][45 * 30 :]
    for before, after in pairwise(gone):
        media = (after.event.timestamp - before.event.timestamp) / 90_000
        assert after.time - before.time == pytest.approx(media, abs=3e-6)
    receiver.mapper.restart(Track.VIDEO)
    time = receiver.mapper.frame_time(Track.VIDEO, 77, arrived=happened[-1].arrived + 1 / 30)
    assert time.total_seconds() - gone[-1].time == pytest.approx(1 / 30, abs=0.02)


def test_pictures_are_not_moved_by_noise() -> None:
    """Their times would change sides between two frames of a constant rate."""
    senders = (reporting(replace(each, drift=0), report_noise=0.008) for each in (PICTURES, SOUND))
    placed = received(events(*senders, until=120, network=Network(jitter=0.2))).placed[Track.VIDEO]
    for before, after in pairwise(placed[900:]):
        media = (after.event.timestamp - before.event.timestamp) / 90_000
        assert after.time - before.time == pytest.approx(media, abs=3e-6)


@pytest.mark.parametrize("drift", [0, 200])
def test_pictures_that_come_late_after_a_pause_are_not_moved(drift: float) -> None:
    video = replace(PICTURES, interval=0.2, drift=drift, pauses=((4, 14),))
    happened = [
        replace(event, arrived=event.arrived + 0.2, released=event.released + 0.2)
        if event.track is Track.VIDEO and 14 <= event.captured < 16
        else event
        for event in events(video, replace(SOUND, drift=0), until=30, network=Network())
    ]
    receiver = received(sorted(happened))
    assert max(map(abs, skews(receiver, replace(SOUND, drift=0)))) <= IN_SYNC
    assert_smooth(receiver)


@pytest.mark.parametrize("sender", [PICTURES, SOUND])
def test_after_a_long_pause_a_tracks_place_is_found_anew(sender: Sender) -> None:
    """An hour of drift is more than could be slewed away unseen."""
    video, sound = (
        replace(each, drift=2000 * (each.drift / 200), pauses=((10, 110),) if each is sender else ())
        for each in (PICTURES, SOUND)
    )
    receiver = received(events(video, sound, until=120, network=Network()))
    before = next(each for each in receiver.placed[Track.AUDIO] if each.event.captured > 112)
    for picture in receiver.placed[Track.VIDEO]:
        if picture.event.captured > 112:
            since = picture.event.captured - before.event.captured
            assert picture.time - before.time == pytest.approx(since, abs=IN_SYNC)


def test_both_tracks_may_come_back_from_a_long_pause() -> None:
    """A laptop that slept."""
    video, sound = (replace(each, drift=0, pauses=((10, 3610),)) for each in (PICTURES, SOUND))
    happened = events(video, sound, until=3630, network=Network(jitter=0.1))
    assert_goes_on(received(happened), after=3610)


def test_frames_need_not_be_observed_before_they_are_placed() -> None:
    mapper = ClockMapper((VIDEO, AUDIO))
    times = [mapper.frame_time(Track.VIDEO, 3000 * n, arrived=BOOT + n / 30) for n in range(30)]
    assert times == [timedelta(microseconds=round(n * 1e6 / 30)) for n in range(30)]


def test_pictures_out_of_order_do_not_take_times_back() -> None:
    mapper = ClockMapper((VIDEO,))
    times = [
        mapper.frame_time(Track.VIDEO, 3000 * n, arrived=BOOT + at / 30)
        for at, n in enumerate((0, 3, 1, 2, 6, 4, 5))
    ]
    assert times == sorted(times)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(Track),
            st.sampled_from(("frame", "observe", "report", "restart")),
            st.integers(-(2**40), 2**40) | st.integers(0, 10**6),
            st.integers(0, 2**64 - 1),
            st.floats(0, 40),
        ),
        max_size=60,
    )
)
def test_whatever_a_sender_claims_times_never_go_back_and_nothing_is_held_for_ever(
    claims: list[tuple[Track, str, int, int, float]],
) -> None:
    mapper, now = ClockMapper((VIDEO, AUDIO)), BOOT
    last = dict.fromkeys(Track, timedelta.min)
    for track, what, timestamp, ntp, pause in claims:
        now += pause
        if what == "restart":
            mapper.restart(track)
        elif what == "report":
            mapper.sender_report(track, ntp, timestamp % 2**32, arrived=now)
        else:
            mapper.observe(track, timestamp, arrived=now)
            assert mapper.settled(track, now=now + MAX_HOLD.total_seconds())
        if what == "frame":
            time = mapper.frame_time(track, timestamp, arrived=now)
            assert time >= last[track]
            last[track] = time


def test_a_track_that_has_not_begun_is_not_settled() -> None:
    assert not ClockMapper((VIDEO, AUDIO)).settled(Track.AUDIO, now=BOOT)
