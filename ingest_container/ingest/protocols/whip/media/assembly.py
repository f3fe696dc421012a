"""One picture's packets gathered: they share a timestamp, and the last has the marker (RFC 3550, 5.1)."""

from typing import Final, NamedTuple

from ingest.protocols.whip.media.reordering import MAX_HELD_BYTES, MAX_HELD_PACKETS, Numbered


class PacketGroup(NamedTuple):
    """The payloads with one timestamp; *arrived* is when the first one did.

    With *is_whole* none is missing between them and at their end; *follows_hole* says that packets before them
    are lost, of which some may have been theirs.
    """

    timestamp: int
    arrived: float
    payloads: list[bytes]
    is_whole: bool
    follows_hole: bool


# What one picture may have is what may be held of one that waits for a packet.
MAX_GROUP_BYTES: Final = MAX_HELD_BYTES
MAX_GROUP_PACKETS: Final = MAX_HELD_PACKETS


class PacketGrouper:
    """Takes the packets of one source in order; a hole in their numbers is a loss.

    Some senders set no marker: a change of timestamp ends a picture too. One that is set before a picture's
    end, which RFC 6184 (5.1) forbids, makes two pictures of it.
    """

    def __init__(self) -> None:
        self._expected: int | None = None
        self._timestamp = 0
        self._arrived = 0.0
        self._payloads: list[bytes] = []
        self._bytes = 0
        self._is_open = False
        self._is_whole = True
        # Before the packets that are gathered; whoever comes in the middle has lost what was before.
        self._hole = True

    def add(self, numbered: Numbered) -> list[PacketGroup]:
        """Take a packet in, and return what it ends."""
        number, packet = numbered
        lost = number != self._expected and self._expected is not None
        self._expected = number + 1
        ended = []
        if self._is_open and packet.timestamp != self._timestamp:
            # What was lost between the two may have been the end of the one before.
            self._is_whole = self._is_whole and not lost
            ended.append(self._end())
        if lost:
            if self._is_open:
                self._is_whole = False
            else:
                self._hole = True
        if not packet.payload:  # it probes the bandwidth
            return ended
        if not self._is_open:
            self._is_open = True
            self._timestamp, self._arrived = packet.timestamp, packet.arrived
        self._keep(packet.payload)
        if packet.marker:
            ended.append(self._end())
        return ended

    def _keep(self, payload: bytes) -> None:
        if self._is_whole:
            self._payloads.append(payload)
            self._bytes += len(payload)
            if self._bytes > MAX_GROUP_BYTES or len(self._payloads) > MAX_GROUP_PACKETS:
                self._is_whole = False
        if not self._is_whole:
            self._payloads, self._bytes = [], 0

    def _end(self) -> PacketGroup:
        group = PacketGroup(self._timestamp, self._arrived, self._payloads, self._is_whole, self._hole)
        self._payloads, self._bytes = [], 0
        self._is_open, self._is_whole, self._hole = False, True, False
        return group
