from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, Track, VideoCodec
from ingest.protocols.rtmp.errors import ProtocolError, UnsupportedCodec
from ingest.protocols.rtmp.flv import FlvReader

AVC = bytes.fromhex("0142c01effe10000")
AAC = bytes.fromhex("1210")
AVC_HEADER = bytes.fromhex("1700000000") + AVC
AAC_HEADER = bytes.fromhex("af00") + AAC


def _octets(octets: str) -> bytes:
    return bytes.fromhex(octets)


def _ready() -> FlvReader:
    reader = FlvReader()
    reader.video(AVC_HEADER, 0)
    reader.audio(AAC_HEADER, 0)
    return reader


def _frame(track: Track, decode: int, presentation: int, data: bytes, *, keyframe: bool) -> EncodedFrame:
    return EncodedFrame(
        track=track,
        decode_time=timedelta(milliseconds=decode),
        presentation_time=timedelta(milliseconds=presentation),
        keyframe=keyframe,
        data=data,
    )


def test_sequence_headers_are_the_configurations() -> None:
    reader = FlvReader()
    assert reader.video(AVC_HEADER, 0) == CodecConfiguration(codec=VideoCodec.H264, data=AVC)
    assert reader.audio(AAC_HEADER, 0) == CodecConfiguration(codec=AudioCodec.AAC, data=AAC)


def test_configuration_comes_again_only_when_it_changed() -> None:
    reader = _ready()
    assert reader.video(AVC_HEADER, 0) is None
    assert reader.video(AVC_HEADER + b"\x00", 0) is not None
    assert reader.video(AVC_HEADER, 0) is not None


@pytest.mark.parametrize(
    ("body", "presentation", "keyframe"),
    [
        ("1701000000 aabb", 40, True),
        ("2701000050 aabb", 120, False),
        ("2701ffffff aabb", 39, False),
        ("9161766331 000050 aabb", 120, True),
        ("a161766331 ffffff aabb", 39, False),
        ("9361766331 aabb", 40, True),
        ("97 03 000001ff 03 61766331 aabb", 40, True),
        ("97 ff 0100" + "00" * 257 + "03 61766331 aabb", 40, True),
    ],
    ids=["key", "composition", "negative", "enhanced", "enhanced inter", "no composition", "modified", "long"],
)
def test_video_frame(body: str, presentation: int, keyframe: bool) -> None:  # noqa: FBT001 (a table's column)
    frame = _frame(Track.VIDEO, 40, presentation, b"\xaa\xbb", keyframe=keyframe)
    assert _ready().video(_octets(body), 40) == frame


@pytest.mark.parametrize("body", ["af01 aabb", "91 6d703461 aabb"])
def test_audio_frame(body: str) -> None:
    assert _ready().audio(_octets(body), 23) == _frame(Track.AUDIO, 23, 23, b"\xaa\xbb", keyframe=True)


def test_enhanced_sequence_headers_are_the_configurations() -> None:
    reader = FlvReader()
    assert reader.video(_octets("90 61766331") + AVC, 0) == CodecConfiguration(codec=VideoCodec.H264, data=AVC)
    assert reader.audio(_octets("90 6d703461") + AAC, 0) == CodecConfiguration(codec=AudioCodec.AAC, data=AAC)


@pytest.mark.parametrize("body", ["", "1702000000", "1702", "1701000000", "5700", "5f", "9461766331 02"])
def test_video_without_a_picture_gives_nothing(body: str) -> None:
    assert _ready().video(_octets(body), 0) is None


@pytest.mark.parametrize("body", ["", "af01", "af02", "94 6d703461 00"])
def test_audio_without_sound_gives_nothing(body: str) -> None:
    assert _ready().audio(_octets(body), 0) is None


def test_clock_is_that_of_the_frames() -> None:
    """FFmpeg sends its headers at zero: a clock that begins before the wrap at 24 bits has not just wrapped."""
    reader = _ready()
    first, wrapped = (reader.audio(_octets("af01 aa"), timestamp) for timestamp in ((1 << 24) - 20, 3))
    assert isinstance(first, EncodedFrame)
    assert isinstance(wrapped, EncodedFrame)
    assert first.decode_time == timedelta(milliseconds=(1 << 24) - 20)
    assert wrapped.decode_time - first.decode_time == timedelta(milliseconds=23)


def test_frame_before_its_configuration_gives_nothing() -> None:
    reader = FlvReader()
    assert reader.video(_octets("1701000000 aa"), 0) is None
    assert reader.audio(_octets("af01 aa"), 0) is None


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        ("90 68766331", "HEVC video"),
        ("91 61763031", "AV1 video"),
        ("90 76703039", "VP9 video"),
        ("90 76703038", "VP8 video"),
        ("90 76766331", "VVC video"),
        ("90 78787878", "An unknown video codec"),
        ("96 00 61766331", "Multitrack video"),
        ("1c 00", "HEVC video"),
        ("14 00", "VP6 video"),
        ("12", "Sorenson H.263 video"),
        ("1f", "Video codec 15"),
    ],
)
def test_other_video_is_refused_by_name(body: str, codec: str) -> None:
    with pytest.raises(UnsupportedCodec) as refused:
        FlvReader().video(_octets(body), 0)
    assert refused.value.codec == codec
    assert refused.value.description.startswith(codec)
    assert "H.264 (x264) with AAC" in refused.value.description


@pytest.mark.parametrize(
    ("body", "codec"),
    [
        ("90 4f707573", "Opus audio"),
        ("90 664c6143", "FLAC audio"),
        ("90 61632d33", "AC-3 audio"),
        ("90 2e6d7033", "MP3 audio"),
        ("95 00 6d703461", "Multitrack audio"),
        ("2f", "MP3 audio"),
        ("b2", "Speex audio"),
        ("c0", "Audio codec 12"),
    ],
)
def test_other_audio_is_refused_by_name(body: str, codec: str) -> None:
    with pytest.raises(UnsupportedCodec) as refused:
        FlvReader().audio(_octets(body), 0)
    assert refused.value.codec == codec


@pytest.mark.parametrize(
    "body", ["17", "1700", "170000000001", "170100", "90", "90 6176", "91 61766331 00", "97", "97 ff 00"]
)
def test_video_that_is_cut_short_is_a_protocol_error(body: str) -> None:
    with pytest.raises(ProtocolError):
        _ready().video(_octets(body), 0)


@pytest.mark.parametrize("body", ["af", "af00", "af0012", "90", "90 6d70"])
def test_audio_that_is_cut_short_is_a_protocol_error(body: str) -> None:
    with pytest.raises(ProtocolError):
        _ready().audio(_octets(body), 0)


@given(st.lists(st.binary(max_size=30), max_size=5))
def test_any_bodies_are_items_or_refused(bodies: list[bytes]) -> None:
    reader = _ready()
    for body in bodies:
        for read in (reader.video, reader.audio):
            try:
                item = read(body, 0)
            except (ProtocolError, UnsupportedCodec):
                continue
            assert item is None or len(item.data) < len(body)
