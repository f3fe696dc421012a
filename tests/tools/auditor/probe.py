"""Looks into the bytes of a segment, without decoding its pictures."""

import io
import re
from fractions import Fraction

import av

from tools.auditor.journal import MediaFacts

# ITU-T H.264, 7.3.2.1.1: behind a sequence parameter set's header stand profile, constraints and level.
_SEQUENCE_PARAMETER_SET = re.compile(rb"\x00\x00\x01[\x27\x47\x67](...)", re.DOTALL)
# ISO/IEC 14496-3, table 1.17, as RFC 6381 writes them.
_AAC_OBJECT_TYPES = {"LC": "mp4a.40.2", "HE-AAC": "mp4a.40.5", "HE-AACv2": "mp4a.40.29"}


def probe(segment: bytes) -> MediaFacts:
    """Return the facts of *segment*, an MPEG-2 TS with H.264 video; raises ValueError if it is none."""
    with av.open(io.BytesIO(segment), mode="r", format="mpegts") as container:
        if not container.streams.video:
            raise ValueError("the segment has no video")
        video = container.streams.video[0]
        packets = [packet for packet in container.demux(video) if packet.pts is not None]
        if not packets:
            raise ValueError("the segment has no frame")
        times = sorted((packet.pts or 0) * Fraction(packet.time_base or 0) for packet in packets)
        # All frames last equally long; a single one lasts what its stream says.
        frame = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else _frame_duration(video)
        return MediaFacts(
            codecs=_codecs(container, bytes(packets[0])),
            width=video.codec_context.width,
            height=video.codec_context.height,
            frames=len(times),
            start=times[0],
            duration=times[-1] - times[0] + frame,
            starts_with_keyframe=packets[0].is_keyframe,
        )


def _frame_duration(video: av.VideoStream) -> Fraction:
    rate = video.codec_context.framerate
    if not rate:
        raise ValueError("the segment has one frame, and says nothing of a frame rate")
    return 1 / Fraction(rate)


def _codecs(container: av.container.InputContainer, picture: bytes) -> frozenset[str]:
    """What the tracks of *container* are; *picture* is the first one, out of its packets."""
    codecs: set[str] = set()
    for stream in container.streams:
        name = stream.codec_context.name
        if name == "h264" and (match := _SEQUENCE_PARAMETER_SET.search(picture)):
            codecs.add(f"avc1.{match[1].hex()}")
        elif name == "aac":
            codecs.add(_AAC_OBJECT_TYPES.get(stream.codec_context.profile or "", "mp4a.40"))
        else:
            codecs.add(name)
    return frozenset(codecs)
