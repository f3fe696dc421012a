"""Whole playlists as text, and what they mean: the table that drives parsing, rendering and fuzzing."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from bucketcast.hls import (
    ByteRange,
    IFrameStream,
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    PlaylistType,
    Resolution,
    VariantStream,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidCase:
    """A playlist's text, its value, and the text that we write for it (None: the very same)."""

    name: str
    text: str
    playlist: MediaPlaylist | MultivariantPlaylist
    rendered: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedCase:
    """A text that is no playlist, the line at fault, and words of the remedy."""

    name: str
    text: str
    line: int
    remedy: str


def _seconds(text: str) -> timedelta:
    return timedelta(microseconds=int(Fraction(text) * 1_000_000))


def _media(*lines: str) -> str:
    return "".join(f"{line}\n" for line in ("#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-TARGETDURATION:2", *lines))


VALID: tuple[ValidCase, ...] = (
    ValidCase(
        name="live",
        text="""\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:17
#EXT-X-DISCONTINUITY-SEQUENCE:1
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:00.000Z
#EXTINF:2.000,
segment_00000002_0000000003.ts
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:02.000Z
#EXT-X-GAP
#EXTINF:1.966667,
segment_00000002_0000000004.ts
#EXT-X-DISCONTINUITY
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:01:00.001001Z
#EXTINF:2.000,
../720p/segment_00000003_0000000000.ts
""",
        playlist=MediaPlaylist(
            target_duration=2,
            media_sequence=17,
            discontinuity_sequence=1,
            independent_segments=True,
            segments=(
                MediaSegment(
                    uri="segment_00000002_0000000003.ts",
                    duration=_seconds("2"),
                    program_date_time=datetime(2026, 11, 22, 18, 0, 0, tzinfo=UTC),
                ),
                MediaSegment(
                    uri="segment_00000002_0000000004.ts",
                    duration=_seconds("1.966667"),
                    program_date_time=datetime(2026, 11, 22, 18, 0, 2, tzinfo=UTC),
                    gap=True,
                ),
                MediaSegment(
                    uri="../720p/segment_00000003_0000000000.ts",
                    duration=_seconds("2"),
                    program_date_time=datetime(2026, 11, 22, 18, 1, 0, 1001, tzinfo=UTC),
                    discontinuity=True,
                ),
            ),
        ),
    ),
    ValidCase(
        name="ended, rounded to the target duration",
        text="""\
#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXTINF:2.002,
0.ts
#EXTINF:2.499999,
1.ts
#EXTINF:0.500,
2.ts
#EXT-X-ENDLIST
""",
        playlist=MediaPlaylist(
            target_duration=2,
            ended=True,
            segments=(
                MediaSegment(uri="0.ts", duration=_seconds("2.002")),
                MediaSegment(uri="1.ts", duration=_seconds("2.499999")),
                MediaSegment(uri="2.ts", duration=_seconds("0.5")),
            ),
        ),
    ),
    ValidCase(
        name="event without segments yet",
        text="""\
#EXTM3U
#EXT-X-VERSION:1
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:EVENT
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
""",
        playlist=MediaPlaylist(target_duration=6, playlist_type=PlaylistType.EVENT),
    ),
    ValidCase(
        name="the simple media playlist of section 9.1",
        text="""\
#EXTM3U
#EXT-X-TARGETDURATION:10
#EXT-X-VERSION:3
#EXTINF:9.009,
http://media.example.com/first.ts
#EXTINF:9.009,
http://media.example.com/second.ts
#EXTINF:3.003,
http://media.example.com/third.ts
#EXT-X-ENDLIST
""",
        playlist=MediaPlaylist(
            target_duration=10,
            ended=True,
            segments=(
                MediaSegment(uri="http://media.example.com/first.ts", duration=_seconds("9.009")),
                MediaSegment(uri="http://media.example.com/second.ts", duration=_seconds("9.009")),
                MediaSegment(uri="http://media.example.com/third.ts", duration=_seconds("3.003")),
            ),
        ),
        rendered="""\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:10
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXTINF:9.009,
http://media.example.com/first.ts
#EXTINF:9.009,
http://media.example.com/second.ts
#EXTINF:3.003,
http://media.example.com/third.ts
#EXT-X-ENDLIST
""",
    ),
    ValidCase(
        name="comments, blank lines, a title, unknown tags, CR LF, another time zone, no version, odd order",
        text="#EXTM3U\r\n"
        "# a comment\r\n"
        "\r\n"
        "#EXT-X-FROM-TOMORROW:whatever it says\r\n"
        "#EXT-X-ENDLIST\r\n"
        "#EXT-X-TARGETDURATION:2\r\n"
        "#EXT-X-PLAYLIST-TYPE:VOD\r\n"
        "#EXTINF:2,The title: änd more\r\n"
        "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T19:00:00.5+0100\r\n"
        "#EXT-X-BITRATE:800\r\n"
        "a.ts?token=1#t=2\r\n",
        playlist=MediaPlaylist(
            target_duration=2,
            playlist_type=PlaylistType.VOD,
            ended=True,
            segments=(
                MediaSegment(
                    uri="a.ts?token=1#t=2",
                    duration=_seconds("2"),
                    program_date_time=datetime(2026, 11, 22, 18, 0, 0, 500_000, tzinfo=UTC),
                ),
            ),
        ),
        rendered="""\
#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:2
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:00.500Z
#EXTINF:2.000,
a.ts?token=1#t=2
#EXT-X-ENDLIST
""",
    ),
    ValidCase(
        name="multivariant",
        text="""\
#EXTM3U
#EXT-X-VERSION:1
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=6600000,AVERAGE-BANDWIDTH=5500000,CODECS="avc1.640028,mp4a.40.2",\
RESOLUTION=1920x1080,FRAME-RATE=29.970
1080p/playlist.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=1200000
360p/playlist.m3u8
""",
        playlist=MultivariantPlaylist(
            independent_segments=True,
            variant_streams=(
                VariantStream(
                    uri="1080p/playlist.m3u8",
                    bandwidth=6_600_000,
                    average_bandwidth=5_500_000,
                    codecs="avc1.640028,mp4a.40.2",
                    resolution=Resolution(width=1920, height=1080),
                    frame_rate=Fraction(30000, 1001),
                ),
                VariantStream(uri="360p/playlist.m3u8", bandwidth=1_200_000),
            ),
        ),
    ),
    ValidCase(
        name="I-frames as byte ranges",
        text="""\
#EXTM3U
#EXT-X-VERSION:4
#EXT-X-TARGETDURATION:6
#EXT-X-PLAYLIST-TYPE:VOD
#EXT-X-I-FRAMES-ONLY
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXTINF:6.000,
#EXT-X-BYTERANGE:9400@564
0.ts
#EXT-X-ENDLIST
""",
        playlist=MediaPlaylist(
            target_duration=6,
            playlist_type=PlaylistType.VOD,
            i_frames_only=True,
            ended=True,
            segments=(
                MediaSegment(uri="0.ts", duration=_seconds("6"), byte_range=ByteRange(length=9400, offset=564)),
            ),
        ),
    ),
    ValidCase(
        name="a byte range without an offset goes on where the one before ended",
        text=_media(
            "#EXTINF:2.0,", "#EXT-X-BYTERANGE:5@7", "a.ts", "#EXTINF:2.0,", "#EXT-X-BYTERANGE:3", "a.ts"
        ),
        playlist=MediaPlaylist(
            target_duration=2,
            segments=(
                MediaSegment(uri="a.ts", duration=_seconds("2"), byte_range=ByteRange(length=5, offset=7)),
                MediaSegment(uri="a.ts", duration=_seconds("2"), byte_range=ByteRange(length=3, offset=12)),
            ),
        ),
        rendered="""\
#EXTM3U
#EXT-X-VERSION:4
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-DISCONTINUITY-SEQUENCE:0
#EXTINF:2.000,
#EXT-X-BYTERANGE:5@7
a.ts
#EXTINF:2.000,
#EXT-X-BYTERANGE:3@12
a.ts
""",
    ),
    ValidCase(
        name="multivariant with I-frames",
        text="""\
#EXTM3U
#EXT-X-VERSION:1
#EXT-X-STREAM-INF:BANDWIDTH=1200000
360p/playlist.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,AVERAGE-BANDWIDTH=80000,CODECS="avc1.64001e",RESOLUTION=640x360,\
URI="360p/iframes.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=10000,URI="144p/iframes.m3u8"
""",
        playlist=MultivariantPlaylist(
            variant_streams=(VariantStream(uri="360p/playlist.m3u8", bandwidth=1_200_000),),
            i_frame_streams=(
                IFrameStream(
                    uri="360p/iframes.m3u8",
                    bandwidth=90_000,
                    average_bandwidth=80_000,
                    codecs="avc1.64001e",
                    resolution=Resolution(width=640, height=360),
                ),
                IFrameStream(uri="144p/iframes.m3u8", bandwidth=10_000),
            ),
        ),
    ),
    ValidCase(
        name="multivariant with what is not read: renditions, unknown attributes, a tag before the URI",
        text="""\
#EXTM3U
#EXT-X-VERSION:4
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="aac",NAME="English",URI="en.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=1280000,AUDIO="aac",SCORE=1.5,FRAME-RATE=60
#EXT-X-FROM-TOMORROW
low.m3u8
""",
        playlist=MultivariantPlaylist(
            variant_streams=(VariantStream(uri="low.m3u8", bandwidth=1_280_000, frame_rate=Fraction(60)),)
        ),
        rendered="""\
#EXTM3U
#EXT-X-VERSION:1
#EXT-X-STREAM-INF:BANDWIDTH=1280000,FRAME-RATE=60.000
low.m3u8
""",
    ),
    ValidCase(
        name="a playlist with no tags is an empty multivariant playlist",
        text="#EXTM3U\n",
        playlist=MultivariantPlaylist(),
        rendered="#EXTM3U\n#EXT-X-VERSION:1\n",
    ),
)


def _stream_inf(attributes: str) -> str:
    return f"#EXTM3U\n#EXT-X-STREAM-INF:{attributes}\nlow.m3u8\n"


MALFORMED: tuple[MalformedCase, ...] = (
    MalformedCase(name="empty", text="", line=1, remedy="start the playlist with the line #EXTM3U"),
    MalformedCase(name="first line is another", text="\n#EXTM3U\n", line=1, remedy="#EXTM3U"),
    MalformedCase(name="byte order mark", text="\ufeff#EXTM3U\n", line=1, remedy="#EXTM3U"),
    MalformedCase(name="cut off in the first line", text="#EXTM3U", line=1, remedy="line feed"),
    MalformedCase(name="cut off", text=_media("#EXTINF:2.0,", "a.t")[:-1], line=5, remedy="line feed"),
    MalformedCase(name="control character", text=_media("#EXT-X-A:\x07"), line=4, remedy="control characters"),
    MalformedCase(name="lone carriage return", text=_media("#a\rb"), line=4, remedy="control characters"),
    MalformedCase(name="half a surrogate pair", text=_media("#\ud800"), line=4, remedy="control characters"),
    MalformedCase(name="decomposed umlaut", text=_media("# a\u0308"), line=4, remedy="NFC"),
    MalformedCase(name="space in a URI", text=_media("#EXTINF:2.0,", "a b.ts"), line=5, remedy="RFC 3986"),
    MalformedCase(name="line of spaces", text=_media("  "), line=4, remedy="RFC 3986"),
    MalformedCase(
        name="space after a tag", text=_media("#EXT-X-ENDLIST "), line=4, remedy="leave out the space"
    ),
    MalformedCase(name="value without need", text=_media("#EXT-X-ENDLIST:1"), line=4, remedy="takes no value"),
    MalformedCase(
        name="byte range of no segment", text=_media("#EXT-X-BYTERANGE:1@2"), line=4, remedy="add the URI line"
    ),
    MalformedCase(
        name="byte range without an offset",
        text=_media("#EXTINF:2.0,", "a.ts", "#EXTINF:2.0,", "#EXT-X-BYTERANGE:1", "a.ts"),
        line=7,
        remedy="give the byte range an offset",
    ),
    MalformedCase(
        name="byte range that goes on in another resource",
        text=_media(
            "#EXTINF:2.0,", "#EXT-X-BYTERANGE:1@0", "a.ts", "#EXTINF:2.0,", "#EXT-X-BYTERANGE:1", "b.ts"
        ),
        line=8,
        remedy="of another resource",
    ),
    MalformedCase(
        name="first byte range without an offset",
        text=_media("#EXTINF:2.0,", "#EXT-X-BYTERANGE:1", "a.ts"),
        line=5,
        remedy="give the byte range an offset",
    ),
    MalformedCase(
        name="byte range of nothing",
        text=_media("#EXTINF:2.0,", "#EXT-X-BYTERANGE:0@1", "a.ts"),
        line=5,
        remedy="at least 1 byte",
    ),
    MalformedCase(
        name="byte range with a bare @",
        text=_media("#EXTINF:2.0,", "#EXT-X-BYTERANGE:1@", "a.ts"),
        line=5,
        remedy="whole number",
    ),
    MalformedCase(
        name="byte range in version 3",
        text="#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n#EXT-X-BYTERANGE:1@0\na.ts\n",
        line=5,
        remedy="EXT-X-VERSION 4 or higher",
    ),
    MalformedCase(
        name="I-frames in version 3",
        text="#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-I-FRAMES-ONLY\n",
        line=4,
        remedy="EXT-X-VERSION 4 or higher",
    ),
    MalformedCase(
        name="I-frames without URI",
        text="#EXTM3U\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1\n",
        line=2,
        remedy="add the URI attribute",
    ),
    MalformedCase(
        name="I-frames without bandwidth",
        text='#EXTM3U\n#EXT-X-I-FRAME-STREAM-INF:URI="a"\n',
        line=2,
        remedy="add the BANDWIDTH",
    ),
    MalformedCase(
        name="I-frames at no URI",
        text='#EXTM3U\n#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="a b"\n',
        line=2,
        remedy="RFC 3986",
    ),
    MalformedCase(
        name="initialization section", text=_media('#EXT-X-MAP:URI="a"'), line=4, remedy="leave it out"
    ),
    MalformedCase(name="EXTM3U twice", text="#EXTM3U\n#EXTM3U\n", line=2, remedy="once: it stands in line 1"),
    MalformedCase(name="version twice", text=_media("#EXT-X-VERSION:6"), line=4, remedy="once"),
    MalformedCase(name="target duration twice", text=_media("#EXT-X-TARGETDURATION:2"), line=4, remedy="once"),
    MalformedCase(name="end twice", text=_media("#EXT-X-ENDLIST", "#EXT-X-ENDLIST"), line=5, remedy="once"),
    MalformedCase(name="version 0", text="#EXTM3U\n#EXT-X-VERSION:0\n", line=2, remedy="version from 1 to 13"),
    MalformedCase(name="version 14", text="#EXTM3U\n#EXT-X-VERSION:14\n", line=2, remedy="from 1 to 13"),
    MalformedCase(name="version in words", text="#EXTM3U\n#EXT-X-VERSION:six\n", line=2, remedy="whole number"),
    MalformedCase(
        name="both kinds",
        text=_media("#EXT-X-STREAM-INF:BANDWIDTH=1", "low.m3u8"),
        line=4,
        remedy="EXT-X-TARGETDURATION and EXT-X-STREAM-INF belong into different playlists",
    ),
    MalformedCase(
        name="no target duration",
        text="#EXTM3U\n#EXTINF:2,\na.ts\n",
        line=1,
        remedy="add an EXT-X-TARGETDURATION",
    ),
    MalformedCase(
        name="target duration 0",
        text="#EXTM3U\n#EXT-X-TARGETDURATION:0\n",
        line=2,
        remedy="at least 1 second",
    ),
    MalformedCase(
        name="target duration beyond 64 bits",
        text="#EXTM3U\n#EXT-X-TARGETDURATION:18446744073709551616\n",
        line=2,
        remedy="2^64-1",
    ),
    MalformedCase(
        name="digits of another script",
        text="#EXTM3U\n#EXT-X-TARGETDURATION:\u0662\n",
        line=2,
        remedy="digits",
    ),
    MalformedCase(
        name="media sequence after a segment",
        text=_media("#EXTINF:2.0,", "a.ts", "#EXT-X-MEDIA-SEQUENCE:1"),
        line=6,
        remedy="move EXT-X-MEDIA-SEQUENCE before",
    ),
    MalformedCase(
        name="discontinuity sequence after a discontinuity",
        text=_media("#EXT-X-DISCONTINUITY", "#EXT-X-DISCONTINUITY-SEQUENCE:1", "#EXTINF:2.0,", "a.ts"),
        line=5,
        remedy="move EXT-X-DISCONTINUITY-SEQUENCE before",
    ),
    MalformedCase(
        name="unknown playlist type", text=_media("#EXT-X-PLAYLIST-TYPE:LIVE"), line=4, remedy="EVENT or VOD"
    ),
    MalformedCase(name="segment without duration", text=_media("a.ts"), line=4, remedy="add an EXTINF tag"),
    MalformedCase(
        name="two durations",
        text=_media("#EXTINF:2.0,", "#EXTINF:2.0,", "a.ts"),
        line=5,
        remedy="once before",
    ),
    MalformedCase(
        name="duration of no segment", text=_media("#EXTINF:2.0,"), line=4, remedy="add the URI line"
    ),
    MalformedCase(
        name="trailing discontinuity", text=_media("#EXT-X-DISCONTINUITY"), line=4, remedy="add the URI line"
    ),
    MalformedCase(
        name="no comma", text=_media("#EXTINF:2.0", "a.ts"), line=4, remedy="comma after the duration"
    ),
    MalformedCase(name="negative duration", text=_media("#EXTINF:-1,", "a.ts"), line=4, remedy="at most 6 dec"),
    MalformedCase(name="seven decimals", text=_media("#EXTINF:1.0000001,", "a.ts"), line=4, remedy="at most 6"),
    MalformedCase(name="endless", text=_media("#EXTINF:99999999999,", "a.ts"), line=4, remedy="as in 2.002"),
    MalformedCase(
        name="segment longer than the target duration",
        text=_media("#EXTINF:2.500,", "a.ts"),
        line=3,
        remedy="a segment lasts 2.5 s: cut it shorter, or give the playlist a target duration of 3",
    ),
    MalformedCase(
        name="decimals in version 2",
        text="#EXTM3U\n#EXT-X-VERSION:2\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\na.ts\n",
        line=4,
        remedy="EXT-X-VERSION 3 or higher",
    ),
    MalformedCase(
        name="rounding in version 5",
        text="#EXTM3U\n#EXT-X-VERSION:5\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.002,\na.ts\n",
        line=4,
        remedy="EXT-X-VERSION 6 or higher",
    ),
    MalformedCase(
        name="date without time zone",
        text=_media("#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:00.000", "#EXTINF:2.0,", "a.ts"),
        line=4,
        remedy="time zone",
    ),
    MalformedCase(
        name="day that does not exist",
        text=_media("#EXT-X-PROGRAM-DATE-TIME:2026-02-30T18:00:00.000Z", "#EXTINF:2.0,", "a.ts"),
        line=4,
        remedy="date and time that exist",
    ),
    MalformedCase(
        name="moment before the year 1",
        text=_media("#EXT-X-PROGRAM-DATE-TIME:0001-01-01T00:00:00.000+01:00", "#EXTINF:2.0,", "a.ts"),
        line=4,
        remedy="date and time that exist",
    ),
    MalformedCase(
        name="URI of no variant", text="#EXTM3U\nlow.m3u8\n", line=2, remedy="add an EXT-X-STREAM-INF"
    ),
    MalformedCase(
        name="variant without URI",
        text="#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\nlow.m3u8\n",
        line=2,
        remedy="write the URI line",
    ),
    MalformedCase(
        name="last variant without URI",
        text="#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n",
        line=2,
        remedy="write the URI line",
    ),
    MalformedCase(name="no attributes", text=_stream_inf(""), line=2, remedy="NAME=value"),
    MalformedCase(
        name="space in attributes", text=_stream_inf("BANDWIDTH=1, A=2"), line=2, remedy="without spaces"
    ),
    MalformedCase(name="attribute twice", text=_stream_inf("BANDWIDTH=1,BANDWIDTH=1"), line=2, remedy="once"),
    MalformedCase(name="no bandwidth", text=_stream_inf("RESOLUTION=1x1"), line=2, remedy="add the BANDWIDTH"),
    MalformedCase(name="bandwidth in Mb/s", text=_stream_inf("BANDWIDTH=1.5"), line=2, remedy="whole number"),
    MalformedCase(
        name="bare codecs", text=_stream_inf("BANDWIDTH=1,CODECS=avc1"), line=2, remedy="double quotes"
    ),
    MalformedCase(name="empty codecs", text=_stream_inf('BANDWIDTH=1,CODECS=""'), line=2, remedy="not empty"),
    MalformedCase(
        name="codecs parted by a space", text=_stream_inf('BANDWIDTH=1,CODECS="a b"'), line=2, remedy="6381"
    ),
    MalformedCase(
        name="resolution p", text=_stream_inf("BANDWIDTH=1,RESOLUTION=720p"), line=2, remedy="1280x720"
    ),
    MalformedCase(
        name="no height", text=_stream_inf("BANDWIDTH=1,RESOLUTION=1280x0"), line=2, remedy="at least 1"
    ),
    MalformedCase(
        name="rate as fraction", text=_stream_inf("BANDWIDTH=1,FRAME-RATE=30/1"), line=2, remedy="29.970"
    ),
    MalformedCase(
        name="rate of 0", text=_stream_inf("BANDWIDTH=1,FRAME-RATE=0.000"), line=2, remedy="positive"
    ),
)
