"""The clock of a publisher's tracks: RTP timestamps and sender reports in, times on the feed's one line out.

The model
---------
Each track counts on an RTP clock of its own, from a random number (RFC 3550, 5.1), at a rate that is off by up
to some hundred millionths. *media* is a timestamp divided by the clock rate: seconds on that clock. A frame's
time in the feed is media + offset, with one offset a track.

**The feed's clock is the sound's.** Its offset never moves, so nothing ever stretches sound; the pictures'
offset follows, since a picture that is shown some milliseconds off is not seen, and FFmpeg's fps filter repeats
or drops one where they add up. Drift against our own clock is left alone: everything behind the feed works
through frames as they come and dates them by their times, nothing waits for our clock, so lag cannot grow. (A
sender that is off by 100 millionths dates its frames by 0.36 s wrong after an hour, over RTMP as well.) Where
only one track comes, its own clock is the feed's.

**What relates the tracks** is how far the pictures' offset has to be above the sound's, and is known in two
ways:

- Sender reports pair a timestamp with the sender's wall clock, which its tracks share (6.4.1): *ntp - media*
  of the pictures less that of the sound. Chromium's and FFmpeg's are exact; OBS pairs a frame with the time at
  which it is sent, which is now and then late. So the least of the last ten seconds counts.
- Arrivals do the same with our clock: *arrived - media*. Networks delay by chance but not below their least,
  which is the same for both tracks: again, the least of ten seconds counts. What only the sender knows, how
  much longer pictures take to be encoded, is missing there: it is what reports showed, if any came. Without
  any, the first second is as good as its fastest packets: with five pictures a second and 200 ms of jitter,
  no one can tell.

Reports decide while both tracks' are fresh. They are disbelieved where they contradict arrivals by seconds:
clocks that were set in between, or that count from different beginnings.

**What moves, and how fast.** The pictures' offset is left alone within TOLERANCE of what it should be, so that
noise makes no picture jump back and forth between two frames of the ladder; beyond, it moves by SLEW at most,
which hides a report that is wrong for some seconds. In the first seconds, when the first reports may come after
the first frames, it moves by SETTLING_SLEW. A clock that steps (a timestamp leaps, or stands still while
nothing is sent) gives its track a new offset, found as at the beginning; what was handed on is never gone
behind.

**Holding back.** How tracks are related is not known from their first frame on. `ClockMapper.settled` says when
it is: at once where both reported, else after MAX_HOLD; of tracks that begin within TOGETHER at the same time,
so that they can be handed on together. Until then the caller keeps a track's frames, and tells of each with
`observe`, in the order in which they will be handed on. *arrived* is always when the last packet of a frame
came, not when it was put in order.
"""

from collections import deque
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from ingest.feed.frames import Track
from ingest.protocols.whip.media.formats import TrackFormat

MAX_HOLD: Final = timedelta(seconds=1)
"""How long a track's first frames are held back: five pictures at the lowest rate, and far less than viewers
are behind."""
TOGETHER: Final = timedelta(milliseconds=200)
"""Between the first frames of tracks that begin together: one picture at the lowest rate. The later one is then
observed for less than MAX_HOLD, but for long enough to meet the network's least delay."""
TOLERANCE: Final = timedelta(milliseconds=10)
"""Less than any frame's duration, and with what the estimates may be wrong by, well below the 40 ms that sound
and picture may be apart."""
SLEW: Final = 0.005
"""Seconds a second: ten times what two clocks drift apart, and so slow that a passing error does no harm."""
SETTLING_SLEW: Final = 0.1
"""Some pictures a second are repeated or dropped, in the first seconds of a broadcast only."""
SETTLING: Final = timedelta(seconds=15)
"""Browsers report on sound every 5 s; three of those, for one may be lost."""
MAX_STEP: Final = timedelta(seconds=1)
"""Frames in succession whose delays differ by more come from a clock that stepped, or after an outage: more
than networks' jitter and the time that a large keyframe takes."""
MAX_PAUSE: Final = timedelta(seconds=30)
"""Clocks that drift apart by 400 millionths are 12 ms off after this; what is known of a track for longer is
not used any more."""
MAX_DISAGREEMENT: Final = timedelta(seconds=3)
"""Between reports and arrivals: more than a browser holds pictures back under pressure (2 s); clocks with
nothing in common are apart by hours."""

# The least of a window is kept for five slots of two seconds. Longer, drift would show; shorter, a few pictures
# a second would too rarely meet the network's least delay.
_SLOT_SECONDS: Final = 2.0
_SLOTS: Final = 5
# A pause is no licence to move a picture by more than the lowest frame rate's duration allows.
_LONGEST_INTERVAL: Final = 0.2
_TIMESTAMP_MODULUS: Final = 1 << 32
# 6.4.1: 32 bits of seconds, and as many of their fraction. Zero is from a sender without a wall clock.
_NTP_SECOND: Final = 1 << 32


class _Least:
    """The least of the values of the last ten seconds; with *skips_pauses* of those in which there were any."""

    def __init__(self, *, skips_pauses: bool) -> None:
        self.latest: float | None = None
        self._skips_pauses = skips_pauses
        self._slot = self._number = 0
        self._slots: deque[tuple[int, float]] = deque()  # rising: each is the least from its slot on

    def add(self, value: float, *, at: float) -> None:
        self.latest = at
        slot = max(self._slot, int(at // _SLOT_SECONDS))
        self._number += min(slot - self._slot, 1) if self._skips_pauses else slot - self._slot
        self._slot = slot
        while self._slots and self._slots[-1][1] >= value:
            self._slots.pop()
        if not self._slots or self._slots[-1][0] != self._number:
            self._slots.append((self._number, value))
        while self._slots[0][0] <= self._number - _SLOTS:
            self._slots.popleft()

    @property
    def value(self) -> float | None:
        return self._slots[0][1] if self._slots else None


class _Source:
    """What is known of one track; all in seconds, *arrived* and *since* on our clock."""

    def __init__(self, track_format: TrackFormat) -> None:
        self.clock_rate = track_format.clock_rate
        self.is_video = track_format.track is Track.VIDEO
        self.time = timedelta.min  # the last one handed on
        self.forget()

    def forget(self) -> None:
        """Forget the clock, but not what was handed on."""
        self.offset: float | None = None
        self.timestamp: int | None = None
        self.early_report: tuple[int, int, float] | None = None
        self.lose()

    def lose(self) -> None:
        """Take the offset for doubtful, and what it was found with for gone."""
        self.delays, self.reports = _Least(skips_pauses=True), _Least(skips_pauses=False)
        self.is_anchored = False
        self.since: float | None = None
        self.arrived = self.delay = self.placed = self.anchored_at = 0.0

    @property
    def lead(self) -> float | None:
        """How far the feed is ahead of our clock, by this track."""
        delay = self.delays.value
        return None if self.offset is None or delay is None else self.offset - delay

    def goes_back(self, media: float) -> bool:
        """Whether the offset would take the track back behind what was handed on."""
        assert self.offset is not None
        return timedelta(seconds=media + self.offset) < self.time

    def heard(self, now: float) -> bool:
        """Whether the track has an offset that can be gone by."""
        return self.offset is not None and now - self.arrived <= MAX_PAUSE.total_seconds()


class ClockMapper:
    """Puts the frames of *formats*' tracks on one line of time, near zero where the first one came."""

    def __init__(self, formats: Iterable[TrackFormat]) -> None:
        self._sources = {track_format.track: _Source(track_format) for track_format in formats}
        self._lead: float | None = None
        self._now = 0.0
        self._unseen = 0.0  # by how much reports showed more than arrivals do of what relates the tracks

    def restart(self, track: Track) -> None:
        """Take what comes of *track* next for another clock's, as after a change of SSRC.

        What was held back of the old one is to be placed before.
        """
        source = self._sources[track]
        self._remember_lead(source)
        source.forget()

    def sender_report(self, track: Track, ntp: int, timestamp: int, *, arrived: float) -> None:
        """Take note of a report: *track*'s clock was at *timestamp* when the sender's wall clock was at *ntp*.

        Only the lower 32 bits of *timestamp* count; *ntp* is as in the report, 64 bits.
        """
        source = self._sources[track]
        if ntp == 0:
            return
        if source.timestamp is None:
            source.early_report = ntp, timestamp, arrived
            return
        half = _TIMESTAMP_MODULUS // 2
        ahead = (timestamp - source.timestamp + half) % _TIMESTAMP_MODULUS - half
        media = (source.timestamp + ahead) / source.clock_rate
        source.reports.add(ntp / _NTP_SECOND - media, at=arrived)

    def observe(self, track: Track, timestamp: int, *, arrived: float) -> None:
        """Take note that a frame of *timestamp* (unwrapped) has *arrived*, without placing it."""
        source = self._sources[track]
        delay = arrived - timestamp / source.clock_rate
        if source.since is not None:
            if arrived - source.arrived > MAX_PAUSE.total_seconds():
                self.restart(track)
            elif abs(delay - source.delay) > MAX_STEP.total_seconds():
                since = None if source.is_anchored else source.since  # frames are not held for ever
                self._remember_lead(source)
                source.lose()
                source.since = since
        if source.since is None:
            source.since = arrived
        if self._lead is None:
            self._lead = -arrived
        self._now = max(self._now, arrived)
        source.arrived = max(source.arrived, arrived)
        source.delay, source.timestamp = delay, timestamp
        source.delays.add(delay, at=arrived)
        if source.early_report is not None:
            (ntp, reported, at), source.early_report = source.early_report, None
            self.sender_report(track, ntp, reported, arrived=at)

    def settled(self, track: Track, *, now: float) -> bool:
        """Whether the frames of *track* can be placed well; until then they are to be held back."""
        source = self._sources[track]
        if source.is_anchored or self._by_reports(now) is not None:
            return True
        if source.since is None:
            return False
        begun = [each.since for each in self._sources.values() if each.since is not None]
        since = min(each for each in begun if each >= source.since - TOGETHER.total_seconds())
        return now - since >= MAX_HOLD.total_seconds()

    def frame_time(self, track: Track, timestamp: int, *, arrived: float) -> timedelta:
        """Return the time of the frame of *timestamp* (unwrapped), which never goes back within *track*.

        A frame that was not observed is, now.
        """
        source = self._sources[track]
        if source.since is None or arrived > source.arrived:
            self.observe(track, timestamp, arrived=arrived)
        media = timestamp / source.clock_rate
        if not source.is_anchored:
            self._anchor(source, media)
        elif source.is_video:
            self._learn()
            self._follow(source, media)
        source.placed = max(source.placed, media)
        assert source.offset is not None
        assert source.lead is not None
        # No frame comes before its time. Of those that were held over a step, some seem to.
        seconds = min(media + source.offset, arrived + source.lead)
        source.time = max(source.time, timedelta(seconds=seconds))
        return source.time

    def _anchor(self, source: _Source, media: float) -> None:
        """Find the offset of *source* anew; one that may still be right is kept."""
        wanted, alone = self._wanted(source)
        if source.offset is None or not (
            abs(wanted - source.offset) <= MAX_STEP.total_seconds()
            # Alone, a track that is late may be so because of an outage.
            or (alone and wanted > source.offset and not source.goes_back(media))
        ):
            source.offset = wanted
        source.is_anchored = True
        source.anchored_at = source.placed = media

    def _wanted(self, source: _Source) -> tuple[float, bool]:
        """The offset that puts *source* beside the other track, or, alone, where our clock says."""
        other = next((other for other in self._sources.values() if other is not source), None)
        relation = self._relation()
        if other is not None and other.heard(self._now) and relation is not None:
            # After an outage both tracks are late, and related as before: so both go on where they were.
            assert other.offset is not None
            return other.offset + (relation if source.is_video else -relation), False
        delay = source.delays.value
        assert self._lead is not None
        assert delay is not None
        return self._lead + delay, True

    def _learn(self) -> None:
        """Compare arrivals with reports, while there are any."""
        by_arrival, reported = self._by_arrival(), self._by_reports(self._now)
        if by_arrival is not None and reported is not None:
            self._unseen = reported - by_arrival

    def _follow(self, video: _Source, media: float) -> None:
        """Move the pictures' offset towards where the sound's wants it."""
        audio, relation = self._sources.get(Track.AUDIO), self._relation()
        if audio is None or not (audio.is_anchored and audio.heard(self._now)) or relation is None:
            return
        assert audio.offset is not None
        assert video.offset is not None
        error = audio.offset + relation - video.offset
        tolerance = TOLERANCE.total_seconds()
        excess = max(error - tolerance, 0.0) + min(error + tolerance, 0.0)
        slew = SETTLING_SLEW if media - video.anchored_at < SETTLING.total_seconds() else SLEW
        reach = slew * max(0.0, min(media - video.placed, _LONGEST_INTERVAL))
        video.offset += max(-reach, min(excess, reach))

    def _relation(self) -> float | None:
        """How far the pictures' offset has to be above the sound's; None as long as one track is missing."""
        reported = self._by_reports(self._now)
        if reported is not None:
            return reported
        by_arrival = self._by_arrival()
        return None if by_arrival is None else by_arrival + self._unseen

    def _by_arrival(self) -> float | None:
        return self._difference({track: source.delays for track, source in self._sources.items()})

    def _by_reports(self, now: float) -> float | None:
        """The relation by reports that are fresh and can be believed."""
        reports = {track: source.reports for track, source in self._sources.items()}
        by_arrival, reported = self._by_arrival(), self._difference(reports)
        if by_arrival is None or reported is None:
            return None
        oldest = min(each.latest for each in reports.values() if each.latest is not None)
        is_fresh = now - oldest <= MAX_PAUSE.total_seconds()
        is_believed = abs(reported - by_arrival) <= MAX_DISAGREEMENT.total_seconds()
        return reported if is_fresh and is_believed else None

    @staticmethod
    def _difference(least: dict[Track, _Least]) -> float | None:
        if len(least) < len(Track):
            return None
        video, audio = least[Track.VIDEO].value, least[Track.AUDIO].value
        return None if video is None or audio is None else video - audio

    def _remember_lead(self, source: _Source) -> None:
        """Keep how far the feed is ahead of our clock, for a track that finds no other to go by."""
        if source.lead is not None:
            self._lead = source.lead
