"""Text to playlists (RFC 8216bis, section 4), strictly: what breaks a rule is refused, with the remedy.

Unknown tags and attributes are ignored, as section 6.3.1 demands. So are the titles of segments, and those
tags of the RFC that tell a player more without changing what a line means; tags that do are refused.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from bucketcast.errors import InvalidInput, PlaylistSyntaxError
from bucketcast.hls.attributes import (
    is_uri,
    read_attributes,
    read_date_time,
    read_duration,
    read_integer,
    read_quoted,
)
from bucketcast.hls.media_playlist import MediaPlaylist, PlaylistType
from bucketcast.hls.multivariant_playlist import (
    IFrameStream,
    MultivariantPlaylist,
    Resolution,
    VariantStream,
)
from bucketcast.hls.segment import ByteRange, MediaSegment

# The newest protocol version that the draft describes.
MAX_VERSION = 13

_VALUELESS_TAGS = frozenset(
    {
        "EXTM3U",
        "EXT-X-INDEPENDENT-SEGMENTS",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-ENDLIST",
        "EXT-X-DISCONTINUITY",
        "EXT-X-GAP",
    }
)
_MEDIA_PLAYLIST_TAGS = frozenset(
    {
        "EXT-X-TARGETDURATION",
        "EXT-X-MEDIA-SEQUENCE",
        "EXT-X-DISCONTINUITY-SEQUENCE",
        "EXT-X-ENDLIST",
        "EXT-X-PLAYLIST-TYPE",
        "EXT-X-I-FRAMES-ONLY",
        "EXT-X-PART-INF",
        "EXT-X-SERVER-CONTROL",
    }
)
_SEGMENT_TAGS = frozenset(
    {"EXTINF", "EXT-X-BYTERANGE", "EXT-X-DISCONTINUITY", "EXT-X-PROGRAM-DATE-TIME", "EXT-X-GAP"}
)
_OTHER_MEDIA_TAGS = frozenset(
    {
        "EXT-X-BITRATE",
        "EXT-X-PART",
        "EXT-X-DATERANGE",
        "EXT-X-PRELOAD-HINT",
        "EXT-X-RENDITION-REPORT",
    }
)
_MULTIVARIANT_TAGS = frozenset(
    {
        "EXT-X-STREAM-INF",
        "EXT-X-MEDIA",
        "EXT-X-I-FRAME-STREAM-INF",
        "EXT-X-SESSION-DATA",
        "EXT-X-SESSION-KEY",
        "EXT-X-CONTENT-STEERING",
    }
)
_ONCE_ONLY_TAGS = _MEDIA_PLAYLIST_TAGS | {
    "EXTM3U",
    "EXT-X-VERSION",
    "EXT-X-INDEPENDENT-SEGMENTS",
    "EXT-X-START",
}
# These say which bytes a segment is, or what a line means: to ignore one would be to misread the playlist.
_UNREAD_TAGS = frozenset({"EXT-X-KEY", "EXT-X-MAP", "EXT-X-SKIP", "EXT-X-DEFINE"})
_TAG = re.compile(r"#(EXT[^:\s]*)(?::(.*))?")
_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\ufeff\ud800-\udfff]")
_RESOLUTION = re.compile(r"([0-9]+)x([0-9]+)")
_FRAME_RATE = re.compile(r"[0-9]{1,6}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tag:
    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Uri:
    text: str
    line: int


def parse(text: str) -> MediaPlaylist | MultivariantPlaylist:
    """Return the playlist that *text* is, or raise PlaylistSyntaxError: in which line, and what to change."""
    entries = tuple(_entries(text))
    once_only = _once_only(entries)
    names = {entry.name: entry.line for entry in entries if isinstance(entry, _Tag)}
    media = names.keys() & (_MEDIA_PLAYLIST_TAGS | _SEGMENT_TAGS | _OTHER_MEDIA_TAGS)
    multivariant = names.keys() & _MULTIVARIANT_TAGS
    # Section 4.4.6: "clients MUST fail to parse any Playlist that contains both a Multivariant Playlist tag
    # and either a Media Playlist tag or a Media Segment tag."
    if media and multivariant:
        raise PlaylistSyntaxError(
            f"{min(media)} and {min(multivariant)} belong into different playlists: write two",
            line=max(min(names[name] for name in media), min(names[name] for name in multivariant)),
        )
    # Section 4.1: "A Playlist with no Multivariant Playlist Tags or Media Tags SHOULD be treated as an empty
    # Multivariant Playlist."
    return _media_playlist(entries, once_only) if media else _multivariant_playlist(entries, once_only)


def _entries(text: str) -> Iterator[_Tag | _Uri]:
    *lines, rest = text.split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    # Section 4.4.1.1: "It MUST be the first line of every Media Playlist and every Multivariant Playlist."
    if [*lines, rest][0] != "#EXTM3U":
        raise PlaylistSyntaxError("start the playlist with the line #EXTM3U", line=1)
    # Section 4.1: "Lines in a Playlist file are terminated by" LF or CR LF; a playlist without was cut off.
    if rest:
        raise PlaylistSyntaxError("end the last line with a line feed", line=len(lines) + 1)
    for number, line in enumerate(lines, 1):
        entry = _entry(line, number)
        if entry is not None:
            yield entry


def _entry(line: str, number: int) -> _Tag | _Uri | None:
    # Section 4.1: playlists "MUST NOT contain any Byte Order Mark" nor "UTF-8 control characters"; "All
    # character sequences MUST be normalized according to Unicode normalization form 'NFC'".
    if _FORBIDDEN_CHARACTER.search(line) or not unicodedata.is_normalized("NFC", line):
        raise PlaylistSyntaxError(
            "leave out control characters, and write Unicode text in its NFC form", line=number
        )
    # Section 4.1: "Each line is a URI, is blank, or starts with the character '#'. Blank lines are ignored."
    # Lines with '#' that are no tags "are comments and SHOULD be ignored".
    if not line or (line.startswith("#") and not line.startswith("#EXT")):
        return None
    if line.startswith("#EXT"):
        return _tag(line, number)
    if not is_uri(line):
        raise PlaylistSyntaxError("write a URI of the characters of RFC 3986, without spaces", line=number)
    return _Uri(text=line, line=number)


def _tag(line: str, number: int) -> _Tag:
    match = _TAG.fullmatch(line)
    # Section 4.1: "Whitespace MUST NOT be present, except for elements in which it is explicitly specified."
    if not match:
        raise PlaylistSyntaxError("leave out the space in the tag's name", line=number)
    name, value = match.groups()
    if name in _UNREAD_TAGS:
        raise PlaylistSyntaxError(
            f"{name} changes what a line means and is not read here: leave it out", line=number
        )
    if name in _VALUELESS_TAGS and value is not None:
        raise PlaylistSyntaxError(f"{name} takes no value: end the line after its name", line=number)
    return _Tag(name=name, value=value or "", line=number)


def _once_only(entries: Sequence[_Tag | _Uri]) -> Mapping[str, _Tag]:
    found: dict[str, _Tag] = {}
    for entry in entries:
        if isinstance(entry, _Tag) and entry.name in _ONCE_ONLY_TAGS:
            # Section 4.4.1.2: "If a client encounters a Playlist with multiple EXT-X-VERSION tags, it MUST
            # fail to parse it." Sections 4.4.2 and 4.4.3 say the same of their tags.
            if entry.name in found:
                raise PlaylistSyntaxError(
                    f"write {entry.name} once: it stands in line {found[entry.name].line} already",
                    line=entry.line,
                )
            found[entry.name] = entry
    return found


def _integer_of(tags: Mapping[str, _Tag], name: str, default: int) -> int:
    return read_integer(tags[name].value, line=tags[name].line) if name in tags else default


def _version(once_only: Mapping[str, _Tag]) -> int:
    version = _integer_of(once_only, "EXT-X-VERSION", 1)
    # Section 8: "A client MUST NOT attempt playback if it does not support the protocol version specified".
    if not 1 <= version <= MAX_VERSION:
        raise PlaylistSyntaxError(
            f"write a version from 1 to {MAX_VERSION}", line=once_only["EXT-X-VERSION"].line
        )
    return version


def _media_playlist(entries: Sequence[_Tag | _Uri], once_only: Mapping[str, _Tag]) -> MediaPlaylist:
    # Section 4.4.3.1: "The EXT-X-TARGETDURATION tag is REQUIRED."
    if "EXT-X-TARGETDURATION" not in once_only:
        raise PlaylistSyntaxError("add an EXT-X-TARGETDURATION tag", line=1)
    _check_order(entries, once_only)
    version = _version(once_only)
    target_duration = _integer_of(once_only, "EXT-X-TARGETDURATION", 0)
    try:
        playlist = MediaPlaylist(
            target_duration=target_duration,
            media_sequence=_integer_of(once_only, "EXT-X-MEDIA-SEQUENCE", 0),
            discontinuity_sequence=_integer_of(once_only, "EXT-X-DISCONTINUITY-SEQUENCE", 0),
            independent_segments="EXT-X-INDEPENDENT-SEGMENTS" in once_only,
            playlist_type=_playlist_type(once_only),
            i_frames_only=_i_frames_only(once_only, version),
            ended="EXT-X-ENDLIST" in once_only,
            segments=tuple(_segments(entries, version, target_duration)),
        )
    except PlaylistSyntaxError:
        raise
    except InvalidInput as error:
        raise PlaylistSyntaxError(str(error), line=once_only["EXT-X-TARGETDURATION"].line) from error
    return playlist


def _check_order(entries: Sequence[_Tag | _Uri], once_only: Mapping[str, _Tag]) -> None:
    first = min(
        (entry.line for entry in entries if isinstance(entry, _Uri) or entry.name in _SEGMENT_TAGS),
        default=None,
    )
    for name in ("EXT-X-MEDIA-SEQUENCE", "EXT-X-DISCONTINUITY-SEQUENCE"):
        # Sections 4.4.3.2 and 4.4.3.3: each "MUST appear before the first Media Segment in the Playlist", the
        # latter also "before any EXT-X-DISCONTINUITY tag".
        if first is not None and name in once_only and once_only[name].line > first:
            raise PlaylistSyntaxError(
                f"move {name} before the first segment and its tags", line=once_only[name].line
            )


def _playlist_type(once_only: Mapping[str, _Tag]) -> PlaylistType | None:
    tag = once_only.get("EXT-X-PLAYLIST-TYPE")
    if tag is None:
        return None
    if tag.value not in frozenset(PlaylistType):
        raise PlaylistSyntaxError("write EVENT or VOD", line=tag.line)
    return PlaylistType(tag.value)


def _i_frames_only(once_only: Mapping[str, _Tag], version: int) -> bool:
    tag = once_only.get("EXT-X-I-FRAMES-ONLY")
    _check_version(tag, version)
    return tag is not None


def _check_version(tag: _Tag | None, version: int) -> None:
    # Sections 4.4.3.6 and 4.4.4.2: use "REQUIRES a compatibility version number of 4 or greater".
    if tag is not None and version < 4:
        raise PlaylistSyntaxError(f"give EXT-X-VERSION 4 or higher: {tag.name} needs it", line=tag.line)


def _segments(entries: Sequence[_Tag | _Uri], version: int, target_duration: int) -> Iterator[MediaSegment]:
    tags: dict[str, _Tag] = {}
    before: MediaSegment | None = None
    for entry in entries:
        if isinstance(entry, _Uri):
            before = _segment(entry, tags, before, version, target_duration)
            yield before
            tags = {}
        elif entry.name in tags:
            raise PlaylistSyntaxError(f"write {entry.name} once before a segment", line=entry.line)
        elif entry.name in _SEGMENT_TAGS:
            tags[entry.name] = entry
    for tag in tags.values():
        raise PlaylistSyntaxError(f"add the URI line of the segment that {tag.name} speaks of", line=tag.line)


def _segment(
    uri: _Uri, tags: Mapping[str, _Tag], before: MediaSegment | None, version: int, target_duration: int
) -> MediaSegment:
    # Section 4.4.4.1: "This tag is REQUIRED for each Media Segment."
    if "EXTINF" not in tags:
        raise PlaylistSyntaxError("add an EXTINF tag before the segment's URI", line=uri.line)
    date_time = tags.get("EXT-X-PROGRAM-DATE-TIME")
    return MediaSegment(
        uri=uri.text,
        duration=_extinf(tags["EXTINF"], version, target_duration),
        program_date_time=None if date_time is None else read_date_time(date_time.value, line=date_time.line),
        discontinuity="EXT-X-DISCONTINUITY" in tags,
        gap="EXT-X-GAP" in tags,
        byte_range=_byte_range(uri, tags.get("EXT-X-BYTERANGE"), before, version),
    )


def _byte_range(uri: _Uri, tag: _Tag | None, before: MediaSegment | None, version: int) -> ByteRange | None:
    if tag is None:
        return None
    _check_version(tag, version)
    # Section 4.4.4.2: "#EXT-X-BYTERANGE:<n>[@<o>]"
    length, at, offset = tag.value.partition("@")
    try:
        return ByteRange(
            length=read_integer(length, line=tag.line),
            offset=read_integer(offset, line=tag.line) if at else _next_offset(uri, tag, before),
        )
    except PlaylistSyntaxError:
        raise
    except InvalidInput as error:
        raise PlaylistSyntaxError(str(error), line=tag.line) from error


def _next_offset(uri: _Uri, tag: _Tag, before: MediaSegment | None) -> int:
    # Section 4.4.4.2: "If o is not present, a previous Media Segment MUST appear in the Playlist file and MUST
    # be a sub-range of the same media resource"
    if before is None or before.uri != uri.text or before.byte_range is None:
        raise PlaylistSyntaxError(
            "give the byte range an offset, as in 1000@0: the segment before is of another resource",
            line=tag.line,
        )
    return before.byte_range.end


def _extinf(tag: _Tag, version: int, target_duration: int) -> timedelta:
    # Section 4.4.4.1: "#EXTINF:<duration>,[<title>]"
    seconds, comma, _ = tag.value.partition(",")
    if not comma:
        raise PlaylistSyntaxError("write a comma after the duration", line=tag.line)
    duration = read_duration(seconds, line=tag.line)
    # Section 4.4.4.1: "if the compatibility version number is less than 3, durations MUST be integers".
    if "." in seconds and version < 3:
        raise PlaylistSyntaxError("give EXT-X-VERSION 3 or higher: the duration has decimals", line=tag.line)
    # Section 8: "In protocol version 5 and earlier it indicated the maximum segment duration".
    if duration > timedelta(seconds=target_duration) and version < 6:
        raise PlaylistSyntaxError(
            "give EXT-X-VERSION 6 or higher: only the rounded duration keeps to the target duration",
            line=tag.line,
        )
    return duration


def _multivariant_playlist(
    entries: Sequence[_Tag | _Uri], once_only: Mapping[str, _Tag]
) -> MultivariantPlaylist:
    _version(once_only)
    return MultivariantPlaylist(
        variant_streams=tuple(_variant_streams(entries)),
        i_frame_streams=tuple(
            _i_frame_stream(entry)
            for entry in entries
            if isinstance(entry, _Tag) and entry.name == "EXT-X-I-FRAME-STREAM-INF"
        ),
        independent_segments="EXT-X-INDEPENDENT-SEGMENTS" in once_only,
    )


def _variant_streams(entries: Sequence[_Tag | _Uri]) -> Iterator[VariantStream]:
    tag: _Tag | None = None
    for entry in entries:
        if isinstance(entry, _Uri):
            if tag is None:
                raise PlaylistSyntaxError("add an EXT-X-STREAM-INF tag before the URI", line=entry.line)
            yield _variant_stream(entry, tag)
            tag = None
        elif entry.name == "EXT-X-STREAM-INF":
            _check_uri_line_came(tag)
            tag = entry
    _check_uri_line_came(tag)


def _check_uri_line_came(tag: _Tag | None) -> None:
    # Section 4.4.6.2: "The URI line is REQUIRED."
    if tag is not None:
        raise PlaylistSyntaxError("write the URI line after EXT-X-STREAM-INF", line=tag.line)


def _variant_stream(uri: _Uri, tag: _Tag) -> VariantStream:
    attributes = read_attributes(tag.value, line=tag.line)
    average_bandwidth, codecs = attributes.get("AVERAGE-BANDWIDTH"), attributes.get("CODECS")
    try:
        return VariantStream(
            uri=uri.text,
            bandwidth=_bandwidth(attributes, tag.line),
            average_bandwidth=None
            if average_bandwidth is None
            else read_integer(average_bandwidth, line=tag.line),
            codecs=None if codecs is None else read_quoted(codecs, line=tag.line),
            resolution=_resolution(attributes, tag.line),
            frame_rate=_frame_rate(attributes, tag.line),
        )
    except PlaylistSyntaxError:
        raise
    except InvalidInput as error:
        raise PlaylistSyntaxError(str(error), line=tag.line) from error


def _i_frame_stream(tag: _Tag) -> IFrameStream:
    attributes = read_attributes(tag.value, line=tag.line)
    # Section 4.4.6.3: "Every EXT-X-I-FRAME-STREAM-INF tag MUST include a BANDWIDTH attribute and a URI
    # attribute."
    if "URI" not in attributes:
        raise PlaylistSyntaxError("add the URI attribute", line=tag.line)
    average_bandwidth, codecs = attributes.get("AVERAGE-BANDWIDTH"), attributes.get("CODECS")
    try:
        return IFrameStream(
            uri=read_quoted(attributes["URI"], line=tag.line),
            bandwidth=_bandwidth(attributes, tag.line),
            average_bandwidth=None
            if average_bandwidth is None
            else read_integer(average_bandwidth, line=tag.line),
            codecs=None if codecs is None else read_quoted(codecs, line=tag.line),
            resolution=_resolution(attributes, tag.line),
        )
    except PlaylistSyntaxError:
        raise
    except InvalidInput as error:
        raise PlaylistSyntaxError(str(error), line=tag.line) from error


def _bandwidth(attributes: Mapping[str, str], line: int) -> int:
    # Section 4.4.6.2: "Every EXT-X-STREAM-INF tag MUST include the BANDWIDTH attribute."
    if "BANDWIDTH" not in attributes:
        raise PlaylistSyntaxError("add the BANDWIDTH attribute", line=line)
    return read_integer(attributes["BANDWIDTH"], line=line)


def _resolution(attributes: Mapping[str, str], line: int) -> Resolution | None:
    if "RESOLUTION" not in attributes:
        return None
    match = _RESOLUTION.fullmatch(attributes["RESOLUTION"])
    if not match:
        raise PlaylistSyntaxError("write a resolution as width and height, as in 1280x720", line=line)
    width, height = match.groups()
    return Resolution(width=read_integer(width, line=line), height=read_integer(height, line=line))


def _frame_rate(attributes: Mapping[str, str], line: int) -> Fraction | None:
    if "FRAME-RATE" not in attributes:
        return None
    if not _FRAME_RATE.fullmatch(attributes["FRAME-RATE"]):
        raise PlaylistSyntaxError("write a frame rate with three decimals, as in 29.970", line=line)
    return Fraction(attributes["FRAME-RATE"])
