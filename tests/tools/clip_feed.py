"""A media file as the feed that a broadcaster would make of it."""

from datetime import timedelta
from pathlib import Path

import av

from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec


def read_feed(path: Path) -> list[FeedItem]:
    """Return the feed of the media file at *path*, with times in whole milliseconds, as RTMP has them."""
    items: list[FeedItem] = []
    with av.open(str(path), mode="r") as container:
        for stream in container.streams:
            codec = VideoCodec.H264 if stream.type == "video" else AudioCodec.AAC
            items.append(CodecConfiguration(codec=codec, data=bytes(stream.codec_context.extradata or b"")))
        for packet in container.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            items.append(
                EncodedFrame(
                    track=Track(packet.stream.type),
                    decode_time=timedelta(milliseconds=round(packet.dts * packet.time_base * 1000)),
                    presentation_time=timedelta(milliseconds=round(packet.pts * packet.time_base * 1000)),
                    keyframe=packet.is_keyframe,
                    data=bytes(packet),
                )
            )
    return items
