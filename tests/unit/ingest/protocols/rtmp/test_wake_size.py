from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.rtmp.wake_size import WakeSize

# A frame of sound at 320 kb/s and 48 kHz.
SOUND_BYTES = 853
# Three seconds at 30 a second: what it may take to find out that pictures are large.
FOUND_OUT = 90


def _after(*sizes: int) -> int:
    wake_size = WakeSize()
    for size in sizes:
        wake_size.note_picture(size)
    return wake_size.bytes


def test_every_byte_counts_at_first() -> None:
    assert _after() == 1
    assert _after(100_000) == 1


@given(st.lists(st.integers(2048, 1_000_000), min_size=FOUND_OUT, max_size=FOUND_OUT + 20))
def test_large_pictures_let_sound_wait(sizes: list[int]) -> None:
    assert _after(*sizes) > SOUND_BYTES


@given(st.lists(st.integers(1, 1_000_000), max_size=50), st.integers(1, 2047))
def test_small_picture_makes_every_byte_count_at_once(sizes: list[int], small: int) -> None:
    assert _after(*[100_000] * FOUND_OUT, *sizes, small) == 1


@given(st.lists(st.integers(1, 1_000_000), min_size=1, max_size=200))
def test_every_picture_of_late_is_larger_than_what_is_waited_for(sizes: list[int]) -> None:
    wanted = _after(*sizes)
    assert wanted == 1 or min(sizes[-5:]) > wanted
