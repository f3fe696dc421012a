"""The feed: a session's encoded frames, in groups that start at a keyframe.

Protocols (RTMP, WHIP) end in a feed and FFmpeg reads one, so nothing behind this package knows how
the frames came in, and a feed can cross a process or a network.
"""

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec

__all__ = ["AudioCodec", "CodecConfiguration", "EncodedFrame", "FeedItem", "Track", "VideoCodec"]
