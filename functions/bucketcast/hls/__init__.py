"""Playlists of HTTP Live Streaming (RFC 8216bis): values, and their text in both directions.

Built is what we publish: segments with duration, date, discontinuity, gap and byte range, variant streams and
their I-frames. Keys, initialization sections and parts would each become a field of MediaSegment beside these.
"""

from bucketcast.hls.media_playlist import MediaPlaylist, NumberedSegment, PlaylistType
from bucketcast.hls.multivariant_playlist import (
    IFrameStream,
    MultivariantPlaylist,
    Resolution,
    VariantStream,
)
from bucketcast.hls.parse import parse
from bucketcast.hls.render import render
from bucketcast.hls.segment import ByteRange, MediaSegment

__all__ = [
    "ByteRange",
    "IFrameStream",
    "MediaPlaylist",
    "MediaSegment",
    "MultivariantPlaylist",
    "NumberedSegment",
    "PlaylistType",
    "Resolution",
    "VariantStream",
    "parse",
    "render",
]
