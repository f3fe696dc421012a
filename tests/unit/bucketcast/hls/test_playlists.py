import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import bucketcast.hls
from bucketcast.errors import InvalidInput, PlaylistSyntaxError
from bucketcast.hls import (
    ByteRange,
    IFrameStream,
    MediaPlaylist,
    MediaSegment,
    MultivariantPlaylist,
    PlaylistType,
    Resolution,
    VariantStream,
    parse,
    render,
)
from unit.bucketcast.hls.playlist_cases import MALFORMED, VALID, MalformedCase, ValidCase

valid = pytest.mark.parametrize("case", VALID, ids=lambda case: case.name)
integers = st.integers(0, 2**64 - 1)
uris = st.from_regex(r"[A-Za-z0-9._~/%-][A-Za-z0-9._~/%?&=#-]{0,20}", fullmatch=True)


@st.composite
def media_playlists(draw: st.DrawFn) -> MediaPlaylist:
    target_duration = draw(st.integers(1, 12))
    longest = timedelta(seconds=target_duration, microseconds=499_999)
    segments = st.builds(
        MediaSegment,
        uri=uris,
        duration=st.timedeltas(timedelta(0), longest),
        program_date_time=st.none() | st.datetimes(timezones=st.just(UTC)),
        discontinuity=st.booleans(),
        gap=st.booleans(),
        byte_range=st.none() | st.builds(ByteRange, length=st.integers(1, 2**64 - 1), offset=integers),
    )
    return MediaPlaylist(
        target_duration=target_duration,
        media_sequence=draw(integers),
        discontinuity_sequence=draw(integers),
        independent_segments=draw(st.booleans()),
        playlist_type=draw(st.none() | st.sampled_from(PlaylistType)),
        i_frames_only=draw(st.booleans()),
        ended=draw(st.booleans()),
        segments=tuple(draw(st.lists(segments, max_size=8))),
    )


multivariant_playlists = st.builds(
    MultivariantPlaylist,
    independent_segments=st.booleans(),
    variant_streams=st.lists(
        st.builds(
            VariantStream,
            uri=uris,
            bandwidth=integers,
            average_bandwidth=st.none() | integers,
            codecs=st.none() | st.just("avc1.64001f,mp4a.40.2"),
            resolution=st.none()
            | st.builds(Resolution, width=st.integers(1, 8192), height=st.integers(1, 8192)),
            frame_rate=st.none() | st.fractions(Fraction(1, 1000), 300),
        ),
        max_size=4,
    ).map(tuple),
    i_frame_streams=st.lists(
        st.builds(
            IFrameStream,
            uri=uris,
            bandwidth=integers,
            average_bandwidth=st.none() | integers,
            codecs=st.none() | st.just("avc1.64001f"),
            resolution=st.none() | st.just(Resolution(width=640, height=360)),
        ),
        max_size=2,
    ).map(tuple),
)

# Text that is near to a playlist: lines of the cases, shuffled, cut and mixed with noise.
_TEXTS = [case.text for case in VALID] + [case.text for case in MALFORMED]
_LINES = sorted({line for text in _TEXTS for line in text.split("\n")})
playlist_like_text = st.lists(st.sampled_from(_LINES) | st.text(max_size=12), max_size=14).flatmap(
    lambda lines: st.sampled_from(["\n", "\r\n"]).map(lambda end: end.join(["#EXTM3U", *lines, ""]))
)


@valid
def test_a_playlist_parses_to_its_value(case: ValidCase) -> None:
    assert case.playlist == parse(case.text)


@valid
def test_a_playlist_renders_to_its_text(case: ValidCase) -> None:
    assert (case.rendered or case.text) == render(case.playlist)


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_a_malformed_playlist_is_refused_with_its_line_and_the_remedy(case: MalformedCase) -> None:
    with pytest.raises(PlaylistSyntaxError, match=re.escape(case.remedy)) as caught:
        parse(case.text)
    assert case.line == caught.value.line


@given(media_playlists() | multivariant_playlists)
def test_every_playlist_survives_its_text(playlist: MediaPlaylist | MultivariantPlaylist) -> None:
    assert playlist == parse(render(playlist))


def _parses_to_what_renders_back_or_is_refused(text: str) -> None:
    playlist = None
    with suppress(PlaylistSyntaxError):
        playlist = parse(text)
    if playlist is not None:
        assert playlist == parse(render(playlist))


@given(st.text())
@example("#EXTM3U\n#EXTINF")
def test_any_text_parses_or_is_refused(text: str) -> None:
    _parses_to_what_renders_back_or_is_refused(text)


@given(playlist_like_text)
def test_text_made_of_a_playlists_lines_parses_or_is_refused(text: str) -> None:
    _parses_to_what_renders_back_or_is_refused(text)


@given(
    text=st.sampled_from(_TEXTS),
    start=st.integers(0, 400),
    length=st.integers(0, 40),
    noise=st.text(max_size=9),
)
def test_a_playlist_with_a_part_replaced_parses_or_is_refused(
    text: str, start: int, length: int, noise: str
) -> None:
    _parses_to_what_renders_back_or_is_refused(text[:start] + noise + text[start + length :])


@pytest.mark.parametrize(
    ("duration", "rounded"),
    [("1.499999", 1), ("1.500000", 2), ("2.499999", 2), ("2.500000", 3), ("0.000000", 0)],
)
def test_durations_round_to_the_nearest_integer_halves_up(duration: str, rounded: int) -> None:
    segment = MediaSegment(uri="a.ts", duration=timedelta(microseconds=int(duration.replace(".", ""))))
    assert rounded == segment.rounded_duration


def test_segments_are_numbered_from_the_two_sequence_tags() -> None:
    """Section 6.2.1: a segment's own DISCONTINUITY counts for it, the first segment's too."""
    plain = MediaSegment(uri="a.ts", duration=timedelta(seconds=2))
    after = MediaSegment(uri="b.ts", duration=timedelta(seconds=1), discontinuity=True)
    playlist = MediaPlaylist(
        target_duration=2, media_sequence=7, discontinuity_sequence=3, segments=(after, plain, after, plain)
    )
    assert [(7, 4, after), (8, 4, plain), (9, 5, after), (10, 5, plain)] == list(playlist.numbered_segments())
    assert timedelta(seconds=6) == playlist.duration


def test_dates_of_another_time_zone_are_refused_when_building() -> None:
    elsewhere = datetime(2026, 11, 22, 19, tzinfo=timezone(timedelta(hours=1)))
    with pytest.raises(InvalidInput, match="in UTC"):
        MediaSegment(uri="a.ts", duration=timedelta(seconds=2), program_date_time=elsewhere)


@pytest.mark.parametrize("uri", ["", "#a.ts", "a b.ts", "ä.ts", "a.ts\n"])
def test_what_is_no_uri_is_refused_when_building(uri: str) -> None:
    with pytest.raises(InvalidInput, match="RFC 3986"):
        MediaSegment(uri=uri, duration=timedelta(seconds=2))
    with pytest.raises(InvalidInput, match="RFC 3986"):
        VariantStream(uri=uri, bandwidth=1)


def test_negative_numbers_are_refused_when_building() -> None:
    with pytest.raises(InvalidInput, match="duration is not negative"):
        MediaSegment(uri="a.ts", duration=timedelta(microseconds=-1))
    with pytest.raises(InvalidInput, match="media sequence number"):
        MediaPlaylist(target_duration=2, media_sequence=-1)
    with pytest.raises(InvalidInput, match="discontinuity sequence number"):
        MediaPlaylist(target_duration=2, discontinuity_sequence=-1)
    with pytest.raises(InvalidInput, match="bandwidth"):
        VariantStream(uri="a.m3u8", bandwidth=1, average_bandwidth=-1)


def test_everything_public_is_exported() -> None:
    assert sorted(bucketcast.hls.__all__) == bucketcast.hls.__all__
    assert all(hasattr(bucketcast.hls, name) for name in bucketcast.hls.__all__)
