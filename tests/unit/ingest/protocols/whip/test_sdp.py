"""Offers are read whoever sends them; what is none is refused in words, and costs little."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.protocols.whip.sdp import (
    MAX_FORMATS,
    MAX_LINE_CHARACTERS,
    MAX_LINES,
    MAX_MEDIA,
    MAX_SDP_CHARACTERS,
    MAX_SSRCS,
    Direction,
    Fingerprint,
    InvalidOffer,
    MediaSection,
    Setup,
    parse_offer,
    parse_trickle_fragment,
)
from tools.whip_offers import (
    AUDIO_SSRC,
    FINGERPRINT,
    FRAGMENT,
    PASSWORD,
    REAL,
    RETRANSMISSION_SSRC,
    VIDEO_SSRC,
    chromium,
    ffmpeg_9,
    firefox,
    gstreamer,
    obs_30,
    obs_32_simulcast,
    simple,
)

HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CERTIFICATE = (Fingerprint(function="sha-256", value=FINGERPRINT.removeprefix("sha-256 ")),)


def section(text: str, kind: str = "video") -> MediaSection:
    return next(each for each in parse_offer(text).media if each.kind == kind)


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_every_publisher_s_transport_is_found_at_the_session_or_the_first_section(text: str) -> None:
    transport = parse_offer(text).media[0].transport
    assert (transport.fragment, transport.password) == (FRAGMENT, PASSWORD)
    assert transport.fingerprints == CERTIFICATE
    assert transport.setup in (Setup.ACTPASS, Setup.ACTIVE, Setup.PASSIVE)


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_every_publisher_s_sections_are_bundled_and_sent(text: str) -> None:
    offer = parse_offer(text)
    assert {each.mid for each in offer.media} == set(offer.bundle)
    assert all(each.direction is Direction.SENDONLY and not each.is_disabled for each in offer.media)


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_lines_may_end_without_a_carriage_return(text: str) -> None:
    assert parse_offer(text.replace("\r\n", "\n")) == parse_offer(text)
    assert parse_offer(text.rstrip()) == parse_offer(text)
    assert parse_offer(text + "\r\n") == parse_offer(text)


def test_a_codec_is_read_with_its_parameters_and_its_feedback() -> None:
    codec = next(each for each in section(chromium()).codecs if each.payload_type == 116)
    assert (codec.name, codec.encoding, codec.clock_rate, codec.channels) == ("H264", "H264/90000", 90_000, 1)
    assert codec.parameters == {
        "level-asymmetry-allowed": "1",
        "packetization-mode": "1",
        "profile-level-id": "4d001f",
    }
    assert codec.feedback == {"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"}


def test_codecs_keep_the_order_of_the_m_line() -> None:
    """RFC 3264, 5.1: what is preferred comes first, wherever its a=rtpmap stands."""
    assert [each.payload_type for each in section(firefox()).codecs] == [120, 124, 121, 125, 126, 127, 97, 98]


def test_feedback_for_all_formats_is_each_one_s() -> None:
    text = simple(video=("a=rtpmap:96 VP8/90000", "a=rtcp-fb:* nack pli", "a=rtcp-fb:96 nack"))
    assert section(text).codecs[0].feedback == {"nack", "nack pli"}


def test_ssrcs_are_those_that_are_sent_once() -> None:
    assert section(ffmpeg_9()).ssrcs == (VIDEO_SSRC,)
    assert section(ffmpeg_9()).retransmission_ssrcs == {VIDEO_SSRC: RETRANSMISSION_SSRC}
    assert section(firefox()).ssrcs == (VIDEO_SSRC,)
    assert section(chromium(), "audio").ssrcs == (AUDIO_SSRC,)
    assert section(obs_32_simulcast()).ssrcs == ()


def test_ssrcs_that_are_none_are_ignored() -> None:
    wrong = ("a=ssrc:x cname:a", "a=ssrc:4294967296 cname:a", "a=ssrc-group:FID 1", "a=ssrc-group:SIM 5 6 7")
    assert section(simple(more=wrong)).ssrcs == ()
    many = tuple(f"a=ssrc:{number} cname:a" for number in range(1000))
    assert section(simple(more=many)).ssrcs == tuple(range(MAX_SSRCS))


def test_a_section_s_own_transport_goes_before_the_session_s() -> None:
    """RFC 8839, 5.4."""
    text = obs_30().replace("a=mid:1", f"a=mid:1\r\na=ice-ufrag:Other\r\na=ice-pwd:{PASSWORD[::-1]}")
    audio, video = parse_offer(text).media
    assert (audio.transport.fragment, video.transport.fragment) == (FRAGMENT, "Other")
    assert video.transport.fingerprints == CERTIFICATE


def test_a_direction_is_the_section_s_then_the_session_s_then_both_ways() -> None:
    def directions(text: str) -> set[Direction]:
        return {each.direction for each in parse_offer(text).media}

    assert directions(simple(direction="recvonly")) == {Direction.RECVONLY}
    assert directions(simple(direction="x", session=("a=inactive",))) == {Direction.INACTIVE}
    assert directions(simple(direction="x")) == {Direction.SENDRECV}


def test_port_0_disables_a_section_that_is_not_bundle_only() -> None:
    """RFC 9143, 7.2.1."""
    assert not section(gstreamer(), "audio").is_disabled
    assert section(gstreamer().replace("a=bundle-only\r\n", ""), "audio").is_disabled


def test_a_fingerprint_that_is_none_is_ignored() -> None:
    text = obs_30().replace(f"a=fingerprint:{FINGERPRINT}", "a=fingerprint:sha-256 zz")
    assert parse_offer(text).media[0].transport.fingerprints == ()


def test_a_group_of_nothing_is_none() -> None:
    """A bug: an a=group without a value raised ValueError."""
    assert parse_offer(simple(session=("a=group", "a=group:"))).bundle == ("0", "1")
    assert parse_offer(simple().replace("a=group:BUNDLE 0 1", "a=group")).bundle == ()


def test_what_is_not_known_is_ignored() -> None:
    """RFC 8866, 6."""
    text = simple(
        session=("a=something:else", "i=A title", "b=AS:100"), more=("a=candidate:?", "a=rtcp-fb:?", "a=fmtp:?")
    )
    assert parse_offer(text) == parse_offer(simple())


def test_formats_without_a_name_are_no_codecs() -> None:
    text = simple(video=("a=rtpmap:96 VP8/90000", "a=fmtp:97 apt=96", "a=rtpmap:126 H264/90000"))
    assert [each.payload_type for each in section(text).codecs] == [96]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1"),
        ("v=0", "no m-line"),
        ("v=1\r\nm=video 9 RTP/SAVPF 96\r\n", "v=0"),
        (HEAD, "no m-line"),
        ("<html></html>", "line 1"),
        ("\x00\x01", "line 1"),
        (HEAD + "\r\nm=video 9 RTP/SAVPF 96\r\n", "line 5"),
        (HEAD + "m=video nine RTP/SAVPF 96\r\n", "m-line"),
        (HEAD + "m=video 9 RTP/SAVPF\r\n", "m-line"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=rtpmap:96 H264\r\n", "a=rtpmap"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=rtpmap:96 H264/x\r\n", "a=rtpmap"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=ice-ufrag:a b\r\n", "a=ice-ufrag"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=ice-pwd:short\r\n", "a=ice-pwd"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=setup:maybe\r\n", "a=setup"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=mid:a b\r\n", "a=mid"),
        (HEAD + "m=video 9 RTP/SAVPF 96\r\na=mid:1\r\nm=audio 9 RTP/SAVPF 97\r\na=mid:1\r\n", "same a=mid"),
    ],
)
def test_what_is_not_sdp_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(InvalidOffer, match=said):
        parse_offer(text)


def test_an_offer_is_bounded() -> None:
    line = "a=x\r\n"
    for text in (
        simple() + line * ((MAX_SDP_CHARACTERS - len(simple())) // len(line) + 1),
        simple() + "a=x\n" * MAX_LINES,
        simple(more=("a=" + "x" * MAX_LINE_CHARACTERS,)),
        simple(more=("m=video 9 RTP/SAVPF 96",) * (MAX_MEDIA - 1)),
        simple(more=("m=video 9 RTP/SAVPF" + " 1" * (MAX_FORMATS + 1),)),
    ):
        with pytest.raises(InvalidOffer, match=r"more than|longer than|is not a letter"):
            parse_offer(text)
    parse_offer(simple(more=("m=video 9 RTP/SAVPF" + " 1" * MAX_FORMATS,) * (MAX_MEDIA - 2)))


@given(st.text() | st.text().map(lambda text: HEAD + text) | st.text().map(lambda text: simple(more=(text,))))
@example("v=0\nm=a 0 x 1\na=rtpmap:999 x/1")
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_offer, parse_trickle_fragment):
        with suppress(InvalidOffer):
            parse(text)


def test_a_trickle_fragment_names_its_ice_session() -> None:
    """RFC 9725, 4.3.2, figure 2."""
    text = (
        "a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\n"
        "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
        "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r\n"
        "a=end-of-candidates\r\n"
    )
    assert parse_trickle_fragment(text) == "EsAw"
    assert parse_trickle_fragment("a=end-of-candidates") == ""


@pytest.mark.parametrize("text", ["", "x", "a=mid:0\r\n", "m=audio 9 RTP/SAVPF 1\r\n", "a=ice-ufrag:?\r\n"])
def test_what_is_no_trickle_fragment_is_refused(text: str) -> None:
    with pytest.raises(InvalidOffer):
        parse_trickle_fragment(text)


def test_no_password_is_shown() -> None:
    assert PASSWORD not in repr(parse_offer(simple()))
