"""A link from a made-up publisher to a MediaReceiver, on a clock of its own: what is lost may be asked for."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count

from ingest.feed.frames import CodecConfiguration, EncodedFrame, FeedItem, Track
from ingest.protocols.whip.media import MediaReceiver
from tools.rtp_streams import Arrival, RtpSource

POLL_SECONDS = 0.02


@dataclass
class Played:
    """What came out: *items* of the feed, and the RTCP datagrams with the time at which each was sent."""

    items: list[FeedItem] = field(default_factory=list)
    rtcp: list[tuple[float, bytes]] = field(default_factory=list)

    def frames(self, track: Track = Track.VIDEO) -> list[EncodedFrame]:
        """The frames of *track*."""
        return [item for item in self.items if isinstance(item, EncodedFrame) and item.track is track]

    def configurations(self, track: Track = Track.VIDEO) -> list[CodecConfiguration]:
        """The configurations of *track*."""
        return [item for item in self.items if isinstance(item, CodecConfiguration) and item.track is track]

    def feedback(self, kind: int, form: int | None = None) -> list[tuple[float, bytes]]:
        """The RTCP packets of type *kind*, and of format *form*, with their times."""
        return [
            (at, packet)
            for at, datagram in self.rtcp
            for packet in rtcp_packets(datagram)
            if packet[1] == kind and form in {None, packet[0] & 0x1F}
        ]

    @property
    def plis(self) -> list[float]:
        """When keyframes were asked for (RFC 4585, 6.3.1)."""
        return [at for at, _ in self.feedback(206, 1)]

    @property
    def nacks(self) -> list[tuple[float, list[int]]]:
        """When packets were asked for, and which (RFC 4585, 6.2.1)."""
        return [(at, nacked(packet)) for at, packet in self.feedback(205, 1)]


def rtcp_packets(datagram: bytes) -> list[bytes]:
    """Return the packets in a compound *datagram* (RFC 3550, 6.1)."""
    packets = []
    while datagram:
        size = 4 * (1 + int.from_bytes(datagram[2:4]))
        packets.append(datagram[:size])
        datagram = datagram[size:]
    return packets


def nacked(packet: bytes) -> list[int]:
    """Return the sequence numbers in a generic NACK (RFC 4585, 6.2.1)."""
    numbers = []
    for start in range(12, len(packet), 4):
        number, following = (
            int.from_bytes(packet[start : start + 2]),
            int.from_bytes(packet[start + 2 : start + 4]),
        )
        numbers.append(number)
        numbers += [number + 1 + bit & 0xFFFF for bit in range(16) if following >> bit & 1]
    return numbers


class Link:
    """Brings *arrivals* to *receiver*; sends what it asks for again, as *retransmission* if there is one.

    *sent* are all packets that the publisher sent, of which some may never arrive. An answer takes *round_trip*
    seconds; *loses* says whether the next answer is lost.
    """

    def __init__(
        self,
        receiver: MediaReceiver,
        arrivals: Sequence[Arrival],
        *,
        sent: Iterable[bytes] = (),
        retransmission: RtpSource | None = None,
        round_trip: float = 0.05,
        loses: Iterable[bool] = (),
    ) -> None:
        self._receiver = receiver
        self._ties = count()
        self._coming = [(arrival.at, next(self._ties), arrival.data) for arrival in arrivals]
        heapq.heapify(self._coming)
        self._sent = {int.from_bytes(packet[2:4]): packet for packet in sent}
        self._retransmission = retransmission
        self._round_trip = round_trip
        self._loses = iter(loses)

    def play(self, *, begin: float = 0.0, after: float = 2.0) -> Played:
        """Play everything, polling until *after* seconds after the last datagram; return what came out."""
        played = Played()
        polled = begin
        until = begin
        while self._coming or polled <= until + after:
            if self._coming and self._coming[0][0] <= polled:
                until, _, data = heapq.heappop(self._coming)
                played.items += self._receiver.receive_rtp(data, arrived=until)
                continue
            poll = self._receiver.poll(now=polled)
            played.items += poll.items
            for datagram in poll.rtcp:
                played.rtcp.append((polled, datagram))
                self._answer(datagram, polled)
            polled += POLL_SECONDS
        return played

    def _answer(self, datagram: bytes, now: float) -> None:
        for packet in rtcp_packets(datagram):
            if packet[1] != 205:
                continue
            for number in nacked(packet):
                if number in self._sent and not next(self._loses, False):
                    again = self._sent[number]
                    if self._retransmission is not None:
                        again = self._retransmission.again(again)
                    heapq.heappush(self._coming, (now + self._round_trip, next(self._ties), again))
