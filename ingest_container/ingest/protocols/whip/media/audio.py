"""An Opus track's packets, in order, as the sound of a feed."""

from ingest.feed.frames import AudioCodec, CodecConfiguration, FeedItem, Track
from ingest.protocols.whip.media.clock import ClockMapper
from ingest.protocols.whip.media.opus import is_packet, opus_head
from ingest.protocols.whip.media.reordering import Numbered
from ingest.protocols.whip.media.timing import FramePlacer, TrackFrame


class AudioFrames:
    """Makes feed items of Opus packets of *channels*; what is lost is left out."""

    def __init__(self, channels: int, clock: ClockMapper) -> None:
        self.placer = FramePlacer(Track.AUDIO, clock)
        self.dropped = 0
        self.malformed = 0
        self.configuration = CodecConfiguration(codec=AudioCodec.OPUS, data=opus_head(channels))
        """What the negotiation says already: sound may come long after the first picture."""

    def restart(self) -> None:
        """Begin with another source."""
        self.placer.restart()

    def take(self, numbered: Numbered) -> list[FeedItem]:
        """Take the next packet, and return what it makes complete."""
        _, packet = numbered
        if not packet.payload:  # it probes the bandwidth
            return []
        if not is_packet(packet.payload):
            self.malformed += 1
            self.dropped += 1
            return []
        return self.placer.place(TrackFrame(packet.timestamp, packet.arrived, True, packet.payload, None))
