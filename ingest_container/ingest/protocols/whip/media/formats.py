"""What was negotiated for each track, as far as its media is concerned."""

from dataclasses import dataclass

from ingest.feed.frames import AudioCodec, Track, VideoCodec


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackFormat:
    """How one track comes, from an offer and its answer.

    *retransmission_payload_type* is that of RFC 4588 for this payload type; *ssrc* and *retransmission_ssrc*
    are what the offer announces, which a sender may change. *nack*, *pli* and *remb* are the feedback that both
    sides agreed upon (RFC 4585, 4.2; draft-alvestrand-rmcat-remb). *parameter_sets* are the H.264 NAL units
    that an offer has in sprop-parameter-sets (RFC 6184, 8.1).
    """

    track: Track
    codec: VideoCodec | AudioCodec
    payload_type: int
    clock_rate: int
    channels: int = 1
    retransmission_payload_type: int | None = None
    ssrc: int | None = None
    retransmission_ssrc: int | None = None
    nack: bool = False
    pli: bool = False
    remb: bool = False
    mid: str = ""
    parameter_sets: tuple[bytes, ...] = ()
