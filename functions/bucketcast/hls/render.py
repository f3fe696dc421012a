"""Playlists as text (RFC 8216bis, section 4)."""

from collections.abc import Iterator

from bucketcast.hls.attributes import render_attributes, render_date_time, render_duration
from bucketcast.hls.media_playlist import MediaPlaylist
from bucketcast.hls.multivariant_playlist import IFrameStream, MultivariantPlaylist, VariantStream
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
    if playlist.i_frames_only:
        yield "#EXT-X-I-FRAMES-ONLY"
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
    if segment.byte_range is not None:
        yield f"#EXT-X-BYTERANGE:{segment.byte_range.length}@{segment.byte_range.offset}"
    yield segment.uri


def _multivariant_lines(playlist: MultivariantPlaylist) -> Iterator[str]:
    yield from _header_lines(playlist)
    for variant_stream in playlist.variant_streams:
        yield f"#EXT-X-STREAM-INF:{render_attributes(_stream_inf(variant_stream))}"
        yield variant_stream.uri
    for i_frame_stream in playlist.i_frame_streams:
        attributes = [*_common(i_frame_stream), ("URI", f'"{i_frame_stream.uri}"')]
        yield f"#EXT-X-I-FRAME-STREAM-INF:{render_attributes(attributes)}"


def _common(stream: VariantStream | IFrameStream) -> Iterator[tuple[str, str]]:
    yield "BANDWIDTH", str(stream.bandwidth)
    if stream.average_bandwidth is not None:
        yield "AVERAGE-BANDWIDTH", str(stream.average_bandwidth)
    if stream.codecs is not None:
        yield "CODECS", f'"{stream.codecs}"'
    if stream.resolution is not None:
        yield "RESOLUTION", f"{stream.resolution.width}x{stream.resolution.height}"


def _stream_inf(variant_stream: VariantStream) -> Iterator[tuple[str, str]]:
    yield from _common(variant_stream)
    if variant_stream.frame_rate is not None:
        thousandths = int(variant_stream.frame_rate * 1000)
        yield "FRAME-RATE", f"{thousandths // 1000}.{thousandths % 1000:03}"
