"""Frames are found again by the number on their strip, however often the clip was sent."""

from benchmark.sent_frames import SentFrames, parse_sent_frames

# Ten frames a second from 100 s on, of a clip with four frames.
SENT = SentFrames(times=[100 + number / 10 for number in range(12)], clip_frames=4)


def test_a_strip_s_number_means_the_lap_that_was_sent_last() -> None:
    assert SENT.number_before(1, at=100.1) == 1
    assert SENT.number_before(1, at=100.49) == 1
    assert SENT.number_before(1, at=100.5) == 5
    assert SENT.number_before(1, at=200) == 9


def test_a_frame_that_was_not_sent_yet_has_no_number() -> None:
    assert SENT.number_before(3, at=100.29) is None
    assert SentFrames(times=[], clip_frames=4).number_before(0, at=100) is None


def test_the_last_frame_sent_need_not_be_the_last_one_shown() -> None:
    out_of_order = SentFrames(times=[1.0, 1.3, 1.2, 1.4], clip_frames=4)
    assert out_of_order.last_of(0, 3) == 1.3


def test_of_frames_that_were_not_all_sent_none_was_the_last() -> None:
    assert SENT.last_of(8, 12) == 101.1
    assert SENT.last_of(8, 13) is None
    assert SENT.last_of(3, 3) is None


def test_what_a_stopped_sender_wrote_is_read_up_to_the_first_hole() -> None:
    sent = parse_sent_frames(["0 10.0", "2 10.1", "1 10.2", "4 10.3"], clip_frames=4)
    assert sent.times == [10.0, 10.2, 10.1]


def test_a_frame_was_sent_when_its_strip_s_number_last_was() -> None:
    assert SENT.sent_at(1, at=100.6) == 100.5
    assert SENT.sent_at(3, at=100.29) is None
