from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.picture_size import PictureSize
from ingest.vod.growth import PLACES, changes_size, full_size, largest, sizes_in

# Of x264: 320x180, Constrained Baseline.
PARAMETER_SET = bytes.fromhex("6742c014da05067e7840000003004000000f23c50aa8")
sizes = st.builds(PictureSize, st.integers(16, 4096), st.integers(16, 4096))


def unit(content: bytes) -> bytes:
    return len(content).to_bytes(4) + content


def test_the_sizes_are_those_of_the_parameter_sets_wherever_they_stand() -> None:
    picture = unit(b"\x65 a picture")
    assert list(sizes_in(unit(PARAMETER_SET) + unit(b"\x68 a picture parameter set") + picture)) == [(320, 180)]
    assert list(sizes_in(unit(b"\x09\xf0") + unit(b"") + unit(PARAMETER_SET) + picture)) == [(320, 180)]
    assert list(sizes_in(picture)) == []
    assert list(sizes_in(unit(PARAMETER_SET)[:-6])) == []


@given(st.binary(max_size=60), st.integers(0, 60))
def test_no_sample_leads_to_anything_but_sizes(noise: bytes, place: int) -> None:
    sample = unit(PARAMETER_SET)
    for found in sizes_in(sample[:place] + noise + sample[place:]):
        assert min(found) > 0


@dataclass
class Container:
    """A recording of ten seconds; its pictures are *small*, and from the middle on *large*."""

    small: bytes
    large: bytes
    sought: list[int] = field(default_factory=list)

    def seek(self, moment: int, *, stream: object) -> None:
        assert stream is VIDEO
        self.sought.append(moment)

    def demux(self, stream: object) -> Iterator[bytes]:
        assert stream is VIDEO
        yield self.small if self.sought[-1] < MIDDLE else self.large


VIDEO: Any = SimpleNamespace(
    width=320, height=180, start_time=900, duration=900_000, codec_context=SimpleNamespace(codec_tag="avc3")
)
MIDDLE = 900 + 450_000


def test_keyframes_from_all_over_the_recording_are_looked_at() -> None:
    larger = bytes.fromhex("6742c01ed9005005bb0110000003001000000303c0f1429960")  # 1280x720
    container: Any = Container(small=unit(PARAMETER_SET), large=unit(larger))
    assert changes_size(VIDEO)
    assert full_size(container, VIDEO) == (1280, 720)
    assert container.sought[0] == 900
    assert container.sought[-1] == 900 + 900_000 * (PLACES - 1) // PLACES
    assert len(container.sought) == PLACES


def test_the_largest_counts_that_has_the_shape_of_the_first() -> None:
    first, grown, upright = PictureSize(320, 180), PictureSize(640, 360), PictureSize(720, 1280)
    assert largest([first, grown, upright, PictureSize(480, 272)]) == grown
    assert largest([first]) == first
    assert largest([upright, grown]) == upright


@given(st.lists(sizes, min_size=1))
def test_it_is_one_of_them_and_never_smaller_than_the_first(found: list[PictureSize]) -> None:
    chosen = largest(found)
    assert chosen in found
    assert chosen.width * chosen.height >= found[0].width * found[0].height
