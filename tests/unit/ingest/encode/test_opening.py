from datetime import timedelta
from fractions import Fraction

import pytest

from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from ingest.encode import opening
from ingest.encode.opening import Opening
from ingest.encode.source import AudioSource, Opened, UnusableSource
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.source_metadata import SourceMetadata

# What x264 writes for 320x180 at 25 frames a second.
AVC = CodecConfiguration(
    codec=VideoCodec.H264,
    data=bytes.fromhex(
        "0164000cffe1001a6764000cacd941419f9f011000000300100000030320f142996001000668ebe3cb22c0fdf8f800"
    ),
)
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1190"))
START = timedelta(hours=1)


def frame(
    milliseconds: int, *, track: Track = Track.VIDEO, keyframe: bool = False, data: bytes = b"x"
) -> EncodedFrame:
    time = START + timedelta(milliseconds=milliseconds)
    return EncodedFrame(track=track, decode_time=time, presentation_time=time, keyframe=keyframe, data=data)


def sound(milliseconds: int) -> EncodedFrame:
    return frame(milliseconds, track=Track.AUDIO, keyframe=True)


def pictures(count: int, *, every: int = 40) -> list[FeedItem]:
    return [frame(number * every, keyframe=number == 0) for number in range(count)]


def open_with(items: list[FeedItem], one: Opening | None = None) -> tuple[Opened | None, int]:
    """What comes of *items*, and how many of them it took."""
    one = one or Opening()
    for number, item in enumerate(items, 1):
        if (opened := one.add(item)) is not None:
            return opened, number
    return None, len(items)


def test_half_a_second_of_pictures_and_both_headers_are_enough() -> None:
    first, *others = pictures(30)
    opened, taken = open_with([AVC, AAC, first, sound(10), *others])
    assert opened is not None
    assert taken == 2 + 15
    assert opened.source.video.width == 320
    assert opened.source.audio == AudioSource(sample_rate=48_000, channels=2)
    assert opened.source.frame_rate == 25
    assert opened.origin == START
    assert opened.items == (AVC, AAC, first, sound(10), *others[:13])


def test_a_sound_header_is_waited_for_and_then_done_without() -> None:
    late, _ = open_with([AVC, *pictures(20), AAC, *pictures(1), frame(840)])
    assert late is not None
    assert late.source.audio is not None
    never, taken = open_with([AVC, *pictures(60)])
    assert never is not None
    assert never.source.audio is None
    assert taken == 1 + 26


def test_what_comes_before_the_first_keyframe_is_dropped() -> None:
    items = [AVC, AAC, frame(-400), sound(-380), *pictures(14)]
    opened, _ = open_with(items)
    assert opened is not None
    assert opened.items == (AVC, AAC, *pictures(14))


def test_sound_that_comes_before_the_first_keyframe_and_is_heard_after_it_is_kept() -> None:
    """A bug: of WebRTC, whose pictures may be held back for longer than sound, its first second was dropped.

    It lies between the pictures. A frame that has begun and lasts until then is kept, too.
    """
    early = [sound(time) for time in range(-1000, 1001, 20)]
    first, *others = pictures(14)
    opened, _ = open_with([AVC, AAC, frame(-80), *early, first, *others])
    assert opened is not None
    head, frames = opened.items[:3], opened.items[3:]
    assert head == (AVC, AAC, first)
    assert [item for item in frames if item in others] == others
    assert [item for item in frames if item in early] == [sound(time) for time in range(-100, 1001, 20)]
    times = [item.decode_time for item in frames if isinstance(item, EncodedFrame)]
    assert times == sorted(times)


@pytest.mark.parametrize("bound", ["_MAX_OBSERVED_BYTES", "_MAX_OBSERVED_ITEMS", "_EARLY_SOUND"])
def test_little_of_the_sound_that_comes_before_the_first_keyframe_is_kept(
    bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, bound, timedelta(milliseconds=190) if bound == "_EARLY_SOUND" else 10)
    opened, _ = open_with([AVC, AAC, *(sound(time) for time in range(0, 1000, 20)), *pictures(20)])
    assert opened is not None
    kept = [item for item in opened.items if isinstance(item, EncodedFrame) and item.track is Track.AUDIO]
    assert kept == [sound(time) for time in range(800, 1000, 20)]


def test_sound_of_a_format_that_changes_before_the_first_keyframe_is_dropped() -> None:
    other = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1208"))
    opened, _ = open_with([AVC, sound(10), other, sound(20), AAC, sound(30), *pictures(20)])
    assert opened is not None
    assert sound(30) in opened.items
    assert not {sound(10), sound(20)} & set(opened.items)


def test_sound_stays_when_its_format_is_told_again() -> None:
    opened, _ = open_with([AVC, AAC, sound(10), AAC, *pictures(20)])
    assert opened is not None
    assert sound(10) in opened.items


def test_a_rate_that_metadata_states_is_believed_if_the_pictures_bear_it_out() -> None:
    opened, _ = open_with(
        [AVC, AAC, *pictures(60, every=33)], Opening(SourceMetadata(frame_rate=Fraction("29.97")))
    )
    assert opened is not None
    assert opened.source.frame_rate == Fraction(30000, 1001)


def test_a_feed_that_ends_early_is_opened_with_what_there_is() -> None:
    one = Opening()
    assert one.conclude() is None
    open_with([AVC, AAC, *pictures(3)], one)
    opened = one.conclude()
    assert opened is not None
    assert len(opened.items) == 5


def test_configurations_may_change_before_the_first_keyframe() -> None:
    other = CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1208"))
    opened, _ = open_with([AVC, other, AAC, AVC, *pictures(20)])
    assert opened is not None
    assert opened.items[:2] == (AVC, AAC)


@pytest.mark.parametrize(
    "changed",
    [
        CodecConfiguration(codec=AudioCodec.AAC, data=bytes.fromhex("1208")),
        CodecConfiguration(codec=VideoCodec.H264, data=AVC.data + b"\x00"),
    ],
    ids=lambda item: item.track.value,
)
def test_a_format_that_changes_while_it_is_looked_at_is_refused(changed: CodecConfiguration) -> None:
    with pytest.raises(UnusableSource, match="changed"):
        open_with([AVC, AAC, *pictures(3), changed])


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([AAC, *(sound(time) for time in range(0, 20_000, 20))], "no picture came"),
        ([AVC, *(frame(time) for time in range(0, 40_000, 40))], "no keyframe came"),
        ([AVC, *(frame(0, keyframe=True, data=bytes(2**20)) for _ in range(17))], "more than any"),
        ([AVC, *(frame(0, keyframe=True, data=b"") for _ in range(opening.MAX_OPENING_ITEMS + 1))], "more"),
        ([CodecConfiguration(codec=VideoCodec.H264, data=b"")], "parameter set"),
        ([CodecConfiguration(codec=AudioCodec.AAC, data=b"")], "cut short"),
    ],
    ids=["no video", "no keyframe", "too many bytes", "too many frames", "bad video", "bad audio"],
)
def test_an_unusable_source_is_refused_with_the_reason(items: list[FeedItem], reason: str) -> None:
    with pytest.raises(UnusableSource, match=reason):
        open_with(items)


def adaptive(width: int | None = None, height: int | None = None, rate: int | None = None) -> Opening:
    frame_rate = None if rate is None else Fraction(rate)
    return Opening(SourceMetadata(width=width, height=height, frame_rate=frame_rate, adaptive=True))


VP8 = CodecConfiguration(codec=VideoCodec.VP8, data=bytes.fromhex("3046019d012ae0010e01"))  # 480x270
UPRIGHT = CodecConfiguration(codec=VideoCodec.VP8, data=bytes.fromhex("3046019d012a0e01e001"))


@pytest.mark.parametrize(
    ("declared", "full_size"),
    [
        ((1280, 720), (1280, 720)),
        ((1920, 1088), (1920, 1088)),
        ((720, 1280), None),
        ((640, 480), None),
        ((320, 180), (480, 270)),
        ((1280, None), None),
        ((0, 720), None),
        ((-1280, -720), None),
        ((16_000, 9_000), None),
    ],
    ids=[
        *("of its shape", "cropped", "turned", "another aspect", "smaller than the picture"),
        *("half", "nothing", "negative", "more than is decoded"),
    ],
)
def test_the_size_that_an_adaptive_source_declares_counts_if_its_first_picture_bears_it_out(
    declared: tuple[int, int | None], full_size: tuple[int, int] | None
) -> None:
    opened, _ = open_with([VP8, AAC, *pictures(60)], adaptive(*declared))
    assert opened is not None
    assert opened.source.adaptive
    assert (opened.source.video.width, opened.source.video.height) == (480, 270)
    assert opened.source.full_size == full_size


@pytest.mark.parametrize(("stated", "rate"), [(None, 30), (25, 25)])
def test_an_adaptive_source_that_starts_at_five_pictures_a_second_gets_more(
    stated: int | None, rate: int
) -> None:
    opened, _ = open_with([VP8, AAC, *pictures(60, every=200)], adaptive(rate=stated))
    assert opened is not None
    assert opened.source.frame_rate == rate


def test_a_phone_that_is_turned_in_the_first_second_begins_again() -> None:
    one = adaptive(1280, 720)
    items = [VP8, AAC, *pictures(3), UPRIGHT, frame(120), *pictures(20)]
    opened, _ = open_with(items, one)
    assert opened is not None
    assert opened.items[0] == UPRIGHT
    assert len(opened.items) == 2 + 14
    assert opened.source.full_size is None


def test_an_adaptive_source_may_begin_with_sound_alone_for_a_minute() -> None:
    one = adaptive()
    assert open_with([AAC, *(sound(time) for time in range(0, 60_001, 20))], one) == (None, 3002)
    late = [frame(61_000 + 40 * number, keyframe=number == 0) for number in range(20)]
    opened, _ = open_with([VP8, *late], one)
    assert opened is not None
    assert opened.source.audio is not None
    with pytest.raises(UnusableSource, match="turn the camera on"):
        open_with([AAC, *(sound(time) for time in range(0, 61_000, 20))], adaptive())


COPYING = StreamConfiguration(
    rungs=(RungConfiguration(name=RungName("180p"), video_bitrate=BitsPerSecond(400_000)),),
    segment_duration=timedelta(seconds=1),
    pass_through=True,
)
IDR = b"\0\0\0\1\x65"


def grouped(count: int, *, interval: int = 25, size: int = 0) -> list[FeedItem]:
    """*count* pictures at 25 a second, a keyframe every *interval*, each of *size* bytes and some."""
    return [
        frame(number * 40, keyframe=not number % interval, data=IDR + bytes(size)) for number in range(count)
    ]


def test_a_source_that_may_be_copied_is_observed_until_two_segments_have_begun_with_a_keyframe() -> None:
    opened, taken = open_with([AVC, AAC, *grouped(100)], Opening(pass_through=COPYING))
    assert opened is not None
    assert (taken, opened.source_delay, opened.not_copied) == (2 + 51, 0, None)


def test_what_was_observed_and_cannot_be_copied_is_encoded_and_says_why() -> None:
    opened, _ = open_with([AVC, AAC, *grouped(100, interval=30)], Opening(pass_through=COPYING))
    assert opened is not None
    assert opened.source_delay is None
    assert opened.not_copied == "its keyframes do not lie where segments begin"


def test_a_source_of_another_format_is_not_observed_for_longer() -> None:
    smaller = RungConfiguration(name=RungName("144p"), video_bitrate=BitsPerSecond(400_000))
    configuration = StreamConfiguration(rungs=(smaller,), pass_through=True)
    opened, taken = open_with([AVC, AAC, *grouped(100)], Opening(pass_through=configuration))
    assert opened is not None
    assert taken == 2 + 14
    assert opened.not_copied == "no rung has the size of its picture"


@pytest.mark.parametrize("bound", ["_MAX_OBSERVED_BYTES", "_MAX_OBSERVED_ITEMS"])
def test_a_source_is_observed_within_bounds(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, bound, 20)
    opened, taken = open_with([AVC, AAC, *grouped(100)], Opening(pass_through=COPYING))
    assert opened is not None
    assert taken < 2 + 25
    assert opened.not_copied == "too little of it was seen"
