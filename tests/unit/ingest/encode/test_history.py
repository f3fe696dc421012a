from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from ingest.encode.history import FeedHistory
from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, Track, VideoCodec

AVC = CodecConfiguration(codec=VideoCodec.H264, data=b"avc")
AAC = CodecConfiguration(codec=AudioCodec.AAC, data=b"aac")


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def frame(time: float, *, keyframe: bool = False, track: Track = Track.VIDEO) -> EncodedFrame:
    return EncodedFrame(
        track=track, decode_time=seconds(time), presentation_time=seconds(time), keyframe=keyframe, data=b"data"
    )


KEY, INTER, SOUND = frame(0, keyframe=True), frame(0.5), frame(0.6, track=Track.AUDIO, keyframe=True)


def groups(count: int, *, max_bytes: int = 2**30) -> FeedHistory:
    """A history of *count* groups, each of a keyframe, a picture and a sound, one second apart."""
    history = FeedHistory(max_bytes=max_bytes)
    history.append(AVC)
    history.append(AAC)
    for number in range(count):
        history.append(frame(number, keyframe=True))
        history.append(frame(number + 0.5))
        history.append(frame(number + 0.6, track=Track.AUDIO, keyframe=True))
    return history


def test_items_stay_at_their_positions() -> None:
    history = groups(2)
    assert history.end == 8
    assert [history.at(position) for position in (0, 2, 3, 4)] == [AVC, KEY, INTER, SOUND]


def test_a_start_is_the_last_keyframe_before_a_time_with_the_formats_that_hold_there() -> None:
    history = groups(3)
    start = history.start_for(seconds(1.9))
    assert start is not None
    assert (start.position, start.time, start.configurations) == (5, seconds(1), (AVC, AAC))


def test_before_the_first_group_there_is_only_the_first() -> None:
    start = groups(3).start_for(seconds(-1))
    assert start is not None
    assert start.time == seconds(0)
    assert groups(0).start_for(seconds(1)) is None


def test_the_newest_group_is_the_last_keyframe_s() -> None:
    newest = groups(3).newest_start
    assert newest is not None
    assert newest.time == seconds(2)
    assert groups(0).newest_start is None


def test_the_next_group_may_be_asked_for() -> None:
    following = groups(3).start_from(seconds(0.5))
    assert following is not None
    assert following.time == seconds(1)
    exact = groups(3).start_from(seconds(1))
    assert exact == following
    assert groups(3).start_from(seconds(2.1)) is None


def test_what_no_replacement_needs_is_let_go() -> None:
    history = groups(4)
    before = history.kept_bytes
    history.release(seconds(2.2), read=history.end)
    assert history.kept_bytes < before
    start = history.start_for(seconds(0))
    assert start is not None
    assert start.time == seconds(2)
    assert history.at(start.position) == frame(2, keyframe=True)


def test_a_decoder_is_given_the_formats_and_all_that_came_since_it_starts() -> None:
    history = groups(3)
    history.release(seconds(1), read=history.end)
    start = history.start_for(seconds(2))
    assert start is not None
    last = (frame(2, keyframe=True), frame(2.5), frame(2.6, track=Track.AUDIO, keyframe=True))
    assert history.since(start) == (AVC, AAC, *last)


def test_what_no_encoder_has_read_is_kept() -> None:
    history = groups(4)
    history.release(seconds(3), read=3)
    assert history.at(3) == INTER
    assert history.bytes_from(3) == history.kept_bytes
    assert history.bytes_from(history.end) == 0


def test_nothing_is_let_go_of_a_feed_without_keyframes() -> None:
    history = groups(0)
    history.release(seconds(3), read=history.end)
    assert history.at(0) == AVC


@given(max_bytes=st.integers(min_value=0, max_value=10_000), count=st.integers(min_value=0, max_value=12))
def test_above_its_bound_the_history_lets_go_of_all_that_was_read(max_bytes: int, count: int) -> None:
    history = groups(count, max_bytes=max_bytes)
    history.release(seconds(0), read=history.end)
    assert history.kept_bytes <= max_bytes or count == 0 or history.kept_bytes == 0
    start = history.start_for(seconds(0))
    if start is not None:
        item = history.at(start.position)
        assert isinstance(item, EncodedFrame)
        assert item.keyframe
        assert item.track is Track.VIDEO
