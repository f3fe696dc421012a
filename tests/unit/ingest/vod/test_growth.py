from hypothesis import given
from hypothesis import strategies as st

from bucketcast.codecs.picture_size import PictureSize
from ingest.vod.growth import largest, sizes_in

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
