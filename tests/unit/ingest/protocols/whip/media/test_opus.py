import pytest

from ingest.protocols.whip.media.opus import is_packet, opus_head
from tools.rtp_streams import opus_packet


@pytest.mark.parametrize("channels", [1, 2])
def test_the_head_is_as_rfc_7845_has_it(channels: int) -> None:
    """RFC 7845, 5.1: version 1, no pre-skip, 48 kHz, no gain, mapping family 0."""
    head = opus_head(channels)
    assert head == b"OpusHead\x01" + bytes((channels,)) + b"\x00\x00\x80\xbb\x00\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(opus_packet(), True, id="20 ms"),
        pytest.param(opus_packet(b""), True, id="silence that is not transmitted"),
        pytest.param(b"\xfb\x03abc", True, id="three frames"),
        pytest.param(b"\xfb\x00abc", False, id="no frames"),
        pytest.param(b"\xfb", False, id="frames not counted"),
        pytest.param(b"", False, id="nothing"),
    ],
)
def test_what_sounds_is_a_packet(payload: bytes, expected: bool) -> None:  # noqa: FBT001 (a parameter of the test)
    assert is_packet(payload) is expected
