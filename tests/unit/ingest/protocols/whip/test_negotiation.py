"""What is taken of an offer, what it is answered with, and how it is refused."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.frames import AudioCodec, Track, VideoCodec
from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.negotiation import (
    MAX_OFFERED_PARAMETER_SETS,
    LocalTransport,
    Negotiated,
    answer,
    negotiate,
)
from ingest.protocols.whip.sdp import (
    Direction,
    MediaSection,
    Offer,
    OfferRefused,
    Setup,
    UnusableOffer,
    parse_offer,
)
from tools.whip_offers import (
    AUDIO_SSRC,
    FINGERPRINT,
    FRAGMENT,
    REAL,
    RETRANSMISSION_SSRC,
    VIDEO_SSRC,
    chromium,
    ffmpeg_9,
    firefox,
    gstreamer,
    iphone,
    obs_30,
    obs_32_simulcast,
    simple,
)

AUDIO_BITRATE = BitsPerSecond(96_000)
LOCAL = LocalTransport(
    fragment="abcdEFGH",
    password="0123456789abcdefghijklmn",
    fingerprint=FINGERPRINT,
    candidates=(("203.0.113.7", 8189), ("2001:db8::7", 8189)),
)
TRANSPORT = (
    f"a=ice-ufrag:{FRAGMENT}",
    "a=ice-pwd:wepWcN8mqDeLZWu3T4dFBcXA",
    f"a=fingerprint:{FINGERPRINT}",
    "a=rtcp-mux",
)
DATA_CHANNEL = ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2", "a=sctp-port:5000")


def negotiated(text: str) -> Negotiated:
    return negotiate(parse_offer(text), audio_bitrate=AUDIO_BITRATE)


def answered(text: str) -> list[str]:
    """The lines that *text* is answered with."""
    return answer(parse_offer(text), negotiated(text), LOCAL).split("\r\n")


def read(text: str) -> Offer:
    """The answer to *text*, read as its publisher reads it."""
    return parse_offer("\r\n".join(answered(text)))


def video(*lines: str) -> TrackFormat:
    return negotiated(simple(video=lines)).video.track


def audio_track(taken: Negotiated) -> TrackFormat:
    assert taken.audio is not None
    return taken.audio.track


def h264(number: int, mode: str, profile_level_id: str) -> tuple[str, str]:
    parameters = f"level-asymmetry-allowed=1;packetization-mode={mode};profile-level-id={profile_level_id}"
    return f"a=rtpmap:{number} H264/90000", f"a=fmtp:{number} {parameters}"


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_every_publisher_is_taken_with_h264_and_opus(text: str) -> None:
    taken = negotiated(text)
    sound = audio_track(taken)
    assert (taken.video.track.codec, taken.video.track.clock_rate) == (VideoCodec.H264, 90_000)
    assert (sound.codec, sound.clock_rate, sound.channels) == (AudioCodec.OPUS, 48_000, 2)
    assert [each.track for each in taken.tracks] == [Track.VIDEO, Track.AUDIO]
    assert taken.fingerprints == (("sha-256", FINGERPRINT.removeprefix("sha-256 ")),)
    assert taken.fragment == FRAGMENT


@pytest.mark.parametrize("text", REAL.values(), ids=REAL)
def test_every_publisher_s_answer_receives_what_it_sends(text: str) -> None:
    offer, ours = parse_offer(text), read(text)
    assert [(each.kind, each.mid) for each in ours.media] == [(each.kind, each.mid) for each in offer.media]
    assert ours.bundle == offer.bundle
    for section in ours.media:
        assert section.direction is Direction.RECVONLY
        assert section.rtcp_mux
        assert section.transport.fragment == LOCAL.fragment
        assert section.transport.password == LOCAL.password
        assert [f"{each.function} {each.value}" for each in section.transport.fingerprints] == [FINGERPRINT]


def test_chromium_s_track_has_retransmission_and_all_feedback() -> None:
    assert negotiated(chromium()).video.track == TrackFormat(
        track=Track.VIDEO,
        codec=VideoCodec.H264,
        payload_type=116,
        clock_rate=90_000,
        retransmission_payload_type=117,
        ssrc=VIDEO_SSRC,
        retransmission_ssrc=RETRANSMISSION_SSRC,
        nack=True,
        pli=True,
        remb=True,
        mid="1",
    )
    assert audio_track(negotiated(chromium())).ssrc == AUDIO_SSRC


def test_feedback_is_what_the_publisher_knows() -> None:
    ffmpeg = negotiated(ffmpeg_9()).video.track
    assert (ffmpeg.nack, ffmpeg.pli, ffmpeg.remb) == (True, False, False)
    assert ffmpeg.retransmission_payload_type == 105
    streamer = negotiated(gstreamer()).video.track
    assert (streamer.nack, streamer.pli, streamer.remb) == (False, True, False)
    assert streamer.retransmission_payload_type is None


def test_transport_wide_congestion_control_and_header_extensions_are_never_answered() -> None:
    """With either, Chromium would not go by REMB."""
    for text in REAL.values():
        assert not [line for line in answered(text) if "transport-cc" in line or line.startswith("a=extmap")]
    assert "a=rtcp-fb:116 goog-remb" in answered(chromium())


def test_h264_goes_before_vp8_and_mode_1_before_mode_0_and_high_before_main_before_baseline() -> None:
    offered = (
        "a=rtpmap:99 VP8/90000",
        *h264(96, "0", "640c1f"),
        *h264(97, "1", "42e01f"),
        *h264(98, "1", "4d001f"),
    )
    assert video(*offered).payload_type == 98
    assert video(*offered[:-2]).payload_type == 97
    assert video(*offered[:-4]).payload_type == 96
    assert video(*offered[:1]).codec is VideoCodec.VP8
    assert negotiated(iphone()).video.track.payload_type == 96


def test_among_equals_the_publisher_s_order_holds() -> None:
    assert video(*h264(97, "1", "42e01f"), *h264(96, "1", "42001f")).payload_type == 96


@pytest.mark.parametrize(
    "profile_level_id", ["42001f", "42e01f", "42c01f", "4d001f", "4D0032", "640c1f", "640028"]
)
def test_baseline_main_and_high_are_taken_at_any_level(profile_level_id: str) -> None:
    assert video(*h264(96, "1", profile_level_id)).codec is VideoCodec.H264


@pytest.mark.parametrize(
    "profile_level_id", ["f4001f", "6e001f", "7a001f", "422001f", "42e0", "zz001f", "53001f"]
)
def test_other_profiles_are_refused_by_name(profile_level_id: str) -> None:
    with pytest.raises(UnusableOffer, match=f"H.264 of profile {profile_level_id} for video"):
        video(*h264(96, "1", profile_level_id))


def test_h264_without_parameters_is_baseline_in_mode_0() -> None:
    """RFC 6184, 8.1."""
    text = simple(video=("a=rtpmap:96 H264/90000",))
    assert negotiated(text).video.track.codec is VideoCodec.H264
    assert not [line for line in answered(text) if line.startswith("a=fmtp:96")]


def test_the_level_is_ours_where_each_side_may_have_its_own() -> None:
    """RFC 6184, 8.2.2; an iPhone that offers 3.1 would not encode 1080p otherwise."""
    wanted = "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c34"
    assert wanted in answered(iphone())


def test_the_level_is_the_publisher_s_where_both_must_have_the_same() -> None:
    assert "a=fmtp:96 packetization-mode=1;profile-level-id=64001f" in answered(gstreamer())


def test_opus_is_asked_for_in_stereo_at_the_configured_bitrate() -> None:
    wanted = "a=fmtp:111 minptime=10;useinbandfec=0;stereo=1;maxaveragebitrate=96000"
    assert wanted in answered(chromium())


def with_parameter_sets(value: str) -> tuple[bytes, ...]:
    parameters = f"a=fmtp:96 packetization-mode=1;profile-level-id=42e01f;sprop-parameter-sets={value}"
    return video("a=rtpmap:96 H264/90000", parameters).parameter_sets


def test_parameter_sets_in_an_offer_are_taken() -> None:
    sets = negotiated(gstreamer()).video.track.parameter_sets
    assert [unit[0] & 0x1F for unit in sets] == [7, 8]
    assert with_parameter_sets(",".join(b64encode(unit).decode() for unit in sets)) == sets


@pytest.mark.parametrize(
    "value",
    [
        "",
        ",",
        "Z2QAH6zZQFAFuwEQAAA=,",  # a set is missing
        "Z2QAH6zZQFAFuwEQAAA=,aOvjyyL",  # no base64
        "Z2QAH6zZQFAFuwEQAAA=,aOv jyyLA",
        "Z2QAH6zZQFAFuwEQAAA=,\u00e9",
        "Z2QAH6zZQFAFuwEQAAA=,ZYiEAA==",  # a slice
        ",".join(["aOvjyyLA"] * (MAX_OFFERED_PARAMETER_SETS + 1)),
    ],
)
def test_parameter_sets_that_are_none_are_left_for_the_stream_to_send(value: str) -> None:
    assert with_parameter_sets(value) == ()


def test_simulcast_is_answered_with_one_layer() -> None:
    for text in (obs_32_simulcast(), chromium(simulcast=True)):
        assert not [line for line in answered(text) if line.startswith(("a=simulcast", "a=rid"))]
        assert negotiated(text).video.track.ssrc is None


@pytest.mark.parametrize("codec", ["AV1", "H265", "VP9"])
def test_obs_with_another_codec_is_told_to_choose_h264(codec: str) -> None:
    with pytest.raises(UnusableOffer, match=f"^The offer has {codec} for video.* Choose H.264"):
        negotiated(obs_30(f"{codec}/90000"))


def test_sound_in_another_codec_is_refused_rather_than_left_out() -> None:
    """RFC 9725, 4.4.3: a session without sound would mislead its publisher."""
    with pytest.raises(UnusableOffer, match=r"has PCMU for audio.* Choose Opus"):
        negotiated(simple(audio=("a=rtpmap:111 PCMU/8000",)))
    with pytest.raises(UnusableOffer, match="no codec by name for audio"):
        negotiated(simple(audio=()))


@pytest.mark.parametrize("encoding", ["opus/48000", "opus/44100/2", "opus/48000/1"])
def test_opus_is_48_khz_and_two_channels_or_it_is_not_opus(encoding: str) -> None:
    """RFC 7587, 7."""
    with pytest.raises(UnusableOffer, match="OPUS for audio"):
        negotiated(simple(audio=(f"a=rtpmap:111 {encoding}",)))


def test_video_alone_is_taken_and_sound_alone_is_not() -> None:
    sections = simple().split("m=")
    only_video, only_audio = sections[0] + "m=" + sections[2], sections[0] + "m=" + sections[1]
    taken = negotiated(only_video)
    assert taken.audio is None
    assert len(taken.tracks) == 1
    assert "a=group:BUNDLE 1" in answered(only_video)
    with pytest.raises(UnusableOffer, match="sends no video"):
        negotiated(only_audio)


def test_a_single_section_needs_neither_a_bundle_nor_a_mid() -> None:
    text = simple().split("m=")
    alone = (text[0] + "m=" + text[2]).replace("a=group:BUNDLE 0 1\r\n", "").replace("a=mid:1\r\n", "")
    assert negotiated(alone).video.track.mid == ""
    assert not [line for line in answered(alone) if line.startswith(("a=mid", "a=group"))]
    assert [line for line in answered(alone) if line.startswith("a=candidate")]


def test_video_may_come_before_or_behind_audio() -> None:
    assert [each.kind for each in read(chromium(video_first=True)).media] == ["video", "audio"]
    assert negotiated(chromium(video_first=True)).tracks == negotiated(chromium()).tracks


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_what_is_sent_is_received(direction: str) -> None:
    assert {each.direction for each in read(simple(direction=direction)).media} == {Direction.RECVONLY}


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_a_publisher_that_sends_nothing_is_refused(direction: str) -> None:
    with pytest.raises(UnusableOffer, match="sends no video"):
        negotiated(simple(direction=direction))


@pytest.mark.parametrize("direction", ["recvonly", "inactive"])
def test_a_section_that_sends_nothing_is_answered_inactive_beside_one_that_does(direction: str) -> None:
    idle = (
        "m=video 9 UDP/TLS/RTP/SAVPF 100",
        "a=mid:2",
        f"a={direction}",
        *TRANSPORT,
        "a=rtpmap:100 VP8/90000",
    )
    text = simple(more=idle).replace("BUNDLE 0 1", "BUNDLE 2 0 1")
    ours = read(text)
    assert [each.direction.value for each in ours.media] == ["recvonly", "recvonly", "inactive"]
    assert not any(each.is_disabled for each in ours.media)


def test_a_data_channel_is_rejected_by_itself() -> None:
    text = simple(more=DATA_CHANNEL).replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    assert "m=application 0 UDP/DTLS/SCTP webrtc-datachannel" in answered(text)
    assert read(text).bundle == ("0", "1")


def test_of_two_videos_the_first_that_can_be_taken_is() -> None:
    second = ("m=video 9 UDP/TLS/RTP/SAVPF 100", "a=mid:2", "a=sendonly", *TRANSPORT, "a=rtpmap:100 VP8/90000")
    text = simple(more=second).replace("BUNDLE 0 1", "BUNDLE 0 1 2")
    assert [each.is_disabled for each in read(text).media] == [False, False, True]
    text = text.replace("H264/90000", "VP9/90000")
    assert negotiated(text).video.track.mid == "2"
    assert [each.is_disabled for each in read(text).media] == [False, True, False]


def test_a_section_of_port_0_is_as_good_as_none() -> None:
    with pytest.raises(UnusableOffer, match="sends no video"):
        negotiated(simple().replace("m=video 9", "m=video 0"))
    text = simple().replace("m=audio 9", "m=audio 0")
    assert negotiated(text).audio is None
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 111" in answered(text)


def test_two_identical_sections_without_mids_are_told_apart() -> None:
    section = ("m=video 9 UDP/TLS/RTP/SAVPF 96", *TRANSPORT, "a=sendonly", *h264(96, "1", "42e01f"))
    text = "\r\n".join(("v=0", *section, *section))
    assert [each.is_disabled for each in read(text).media] == [False, True]


@pytest.mark.parametrize(
    ("theirs", "ours"), [("actpass", Setup.PASSIVE), ("active", Setup.PASSIVE), ("passive", Setup.ACTIVE)]
)
def test_we_are_the_dtls_server_unless_the_publisher_insists_on_that(theirs: str, ours: Setup) -> None:
    """RFC 9725, 4.4.4; FFmpeg insists."""
    text = simple(setup=theirs)
    assert negotiated(text).setup is ours
    assert {each.transport.setup for each in read(text).media} == {ours}


def test_without_a_setup_the_publisher_is_active() -> None:
    """RFC 4145, 4.1."""
    assert negotiated(simple().replace("a=setup:actpass\r\n", "")).setup is Setup.PASSIVE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (simple(session=("a=ice-lite",)), "ICE lite"),
        (simple(setup="holdconn"), "holdconn"),
        (simple().replace("a=group:BUNDLE 0 1\r\n", ""), "BUNDLE"),
        (simple().replace("BUNDLE 0 1", "BUNDLE 1"), "BUNDLE"),
        (simple().replace("a=rtcp-mux\r\n", ""), "a=rtcp-mux"),
        (simple().replace(f"a=ice-ufrag:{FRAGMENT}\r\n", ""), "a=ice-ufrag"),
        (simple().replace(f"a=fingerprint:{FINGERPRINT}\r\n", ""), "SHA-256"),
        (simple().replace("a=fingerprint:sha-256", "a=fingerprint:sha-1"), "SHA-256"),
        (simple().replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "RTP/AVP, without DTLS"),
        (simple(audio=("a=rtpmap:96 opus/48000/2",)).replace("SAVPF 111", "SAVPF 96"), "same RTP payload type"),
        (simple(video=h264(72, "1", "42e01f")).replace("SAVPF 96", "SAVPF 72"), "H.264 of profile 42e01f"),
        (simple(video=h264(96, "2", "42e01f")), "H.264 of profile 42e01f"),
        (simple(video=("a=rtpmap:96 VP8/8000",)), "VP8"),
    ],
)
def test_what_cannot_work_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(UnusableOffer, match=said):
        negotiated(text)


def test_bundle_only_sections_take_the_transport_of_the_tagged_one() -> None:
    """RFC 9143, 7.2.1; RFC 9725, 4.2 has an example."""
    taken = negotiated(gstreamer())
    assert taken.fragment == FRAGMENT
    assert audio_track(taken).mid == "audio1"


def test_our_addresses_are_all_in_the_first_section() -> None:
    lines = answered(chromium())
    candidates = [line for line in lines if line.startswith("a=candidate")]
    assert candidates == [
        "a=candidate:1 1 udp 2130706431 203.0.113.7 8189 typ host",
        "a=candidate:2 1 udp 2130706175 2001:db8::7 8189 typ host",
    ]
    assert lines.index("a=end-of-candidates") < lines.index("m=video 9 UDP/TLS/RTP/SAVPF 116 117")


def test_the_answer_says_that_we_are_a_lite_agent() -> None:
    """RFC 8839, 5.3."""
    assert read(chromium()).ice_lite


def test_weak_fingerprints_are_left_out() -> None:
    sha1 = "a=fingerprint:sha-1 " + ":".join(["AB"] * 20)
    text = simple().replace(f"a=fingerprint:{FINGERPRINT}", f"{sha1}\r\na=fingerprint:{FINGERPRINT}")
    assert [function for function, _ in negotiated(text).fingerprints] == ["sha-256"]


def test_no_password_is_shown() -> None:
    assert LOCAL.password not in repr(LOCAL)


def edited(draw: st.DrawFn, lines: list[str]) -> list[str]:
    """*lines* with one of them gone, twice, elsewhere, cut, or with something strange in it."""
    at = draw(st.integers(0, len(lines) - 1))
    line = lines[at]
    cut = draw(st.integers(0, len(line)))
    strange = draw(st.sampled_from(["", " ", ":", "0", "-1", "99999999999", "\t", "é", "m=", "a=mid:0", "\r"]))
    edits = {
        "drop": [],
        "double": [line, line],
        "cut": [line[:cut]],
        "insert": [line[:cut] + strange + line[cut:]],
        "replace": [strange],
        "other": [draw(st.sampled_from(lines))],
    }
    return [*lines[:at], *edits[draw(st.sampled_from(sorted(edits)))], *lines[at + 1 :]]


@st.composite
def mutated_offers(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from([*REAL.values(), simple(more=DATA_CHANNEL)])).split("\r\n")
    for _ in range(draw(st.integers(1, 8))):
        lines = edited(draw, lines) or [""]
    return "\r\n".join(lines)


@given(mutated_offers())
def test_a_mutated_offer_is_refused_or_has_an_answer_that_fits_it(text: str) -> None:
    """RFC 3264, 6: an m-line for each, formats that were offered, nothing that was slipped in."""
    try:
        offer = parse_offer(text)
        taken = negotiate(offer, audio_bitrate=AUDIO_BITRATE)
    except OfferRefused:
        return
    ours = parse_offer(answer(offer, taken, LOCAL))
    assert len(ours.media) == len(offer.media)
    for mine, theirs in zip(ours.media, offer.media, strict=True):
        assert (mine.kind, mine.protocol, mine.mid) == (theirs.kind, theirs.protocol, theirs.mid)
        assert set(mine.formats) <= {each.lstrip("0") or "0" for each in theirs.formats} | set(theirs.formats)
        assert is_received(mine) <= theirs.direction.sends
    assert set(ours.bundle) <= set(offer.bundle)
    assert sum(is_received(each) for each in ours.media) == len(taken.tracks)


def is_received(section: MediaSection) -> bool:
    return not section.is_disabled and section.direction is Direction.RECVONLY


def test_firefox_s_h264_in_mode_1_is_taken() -> None:
    assert negotiated(firefox()).video.track.payload_type == 126
