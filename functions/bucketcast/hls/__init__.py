"""Playlists of HTTP Live Streaming (RFC 8216bis): values, and their text in both directions.

Built is what we publish: segments with duration, date, discontinuity and gap, and variant streams. Byte
ranges, keys, initialization sections and parts would each become a field of MediaSegment beside these.
"""

from bucketcast.hls.media_playlist import MediaPlaylist, NumberedSegment, PlaylistType
from bucketcast.hls.multivariant_playlist import MultivariantPlaylist, Resolution, VariantStream
from bucketcast.hls.parse import parse
from bucketcast.hls.render import render
from bucketcast.hls.segment import MediaSegment

__all__ = [
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
