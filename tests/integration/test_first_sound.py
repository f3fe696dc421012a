"""From a WebRTC publisher's first packets to what is encoded: the first sound is heard, where it belongs."""

from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bucketcast.codecs.opus import packet_duration, silent_packet
from bucketcast.stream.identifiers import BitsPerSecond
from ingest.encode.intake import Intake
from ingest.encode.opening import Opening
from ingest.feed import AudioCodec, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata
from ingest.protocols.whip.media import MediaReceiver, TrackFormat
from tools.rtp_link import Link
from tools.rtp_streams import Arrival, RtpSource, filling, h264_frames, h264_packets, opus_packet

VIDEO = TrackFormat(track=Track.VIDEO, codec=VideoCodec.H264, payload_type=96, clock_rate=90_000)
AUDIO = TrackFormat(track=Track.AUDIO, codec=AudioCodec.OPUS, payload_type=111, clock_rate=48_000, channels=2)
RATE, SECONDS = 30, 4
SILENCE = {silent_packet(2, milliseconds) for milliseconds in (20, 10, 5, 2.5)}
PACKET = timedelta(milliseconds=20)


def pictures(begin: float) -> list[Arrival]:
    frames = h264_frames(RATE * SECONDS, bytes_per_frame=50, keyframe_bytes=50)
    packets = h264_packets(frames, RtpSource())
    return [
        Arrival(at=begin + int.from_bytes(packet[4:8]) / VIDEO.clock_rate, data=packet) for packet in packets
    ]


def sound(begin: float) -> list[Arrival]:
    source = RtpSource(ssrc=7, payload_type=AUDIO.payload_type)
    return [
        Arrival(
            at=begin + number * PACKET.total_seconds(),
            data=source.packet(opus_packet(filling(80, number)), timestamp=960 * number),
        )
        for number in range(50 * SECONDS)
    ]


def encoded(items: list[FeedItem]) -> tuple[timedelta, list[EncodedFrame]]:
    """The origin of the session that *items* make, and what sound of it reaches the encoder."""
    coming = iter(items)
    opening = Opening(SourceMetadata(frame_rate=Fraction(RATE), adaptive=True))
    opened = next(opened for item in coming if (opened := opening.add(item)) is not None)
    intake = Intake(opened.source, origin=opened.origin)

    def taken() -> Iterator[FeedItem]:
        for item in (*opened.items, *coming):
            yield from intake.take(item)

    return opened.origin, [
        item for item in taken() if isinstance(item, EncodedFrame) and item.track is Track.AUDIO
    ]


@settings(max_examples=25, deadline=None)
@given(st.floats(-2, 1))
def test_all_sound_from_the_first_picture_on_is_heard_whichever_begins_first(later: float) -> None:
    """And what is silent before it meets it exactly.

    A bug: what was held back until its place was known came too late for it.
    """
    receiver = MediaReceiver(
        (VIDEO, AUDIO),
        ssrc=99,
        keyframe_interval=timedelta(seconds=2),
        max_bitrate=BitsPerSecond(2_500_000),
    )
    arrivals = [*pictures(max(0.0, -later)), *sound(max(0.0, later))]
    played = Link(receiver, sorted(arrivals, key=lambda arrival: arrival.at)).play()
    origin, heard = encoded(played.items)
    sent = [frame for frame in played.frames(Track.AUDIO) if frame.decode_time > origin - PACKET]
    came = [frame for frame in heard if frame.data not in SILENCE]
    assert came[-len(sent) :] == sent
    seam = next(number for number, frame in enumerate(heard) if frame.data not in SILENCE)
    for before, after in pairwise(heard[: seam + 1]):
        assert before.decode_time + packet_duration(before.data) == after.decode_time
