"""What is wrong with a publisher's media that only its packets show: loss on the way, and B-frames."""

from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from bucketcast.stream.encoder_report import InputFault
from ingest.protocols.whip.media.track import TrackStatistics

# Seconds that are looked back: longer than a burst, and soon over when a publisher has mended what it was told.
WINDOW: Final = 10.0
# Of observations within the window, however often there are some.
MAX_OBSERVATIONS: Final = 64
# Of all packets, whether they came when they were asked for again or not. Senders that adapt stay below a
# tenth, and take less than a fiftieth for chance (draft-ietf-rmcat-gcc-02, 6): between, the path is at its end.
LOSS: Final = 0.05
# Of all packets, lost for good: of 300 a second some in each group of pictures, which is broken by each.
UNREPAIRED_LOSS: Final = 0.005
# Of fewer packets a single one is a share: half a second of video, or four of sound.
MIN_PACKETS: Final = 200


class _Counts(NamedTuple):
    at: float
    packets: int
    lost: int
    recovered: int
    b_frames: int


class ReceptionMonitor:
    """Watches what is counted of one publisher's tracks; times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._counts: deque[_Counts] = deque([_Counts(0.0, 0, 0, 0, 0)], maxlen=MAX_OBSERVATIONS)

    def observe(self, tracks: Iterable[TrackStatistics], *, now: float) -> None:
        """Take note of what was counted until *now*, about once a second."""
        tracks = tuple(tracks)
        counts = _Counts(
            now,
            sum(track.packets for track in tracks),
            sum(track.lost for track in tracks),
            sum(track.recovered for track in tracks),
            sum(track.b_frames for track in tracks),
        )
        self._counts.append(counts)
        while len(self._counts) > 1 and now - self._counts[1].at >= WINDOW:
            self._counts.popleft()

    def faults(self) -> tuple[InputFault, ...]:
        """What is wrong now."""
        before, now = self._counts[0], self._counts[-1]
        lost, recovered = now.lost - before.lost, now.recovered - before.recovered
        sent = now.packets - before.packets + lost
        loses = sent >= MIN_PACKETS and (lost >= UNREPAIRED_LOSS * sent or lost + recovered >= LOSS * sent)
        found = ((InputFault.PACKET_LOSS, loses), (InputFault.B_FRAMES, now.b_frames > before.b_frames))
        return tuple(fault for fault, present in found if present)
