"""Playlists as text (RFC 8216bis, section 4)."""

from collections.abc import Iterator

from bucketcast.hls.attributes import render_attributes, render_date_time, render_duration
from bucketcast.hls.media_playlist import MediaPlaylist
from bucketcast.hls.multivariant_playlist import MultivariantPlaylist, VariantStream
from bucketcast.hls.segment import MediaSegment


def render(playlist: MediaPlaylist | MultivariantPlaylist) -> str:
    """Return *playlist* as text: equal playlists give equal texts, and `parse` gives them back."""
    lines = _media_lines(playlist) if isinstance(playlist, MediaPlaylist) else _multivariant_lines(playlist)
    return "".join(f"{line}\n" for line in lines)


def _header_lines(playlist: MediaPlaylist | MultivariantPlaylist) -> Iterator[str]:
    yield "#EXTM3U"
    yield f"#EXT-X-VERSION:{playlist.version}"
    if playlist.independent_segments:
        yield "#EXT-X-INDEPENDENT-SEGMENTS"


def _media_lines(playlist: MediaPlaylist) -> Iterator[str]:
    yield from _header_lines(playlist)
    yield f"#EXT-X-TARGETDURATION:{playlist.target_duration}"
    if playlist.playlist_type is not None:
        yield f"#EXT-X-PLAYLIST-TYPE:{playlist.playlist_type}"
    yield f"#EXT-X-MEDIA-SEQUENCE:{playlist.media_sequence}"
    yield f"#EXT-X-DISCONTINUITY-SEQUENCE:{playlist.discontinuity_sequence}"
    for segment in playlist.segments:
        yield from _segment_lines(segment)
    if playlist.ended:
        yield "#EXT-X-ENDLIST"


def _segment_lines(segment: MediaSegment) -> Iterator[str]:
    if segment.discontinuity:
        yield "#EXT-X-DISCONTINUITY"
    if segment.program_date_time is not None:
        yield f"#EXT-X-PROGRAM-DATE-TIME:{render_date_time(segment.program_date_time)}"
    if segment.gap:
        yield "#EXT-X-GAP"
    yield f"#EXTINF:{render_duration(segment.duration)},"
    yield segment.uri


def _multivariant_lines(playlist: MultivariantPlaylist) -> Iterator[str]:
    yield from _header_lines(playlist)
    for variant_stream in playlist.variant_streams:
        yield f"#EXT-X-STREAM-INF:{render_attributes(_stream_inf(variant_stream))}"
        yield variant_stream.uri


def _stream_inf(variant_stream: VariantStream) -> Iterator[tuple[str, str]]:
    yield "BANDWIDTH", str(variant_stream.bandwidth)
    if variant_stream.average_bandwidth is not None:
        yield "AVERAGE-BANDWIDTH", str(variant_stream.average_bandwidth)
    if variant_stream.codecs is not None:
        yield "CODECS", f'"{variant_stream.codecs}"'
    if variant_stream.resolution is not None:
        yield "RESOLUTION", f"{variant_stream.resolution.width}x{variant_stream.resolution.height}"
    if variant_stream.frame_rate is not None:
        thousandths = int(variant_stream.frame_rate * 1000)
        yield "FRAME-RATE", f"{thousandths // 1000}.{thousandths % 1000:03}"
