"""Packets put in order: which are waited for, how long, and when they are asked for (RFC 4585, 6.2.1)."""

from dataclasses import dataclass
from typing import Final

from ingest.protocols.whip.media.reception import MAX_DROPOUT
from ingest.protocols.whip.media.rtp import RtpPacket

# Packets of one path overtake each other by a few places: those that are only late need not be asked for.
REORDERING_SECONDS: Final = 0.01
# Until the round trip is known: across a continent and back.
FIRST_ROUND_TRIP: Final = 0.1
# Between two requests for one packet: a round trip, a quarter more for its unevenness, and never so often that
# the requests crowd out what they ask for.
_ASK_MARGIN: Final = 1.25
MIN_ASK_SECONDS: Final = 0.03
# An answer to an earlier request, or one of a sender that paused, says nothing of the path.
_MAX_ROUND_TRIP: Final = 2.0
# RFC 6298, section 2: the smoothed round trip's gain.
_ROUND_TRIP_GAIN: Final = 1 / 8
# For one packet. On a usual path fewer fit into the time that it is waited for; on a short one, what is lost so
# often is lost to something else than chance.
MAX_REQUESTS: Final = 8
# At once: a third of a second of 12 Mb/s. A longer hole is an outage, and what would be sent again would crowd
# out what is sent now: a keyframe serves better (RFC 4585, 6.3.1).
MAX_MISSING: Final = 512
# A keyframe of 4K at the highest quality is about 4 MB, in 3,500 packets; it may wait for its first packet.
MAX_HELD_PACKETS: Final = 8192
MAX_HELD_BYTES: Final = 8 * 2**20

Numbered = tuple[int, RtpPacket]
"""A packet with its sequence number, unwrapped."""


@dataclass(slots=True)
class _Missing:
    """A packet that has not come: since when, and how it was asked for."""

    since: float
    ask_at: float
    asked_at: float = 0.0
    requests: int = 0


class ReorderBuffer:
    """Gives the packets of one source in their order, each once; a hole in their numbers is a loss.

    A packet is waited for *patience* seconds from when a later one came, and, with *asks*, to be asked for.
    """

    def __init__(self, *, patience: float, asks: bool) -> None:
        self._patience = patience
        self._asks = asks
        self._next: int | None = None
        self._highest = 0
        # Each number from _next to _highest is in one of the two; _next itself is missing where any is.
        self._held: dict[int, RtpPacket] = {}
        self._missing: dict[int, _Missing] = {}  # ascending, and so oldest first
        self._held_bytes = 0
        self._ask_at: float | None = None
        self.round_trip: float | None = None
        """From a request to its answer, smoothed."""
        self.lost = 0
        """Packets that were given up."""
        self.recovered = 0
        """Packets that came after they were asked for."""
        self.late = 0
        """Packets that had come before, or were given up before they came."""

    def is_missing(self, number: int) -> bool:
        """Whether packet *number* is waited for."""
        return number in self._missing

    def put(self, number: int, packet: RtpPacket) -> list[Numbered]:
        """Take *packet* in, and return those whose turn it is; a *number* far from the last one starts anew."""
        if number == self._next and not self._missing:
            self._next = number + 1
            self._highest = number
            return [(number, packet)]
        if self._next is None:
            self._next = self._highest = number
        elif number in self._missing:
            self._found(self._missing.pop(number), packet.arrived)
        elif self._is_far(number):
            return self._begin_again(number, packet)
        elif number <= self._highest:
            self.late += 1
            return []
        else:
            self._miss(range(self._highest + 1, number), packet.arrived)
            self._highest = number
        self._held[number] = packet
        self._held_bytes += len(packet.payload)
        ready = self._take_ready()
        while len(self._held) > MAX_HELD_PACKETS or self._held_bytes > MAX_HELD_BYTES:
            ready += self._give_up_first()
        return ready

    def give_up(self, now: float) -> list[Numbered]:
        """Wait no longer for what was waited for long enough, and return the packets behind it."""
        ready: list[Numbered] = []
        while (deadline := self._deadline()) is not None and deadline <= now:
            ready += self._give_up_first()
        return ready

    def flush(self) -> list[Numbered]:
        """Wait for nothing, and return all packets that are held."""
        ready: list[Numbered] = []
        while self._missing:
            ready += self._give_up_first()
        return ready

    def requests(self, now: float) -> list[int]:
        """Return the numbers of the packets to ask for now; they count as asked for."""
        if self._ask_at is None or now < self._ask_at:
            return []
        numbers = []
        again = now + max(MIN_ASK_SECONDS, _ASK_MARGIN * (self.round_trip or FIRST_ROUND_TRIP))
        for number, missing in self._missing.items():
            if missing.ask_at <= now and missing.requests < MAX_REQUESTS:
                missing.requests += 1
                missing.asked_at = now
                missing.ask_at = again
                numbers.append(number)
        self._ask_at = min(
            (missing.ask_at for missing in self._missing.values() if missing.requests < MAX_REQUESTS),
            default=None,
        )
        return numbers

    def _is_far(self, number: int) -> bool:
        """Whether the hole before *number* is too large, or the source counts anew."""
        hole = number - self._highest - 1
        return hole < -1 - MAX_DROPOUT or hole > MAX_MISSING - len(self._missing)

    def _begin_again(self, number: int, packet: RtpPacket) -> list[Numbered]:
        ready = self.flush()
        hole = number - self._highest - 1
        if 0 < hole < MAX_DROPOUT:
            self.lost += hole
        self._next, self._highest = number + 1, number
        return [*ready, (number, packet)]

    def _miss(self, numbers: range, now: float) -> None:
        ask_at = now + REORDERING_SECONDS
        for number in numbers:
            self._missing[number] = _Missing(now, ask_at)
        if self._asks and numbers and (self._ask_at is None or ask_at < self._ask_at):
            self._ask_at = ask_at

    def _found(self, missing: _Missing, arrived: float) -> None:
        if not missing.requests:
            return
        self.recovered += 1
        # Karn's rule (RFC 6298, section 3): of several requests nobody knows which was answered.
        sample = arrived - missing.asked_at
        if missing.requests == 1 and 0 <= sample <= _MAX_ROUND_TRIP:
            before = sample if self.round_trip is None else self.round_trip
            self.round_trip = before + (sample - before) * _ROUND_TRIP_GAIN

    def _deadline(self) -> float | None:
        oldest = next(iter(self._missing.values()), None)
        return None if oldest is None else oldest.since + self._patience

    def _give_up_first(self) -> list[Numbered]:
        assert self._next is not None
        del self._missing[self._next]
        self.lost += 1
        self._next += 1
        return self._take_ready()

    def _take_ready(self) -> list[Numbered]:
        ready = []
        assert self._next is not None
        while (packet := self._held.pop(self._next, None)) is not None:
            self._held_bytes -= len(packet.payload)
            ready.append((self._next, packet))
            self._next += 1
        return ready
