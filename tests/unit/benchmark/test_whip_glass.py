"""A picture's strip says when it was drawn."""

from hypothesis import given
from hypothesis import strategies as st

from benchmark.glass import latencies
from benchmark.whip_glass import DrawnFrames
from tools.frame_strip import NUMBER_BITS

DRAWN = DrawnFrames(began=1_000.0)
LAP_MILLISECONDS = 2**NUMBER_BITS


@given(drawn=st.integers(0, 5 * LAP_MILLISECONDS), late=st.integers(0, LAP_MILLISECONDS - 1))
def test_a_picture_was_drawn_when_its_strip_last_said_so(drawn: int, late: int) -> None:
    """The strip begins again after some hours."""
    seen = DRAWN.began + (drawn + late) / 1000
    sent = DRAWN.sent_at(drawn % LAP_MILLISECONDS, seen + 0.0005)
    assert sent is not None
    assert round(1000 * (sent - DRAWN.began)) == drawn


def test_a_picture_that_is_still_to_be_drawn_has_no_latency() -> None:
    assert latencies([(5_000, 1_004.9), (5_000, 1_008.5)], DRAWN) == [3.5]
