"""How many bits a second a rung takes: what the encoder is held to, and what a playlist may therefore declare.

The encoder's flags and the declared BANDWIDTH come from the same constants, so that the declaration holds by
construction: a decoder's buffer (VBV, ITU-T H.264 Annex C) of `buffer_size` bits that is filled at `max_rate`
never lets more than max_rate * t + buffer_size bits into any span of t seconds.
"""

from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.configuration import RungConfiguration
from bucketcast.stream.identifiers import BitsPerSecond

# A little above the average, so that the encoder can make good in hard scenes what it saved in easy ones.
_MAX_RATE_FACTOR = Fraction(107, 100)
# One second of the average: enough for a keyframe in good quality; more would only raise the declared peak,
# which keeps players on lower rungs.
_BUFFER_SECONDS = Fraction(1)

# What a segment's audio may exceed its average by: FFmpeg's AAC encoder holds its rate over some seconds only.
_AUDIO_PEAK_FACTOR = Fraction(125, 100)
# One 188-byte packet carries at most 184 bytes of payload.
_PACKET_BYTES, _PACKET_PAYLOAD_BYTES = 188, 184
# Around every picture: PES header with two timestamps (19), clock reference (8), access unit delimiter (6),
# and the stuffing of its last packet, which is less than a packet.
_BYTES_AROUND_A_PICTURE = 19 + 8 + 6 + _PACKET_BYTES
# The most pictures a second that a session is encoded at.
_MAX_PICTURES_PER_SECOND = 60
# Every AAC frame (1024 samples at 48 kHz) travels alone: ADTS (7) and PES header (14), and the same stuffing.
_BYTES_AROUND_AN_AUDIO_FRAME = 7 + 14 + _PACKET_BYTES
_AUDIO_FRAMES_PER_SECOND = Fraction(48_000, 1024)
# Program tables once a segment: service description, association, map.
_TABLE_BYTES = 3 * _PACKET_BYTES


def max_rate(video_bitrate: BitsPerSecond) -> BitsPerSecond:
    """The rate at which the decoder's buffer of a rung of *video_bitrate* fills (x264's vbv-maxrate)."""
    return BitsPerSecond(int(video_bitrate * _MAX_RATE_FACTOR))


def buffer_size(video_bitrate: BitsPerSecond) -> int:
    """The bits that the decoder's buffer of a rung of *video_bitrate* holds (x264's vbv-bufsize)."""
    return int(video_bitrate * _BUFFER_SECONDS)


def declared_bandwidth(
    rung: RungConfiguration, audio_bitrate: BitsPerSecond, segment_duration: timedelta
) -> BitsPerSecond:
    """The bit rate that no segment of *rung* exceeds, transport stream included.

    RFC 8216bis, 4.4.6.2: BANDWIDTH "represents the peak segment bit rate of the Variant Stream".
    """
    seconds = Fraction(segment_duration // timedelta(microseconds=1), 1_000_000)
    video = max_rate(rung.video_bitrate) + buffer_size(rung.video_bitrate) / seconds
    audio = audio_bitrate * _AUDIO_PEAK_FACTOR
    around = (
        _MAX_PICTURES_PER_SECOND * _BYTES_AROUND_A_PICTURE
        + _AUDIO_FRAMES_PER_SECOND * _BYTES_AROUND_AN_AUDIO_FRAME
        + _TABLE_BYTES / seconds
    )
    return BitsPerSecond(int(_in_packets(video + audio + 8 * around)))


def _in_packets(bits: Fraction) -> Fraction:
    """*bits* of payload, with the header of every packet."""
    return bits * Fraction(_PACKET_BYTES, _PACKET_PAYLOAD_BYTES)
