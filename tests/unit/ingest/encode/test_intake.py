from datetime import timedelta
from fractions import Fraction

import pytest

from bucketcast.stream.encoder_report import InputFault
from ingest.encode.intake import MAX_JUMP, Intake, SourceChanged
from ingest.encode.source import AudioSource, SourceFacts, VideoSource
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.feed.file_clock import LEAD, MAX_DURATION
from ingest.feed.silence import PATIENCE, SILENT_CONFIGURATION

AVC = CodecConfiguration(codec=VideoCodec.H264, data=b"avc")
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=b"aac")
ORIGIN = timedelta(0)


def intake(*, audio: bool = True, adaptive: bool = False) -> Intake:
    source = SourceFacts(
        video=VideoSource(width=1280, height=720),
        audio=AudioSource(sample_rate=44_100, channels=1) if audio else None,
        frame_rate=Fraction(30),
        adaptive=adaptive,
    )
    return Intake(source, origin=ORIGIN)


def frame(track: Track, time: timedelta) -> EncodedFrame:
    return EncodedFrame(track=track, decode_time=time, presentation_time=time, keyframe=True, data=b"x")


def picture(seconds: float) -> EncodedFrame:
    return frame(Track.VIDEO, timedelta(seconds=seconds))


def sound(seconds: float) -> EncodedFrame:
    return frame(Track.AUDIO, timedelta(seconds=seconds))


def test_what_is_in_order_passes() -> None:
    one = intake()
    items: list[FeedItem] = [AVC, AAC, picture(0), sound(0), picture(0.04), sound(0.03)]
    assert [taken for item in items for taken in one.take(item)] == items


def test_a_repeated_configuration_is_dropped() -> None:
    one = intake()
    equal = CodecConfiguration(codec=AVC.codec, data=bytes(AVC.data))
    assert [one.take(AVC), one.take(AVC), one.take(equal)] == [[AVC], [], []]


@pytest.mark.parametrize(
    "changed",
    [
        CodecConfiguration(codec=VideoCodec.H264, data=b"another"),
        CodecConfiguration(codec=AudioCodec.AAC, data=b"another"),
    ],
    ids=lambda item: item.track.value,
)
def test_another_configuration_is_another_session(changed: CodecConfiguration) -> None:
    one = intake()
    one.take(AVC)
    one.take(AAC)
    with pytest.raises(SourceChanged, match=changed.track.value) as change:
        one.take(changed)
    assert (change.value.fault, change.value.successor) == (InputFault.CODEC_CHANGE, None)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_jump_is_another_session_only_beyond_the_bound(direction: int) -> None:
    one = intake()
    one.take(picture(100))
    landing = 100 + direction * MAX_JUMP.total_seconds()
    assert picture(landing) in one.take(picture(landing))
    with pytest.raises(SourceChanged, match="jumped") as change:
        one.take(picture(landing + direction * (MAX_JUMP.total_seconds() + 0.001)))
    assert (change.value.fault, change.value.successor) == (InputFault.TIMESTAMP_JUMP, None)


@pytest.mark.parametrize("direction", [1, -1])
def test_sound_that_jumps_away_from_the_pictures_is_another_session(direction: int) -> None:
    """A bug: sound an hour ahead silenced all sound for an hour, and sound behind was silence for ever."""
    one = intake()
    one.take(AVC)
    one.take(AAC)
    one.take(picture(100))
    with pytest.raises(SourceChanged, match="jumped"):
        one.take(sound(100 + direction * (MAX_JUMP.total_seconds() + 0.001)))


@pytest.mark.parametrize("track", Track)
@pytest.mark.parametrize("edge", [ORIGIN - LEAD, ORIGIN - LEAD + MAX_DURATION])
def test_what_the_session_s_file_has_no_room_for_is_another_session(track: Track, edge: timedelta) -> None:
    """Ten seconds before the origin, or weeks after it."""
    outwards = timedelta(milliseconds=-1 if edge < ORIGIN else 1)
    one = intake()
    one.take(AVC)
    one.take(AAC)
    assert one.take(frame(track, edge))
    with pytest.raises(SourceChanged, match="not within the session") as change:
        one.take(frame(track, edge + outwards))
    assert change.value.fault is InputFault.TIMESTAMP_JUMP


def test_sound_that_goes_on_without_pictures_ends_the_session_for_what_it_lacks() -> None:
    """A bug: it was reported as a jump of the sender's clock."""
    one = intake()
    one.take(AAC)
    one.take(picture(0))
    for second in range(int(MAX_JUMP.total_seconds()) + 1):
        assert one.take(sound(second)) == [sound(second)]
    with pytest.raises(SourceChanged, match="without pictures") as change:
        one.take(sound(MAX_JUMP.total_seconds() + 0.001))
    assert change.value.fault is InputFault.NO_VIDEO


def test_a_source_without_sound_has_a_silent_track() -> None:
    one = intake(audio=False)
    assert one.take(AVC) == [SILENT_CONFIGURATION, AVC]
    assert one.take(picture(0)) == [picture(0)]
    taken = one.take(picture(0.04))
    assert [item.track for item in taken] == [Track.VIDEO, Track.AUDIO, Track.AUDIO]


def test_sound_that_a_session_was_not_planned_for_is_another_session() -> None:
    one = intake(audio=False)
    one.take(AVC)
    with pytest.raises(SourceChanged, match="audio"):
        one.take(AAC)


def test_sound_of_an_unknown_format_is_dropped() -> None:
    assert intake().take(sound(0)) == []


def test_sound_that_stops_is_replaced_and_is_heard_again_when_it_returns() -> None:
    one = intake()
    one.take(AAC)
    one.take(sound(0))
    late = PATIENCE.total_seconds() + 0.1
    silence = one.take(picture(late))[1:]
    assert {item.track for item in silence} == {Track.AUDIO}
    assert one.take(sound(0.5)) == []
    *silence, heard = one.take(sound(late + 0.1))
    assert silence
    assert heard == sound(late + 0.1)


def test_a_muted_camera_leaves_its_last_picture_for_as_long_as_the_sound_goes_on() -> None:
    """An adaptive source's, that is: any other's session ends for what it lacks."""
    one = intake(adaptive=True)
    one.take(AVC)
    one.take(AAC)
    one.take(picture(0))
    repeated: list[EncodedFrame] = []
    for second in range(60):
        heard, *pictures = one.take(sound(second))
        assert heard == sound(second)
        repeated += (item for item in pictures if isinstance(item, EncodedFrame))
    assert {item.track for item in repeated} == {Track.VIDEO}
    assert len(repeated) >= 57
    assert one.take(picture(60)) == [picture(60)]
