from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.bandwidth import buffer_size, max_rate
from bucketcast.stream.configuration import (
    MAX_SEGMENT_DURATION,
    MAX_VIDEO_BITRATE,
    RungConfiguration,
    StreamConfiguration,
)
from bucketcast.stream.identifiers import BitsPerSecond, RungName, SegmentIndex
from ingest.encode.intake import MAX_JUMP
from ingest.encode.ladder import EncodingPlan, plan_encoding
from ingest.encode.opening import MAX_OPENING_BYTES, MAX_OPENING_ITEMS
from ingest.encode.pass_through import (
    MAX_GROUP_BYTES,
    MAX_GROUP_ITEMS,
    CopyWatch,
    NotCopyable,
    check_format,
    observed_delay,
    observed_for,
)
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec

BITRATE = BitsPerSecond(400_000)
CONFIGURATION = StreamConfiguration(
    rungs=(RungConfiguration(name=RungName("180p"), video_bitrate=BITRATE),),
    segment_duration=timedelta(seconds=1),
)
VIDEO = VideoSource(width=320, height=180)
RATE = 10
ORIGIN = timedelta(hours=1)
PARAMETERS = b"\x67parameters"
AVC = CodecConfiguration(codec=VideoCodec.H264, data=b"record" + PARAMETERS)
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=b"\x11\x90")
IDR, INTRA, INTER = b"\x65", b"\x41intra", b"\x41"


def plan(video: VideoSource = VIDEO, rate: Fraction = Fraction(RATE)) -> EncodingPlan:
    return plan_encoding(CONFIGURATION, SourceFacts(video=video, audio=None, frame_rate=rate))


OPUS = AudioSource(sample_rate=48_000, channels=2, codec=AudioCodec.OPUS)


def with_source(*, audio: AudioSource | None = None, adaptive: bool = False) -> EncodingPlan:
    facts = SourceFacts(video=VIDEO, audio=audio, frame_rate=Fraction(RATE), adaptive=adaptive)
    return plan_encoding(CONFIGURATION, facts)


def units(*contents: bytes) -> bytes:
    return b"".join(len(content).to_bytes(4) + content for content in contents)


def picture(
    shown: float, decoded: float | None = None, *, keyframe: bool | None = None, data: bytes | None = None
) -> EncodedFrame:
    """Frame number *shown*; a keyframe if it begins a second, unless said otherwise."""
    begins = shown % RATE == 0 if keyframe is None else keyframe
    return EncodedFrame(
        track=Track.VIDEO,
        decode_time=ORIGIN + timedelta(seconds=shown if decoded is None else decoded) / RATE,
        presentation_time=ORIGIN + timedelta(seconds=shown) / RATE,
        keyframe=begins,
        data=data if data is not None else units(b"\x06", IDR if begins else INTER),
    )


def sound(at: float) -> EncodedFrame:
    time = ORIGIN + timedelta(seconds=at) / RATE
    return EncodedFrame(
        track=Track.AUDIO, decode_time=time, presentation_time=time, keyframe=True, data=b"sound"
    )


def admit(items: Sequence[FeedItem]) -> CopyWatch:
    watch = CopyWatch(plan(), origin=ORIGIN)
    for item in (AVC, AAC, *items):
        watch.admit(item)
    return watch


def pictures(count: int) -> list[FeedItem]:
    return [picture(number) for number in range(count)]


def test_a_source_of_the_top_rung_s_format_can_be_copied() -> None:
    check_format(plan())
    assert observed_for(plan()) == timedelta(seconds=2)


@pytest.mark.parametrize("profile", [66, 77, 100])
def test_the_profiles_that_every_player_decodes_can_be_copied(profile: int) -> None:
    check_format(plan(replace(VIDEO, profile=profile)))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (plan(replace(VIDEO, width=426, height=240)), "size"),
        (plan(replace(VIDEO, sample_aspect_ratio=Fraction(2))), "square|size"),
        (plan(replace(VIDEO, width=321)), "size"),
        (plan(replace(VIDEO, chroma_format=2)), "4:2:0"),
        (plan(replace(VIDEO, bit_depth=10)), "8 bits"),
        (plan(replace(VIDEO, progressive=False)), "interlaced"),
        (plan(replace(VIDEO, profile=110)), "profile"),
        (plan(replace(VIDEO, level=60)), "level"),
        (plan(rate=Fraction(30000, 1001)), "whole number of frames"),
        (plan(replace(VIDEO, codec=VideoCodec.VP8)), r"not H\.264 with AAC"),
        (with_source(audio=OPUS), r"not H\.264 with AAC"),
        (with_source(adaptive=True), "change their size"),
    ],
)
def test_a_source_of_another_format_is_encoded(one: EncodingPlan, reason: str) -> None:
    with pytest.raises(NotCopyable, match=reason):
        check_format(one)


def test_two_segments_that_begin_with_keyframes_are_enough() -> None:
    items = [AVC, *pictures(2 * RATE + 1)]
    assert observed_delay(plan(), origin=ORIGIN, items=items) == 0
    with pytest.raises(NotCopyable, match="too little"):
        observed_delay(plan(), origin=ORIGIN, items=items[:-1])
    with pytest.raises(NotCopyable, match="size"):
        observed_delay(plan(replace(VIDEO, width=426, height=240)), origin=ORIGIN, items=items)


def test_the_delay_is_that_of_the_keyframes() -> None:
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    items = [
        picture(second * RATE + shown, second * RATE + position - 2)
        for second in range(3)
        for position, shown in enumerate(order)
    ]
    assert observed_delay(plan(), origin=ORIGIN, items=[AVC, *items]) == 2


def test_a_feed_that_is_replayed_from_a_later_segment_on_goes_on_there() -> None:
    watch = admit([picture(3 * RATE + number, keyframe=not number) for number in range(RATE)])
    assert watch.index == 3


def test_keyframes_within_a_segment_do_no_harm() -> None:
    watch = admit([*pictures(5), picture(5, keyframe=True), *(picture(number) for number in range(6, 11))])
    assert watch.index == 1


def test_times_may_be_uneven_by_less_than_half_a_frame() -> None:
    watch = admit([picture(number + 0.4 * (-1) ** number, keyframe=number % RATE == 0) for number in range(21)])
    assert watch.index == 2


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([picture(10, keyframe=False)], "keyframes"),
        ([picture(11)], "keyframes"),
        ([picture(11, keyframe=True)], "keyframes"),
        ([picture(20)], "keyframes"),
        ([picture(10, data=units(INTRA))], "keyframes"),
        ([picture(10, data=b"")], "keyframes"),
        ([picture(10, data=units(b"", b"\x06"))], "keyframes"),
        ([picture(10), picture(9, 11)], "keyframes"),
        ([picture(11, 10), picture(10, 11)], "keyframes"),
        ([picture(10, 9.6), picture(10.4, keyframe=False)], "one to a frame"),
        ([picture(9.4)], "one to a frame"),
        ([picture(10, data=units(b"\x67another", IDR))], "format"),
    ],
)
def test_what_would_not_be_a_rung_like_the_others_ends_the_copy(items: Sequence[FeedItem], reason: str) -> None:
    with pytest.raises(NotCopyable, match=reason):
        admit([*pictures(RATE), *items])


def test_the_order_of_pictures_may_not_change_between_keyframes() -> None:
    items = [picture(number, number - 2) for number in range(RATE)]
    watch = admit(items)
    with pytest.raises(NotCopyable, match="order"):
        watch.admit(picture(RATE, RATE - 1))


def test_repeated_parameter_sets_are_no_change() -> None:
    watch = admit([*pictures(RATE), picture(RATE, data=units(PARAMETERS, IDR))])
    assert watch.index == 1


def test_what_is_refused_is_not_taken_and_what_came_since_the_keyframe_is_at_hand() -> None:
    items: list[FeedItem] = [*pictures(13), sound(12.5)]
    watch = admit(items)
    with pytest.raises(NotCopyable):
        watch.admit(picture(20, keyframe=False))
    assert watch.group == tuple(items[RATE:])
    assert watch.end == ORIGIN + timedelta(seconds=1.3)
    assert (watch.index, watch.delay) == (1, 0)


@pytest.mark.parametrize("count", [0, 5])
def test_sound_alone_ends_the_copy_after_ten_seconds(count: int) -> None:
    """A bug: what came since the last keyframe was kept without end while no picture came."""
    first = max(0, count - 1)
    watch = admit([*pictures(count), sound(first), sound(first + MAX_JUMP.total_seconds() * RATE)])
    before = watch.group
    with pytest.raises(NotCopyable, match="do not come"):
        watch.admit(sound(first + MAX_JUMP.total_seconds() * RATE + 1))
    assert watch.group == before


def test_sound_that_goes_on_between_pictures_does_no_harm() -> None:
    items = [item for number in range(30 * RATE) for item in (picture(number), sound(number))]
    assert admit(items).index == 29


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from([0, MAX_GROUP_BYTES // 20])), max_size=80
    )
)
def test_what_is_kept_for_the_next_session_is_bounded_in_bytes_and_time(
    steps: list[tuple[bool, int, int]],
) -> None:
    """Whatever comes, of pictures and of sound, however large, until the copy ends."""
    watch = admit([picture(0)])
    number, heard = 0, 0
    for is_picture, step, size in steps:
        number, heard = (number + 1, heard) if is_picture else (number, heard + step * RATE)
        item = picture(number) if is_picture else replace(sound(heard), data=bytes(size))
        try:
            watch.admit(item)
        except NotCopyable:
            break
    frames = [item for item in watch.group if isinstance(item, EncodedFrame)]
    assert sum(len(item.data) for item in frames) <= MAX_GROUP_BYTES
    times = [item.decode_time for item in frames]
    assert max(times) <= ORIGIN + timedelta(seconds=number) / RATE + MAX_JUMP


def test_a_flood_of_empty_sound_whose_times_stand_still_is_not_kept() -> None:
    watch = admit([picture(0)])
    empty = replace(sound(0), data=b"")
    for _ in range(MAX_GROUP_ITEMS - 1):
        watch.admit(empty)
    with pytest.raises(NotCopyable, match="more than can be kept"):
        watch.admit(empty)
    assert len(watch.group) == MAX_GROUP_ITEMS


def test_pictures_too_are_kept_up_to_the_bound_only() -> None:
    """Six seconds at the highest bitrate that a rung may have."""
    configuration = StreamConfiguration(
        rungs=(RungConfiguration(name=RungName("180p"), video_bitrate=MAX_VIDEO_BITRATE),),
        segment_duration=MAX_SEGMENT_DURATION,
    )
    source = SourceFacts(video=VIDEO, audio=None, frame_rate=Fraction(RATE))
    watch = CopyWatch(plan_encoding(configuration, source), origin=ORIGIN)
    size = MAX_VIDEO_BITRATE // 8 // RATE
    fitting = MAX_GROUP_BYTES // size
    for number in range(fitting):
        item = picture(number, keyframe=not number)
        watch.admit(replace(item, data=item.data + bytes(size - len(item.data))))
    with pytest.raises(NotCopyable, match="more than can be kept"):
        watch.admit(picture(fitting, data=bytes(size)))
    assert len(watch.group) == fitting


def test_what_is_kept_fits_into_the_opening_of_the_next_session() -> None:
    assert MAX_GROUP_BYTES <= MAX_OPENING_BYTES / 2
    assert MAX_GROUP_ITEMS <= MAX_OPENING_ITEMS / 2


@given(st.lists(st.integers(min_value=0, max_value=20_000), min_size=1, max_size=60))
def test_what_was_admitted_keeps_to_the_rung_s_bandwidth_at_any_point(sizes: list[int]) -> None:
    watch = CopyWatch(plan(), origin=ORIGIN)
    watch.admit(AVC)
    admitted: list[EncodedFrame] = []
    refused = False
    for number, size in enumerate(sizes):
        item = picture(number)
        item = replace(item, data=item.data + bytes(size))
        try:
            watch.admit(item)
        except NotCopyable as error:
            assert "bit rate" in str(error)  # noqa: PT017 - nothing else can be wrong here
            refused = True
            break
        admitted.append(item)
    for first in range(0, len(admitted), RATE):
        segment = admitted[first : first + RATE]
        bits = 8 * (len(AVC.data) + sum(len(item.data) for item in segment))
        assert bits <= max_rate(BITRATE) * len(segment) / RATE + buffer_size(BITRATE)
    if not refused:
        assert watch.index == SegmentIndex((len(sizes) - 1) // RATE)


def test_as_many_bits_as_the_rung_s_own_encoder_may_make_are_admitted_and_not_one_more() -> None:
    room = (max_rate(BITRATE) // RATE + buffer_size(BITRATE)) // 8 - len(AVC.data)
    keyframe = picture(0)
    full = replace(keyframe, data=keyframe.data + bytes(room - len(keyframe.data)))
    admit([full])
    with pytest.raises(NotCopyable, match="bit rate"):
        admit([replace(full, data=full.data + b"\0")])


@pytest.mark.parametrize(("source_delay", "milliseconds"), [(0, -34), (1, 0), (2, 0)])
def test_pictures_get_the_times_of_the_encoded_rungs_frames(source_delay: int, milliseconds: int) -> None:
    """One picture out of order in those: what is decoded when it is shown is to be decoded a frame before."""
    facts = SourceFacts(video=VIDEO, audio=None, frame_rate=Fraction(30))
    watch = CopyWatch(plan_encoding(CONFIGURATION, facts, source_delay=source_delay), origin=ORIGIN)
    late, shown = timedelta(milliseconds=12), timedelta(milliseconds=67)
    item = replace(picture(0), presentation_time=ORIGIN + late + shown, decode_time=ORIGIN + late)
    retimed = watch.retimed(item)
    assert retimed.presentation_time == ORIGIN + timedelta(microseconds=66667)
    assert retimed.decode_time == ORIGIN + timedelta(milliseconds=milliseconds)
    assert retimed.data == item.data
