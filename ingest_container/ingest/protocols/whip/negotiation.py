"""What of an offer is taken, and the answer that says so (RFC 9429, 5.3.1; RFC 9725, 4.2 and 4.4).

One video track and one audio track are received, on one transport. H.264 goes before VP8, for it can be passed
on as it is; with packetization-mode 1 before 0, and the better profile before the simpler one. Audio is Opus.

Of feedback, NACK, PLI and REMB are agreed upon. Transport-wide congestion control is not: without it, Chromium
goes by REMB, whose bitrate we choose. No header extension is: tracks are told apart by payload type, and a
sender that may not send the video's orientation turns the pictures itself.

Simulcast is not accepted: where an answer has no a=simulcast, its offerer sends one layer (RFC 8853, 5.3.3).
Browsers do; OBS, from 32.1 on, gives up and shows how many layers were accepted, until simulcast is turned off.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.frames import AudioCodec, Track, VideoCodec
from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.sdp import (
    Codec,
    MediaSection,
    Offer,
    Setup,
    Transport,
    UnusableOffer,
)

VIDEO_CLOCK_RATE: Final = 90_000
"""Of every video codec in RTP that is taken (RFC 6184, 8.2.1; RFC 7741, 6.1)."""

OPUS_CLOCK_RATE: Final = 48_000
OPUS_CHANNELS: Final = 2
"""Always, whatever is sent (RFC 7587, 7)."""

_PROTOCOLS: Final = ("RTP/SAVPF", "RTP/SAVP")
"""RFC 9429, 5.1.2: whatever stands before these is taken for DTLS, as are they themselves."""

_FINGERPRINT_FUNCTIONS: Final = frozenset({"sha-256", "sha-384", "sha-512"})
"""RFC 8122, 5 has older ones, which a forger could match."""

_MULTIPLEXED_PAYLOAD_TYPES: Final = range(64, 96)
"""RFC 5761, 4: on one port with RTCP, these would look like it."""

_PROFILES: Final = {0x42: 0, 0x58: 1, 0x4D: 2, 0x64: 3}
"""The H.264 profiles that are taken, by profile_idc, better ones higher: Baseline, Extended, Main, High."""

_PROFILE_LEVEL_ID: Final = re.compile(r"[0-9A-Fa-f]{6}")
_DEFAULT_PROFILE_LEVEL_ID: Final = "420010"
"""RFC 6184, 8.1: what is meant where none is said."""

MAX_OFFERED_PARAMETER_SETS: Final = 8
"""In sprop-parameter-sets: senders have one of each kind, and what an SDP line holds are a few."""

_PARAMETER_SET_TYPES: Final = frozenset({7, 8})
"""Sequence and picture parameter sets (ITU-T H.264, table 7-1)."""

_RECEIVED_LEVEL: Final = "34"
"""5.2, which is 2160p60: FFmpeg decodes it, and some phones encode no more than the level that we say."""

_CODECS: Final[dict[str, VideoCodec | AudioCodec]] = {
    "H264": VideoCodec.H264,
    "VP8": VideoCodec.VP8,
    "OPUS": AudioCodec.OPUS,
}

# Formats that carry no media of their own: not worth naming to a person.
_AUXILIARY: Final = frozenset({"RTX", "RED", "ULPFEC", "FLEXFEC-03", "CN", "TELEPHONE-EVENT"})
# RFC 8445, 5.1.2: of a host candidate, with the component of RTP; the rest prefers what comes first.
_HOST_PREFERENCE: Final = 126
_FIRST_PREFERENCE: Final = 65_535
_RTP_COMPONENT: Final = 1

# IP address and UDP port.
Candidate = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenSection:
    """An m-section whose media is received, how it comes, and its *index* among the offer's."""

    index: int
    section: MediaSection
    codec: Codec
    track: TrackFormat


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """What is taken of an offer.

    *fragment* is the publisher's in ICE, *fingerprints* are the hash functions and values of its certificate,
    and *setup* is our part in the DTLS handshake.
    """

    video: TakenSection
    audio: TakenSection | None
    fragment: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: Setup
    audio_bitrate: BitsPerSecond

    @property
    def taken(self) -> tuple[TakenSection, ...]:
        """The sections that are received."""
        return (self.video,) if self.audio is None else (self.video, self.audio)

    @property
    def tracks(self) -> tuple[TrackFormat, ...]:
        """How their media comes."""
        return tuple(each.track for each in self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """Our side of ICE and DTLS: *fingerprint* as SDP has it, *candidates* as peers reach them, best first."""

    fragment: str
    password: str = field(repr=False)
    fingerprint: str
    candidates: tuple[Candidate, ...]


def negotiate(offer: Offer, *, audio_bitrate: BitsPerSecond) -> Negotiated:
    """Choose what is received of *offer*; ask for Opus of *audio_bitrate* at most.

    Raises:
        UnusableOffer: nothing can be, or not all that a publisher would take for granted (RFC 9725, 4.4.3).
    """
    if offer.ice_lite:
        # RFC 8445, 6.1.1, and RFC 9725, 4.4.5: between two lite agents nobody makes a check.
        raise UnusableOffer(
            "The publisher is an ICE lite agent, and so is this server: one has to be a full one."
        )
    video = _take(offer, "video", _video_preference, "Choose H.264 as the video encoder.")
    if video is None:
        raise UnusableOffer("The offer sends no video. Choose a camera or a screen: sound alone is not taken.")
    audio = _take(offer, "audio", _audio_preference, "Choose Opus as the audio encoder.")
    taken = (video,) if audio is None else (video, audio)
    _check_bundle(offer, taken)
    transport = _transport(offer, taken)
    return Negotiated(
        video=video,
        audio=audio,
        fragment=transport.fragment,
        fingerprints=tuple(
            (each.function, each.value)
            for each in transport.fingerprints
            if each.function in _FINGERPRINT_FUNCTIONS
        ),
        # RFC 9725, 4.4.4: a media server is the DTLS server, unless the peer wants to be it, as FFmpeg does.
        setup=Setup.ACTIVE if transport.setup is Setup.PASSIVE else Setup.PASSIVE,
        audio_bitrate=audio_bitrate,
    )


def _take(
    offer: Offer, kind: str, preference: Callable[[Codec], int | None], advice: str
) -> TakenSection | None:
    """The first section of *kind* that can be received, or None where there is none that is sent.

    A second one is rejected by itself, although RFC 9725, 4.4.2 would refuse the offer: what a publisher that
    offers two of a kind means by it is not known, and one picture and one sound is what it gets everywhere.

    Raises:
        UnusableOffer: some are sent, and none can be received.
    """
    sent = [(index, each) for index, each in enumerate(offer.media) if each.kind == kind and _is_sent(each)]
    for index, section in sent:
        codec = _choose(section.codecs, preference)
        if codec is not None and section.protocol.endswith(_PROTOCOLS):
            track = _track_format(section, codec)
            return TakenSection(index=index, section=section, codec=codec, track=track)
    if not sent:
        return None
    protocol = sent[0][1].protocol
    if not protocol.endswith(_PROTOCOLS):
        raise UnusableOffer(f"The offer's {kind} comes over {protocol[:32]}, without DTLS: this is not WebRTC.")
    names = ", ".join(_names(section for _, section in sent)) or "no codec by name"
    raise UnusableOffer(f"The offer has {names} for {kind}, which cannot be taken here. {advice}")


def _is_sent(section: MediaSection) -> bool:
    return section.direction.sends and not section.is_disabled


def _names(sections: Iterable[MediaSection]) -> list[str]:
    """The names of the codecs in *sections*, each once."""
    codecs = (codec for section in sections for codec in section.codecs)
    return list(dict.fromkeys(_described(codec) for codec in codecs if codec.name not in _AUXILIARY))


def _described(codec: Codec) -> str:
    profile = codec.parameters.get("profile-level-id", "")[:16]
    return f"H.264 of profile {profile}" if codec.name == "H264" and profile else codec.name


def _choose(codecs: Sequence[Codec], preference: Callable[[Codec], int | None]) -> Codec | None:
    """The codec of the highest preference; among equals, what the sender likes most (RFC 3264, 6.1)."""
    usable = [
        (rank, codec)
        for codec in codecs
        if codec.payload_type not in _MULTIPLEXED_PAYLOAD_TYPES and (rank := preference(codec)) is not None
    ]
    return max(usable, key=lambda each: each[0])[1] if usable else None


def _video_preference(codec: Codec) -> int | None:
    if codec.clock_rate != VIDEO_CLOCK_RATE:
        return None
    if codec.name == "VP8":
        return 0
    if codec.name != "H264":
        return None
    profile_level_id = codec.parameters.get("profile-level-id", _DEFAULT_PROFILE_LEVEL_ID)
    if not _PROFILE_LEVEL_ID.fullmatch(profile_level_id):
        return None
    profile = _PROFILES.get(int(profile_level_id[:2], 16))
    # RFC 6184, 8.1: without the parameter it is mode 0; 2 is interleaved.
    mode = {"0": 1, "1": 2}.get(codec.parameters.get("packetization-mode", "0"))
    return None if profile is None or mode is None else mode * len(_PROFILES) + profile


def _audio_preference(codec: Codec) -> int | None:
    opus = (codec.name, codec.clock_rate, codec.channels) == ("OPUS", OPUS_CLOCK_RATE, OPUS_CHANNELS)
    return 0 if opus else None


def _track_format(section: MediaSection, codec: Codec) -> TrackFormat:
    is_video = section.kind == "video"
    ssrc = section.ssrcs[0] if section.ssrcs else None
    return TrackFormat(
        track=Track.VIDEO if is_video else Track.AUDIO,
        codec=_CODECS[codec.name],
        payload_type=codec.payload_type,
        clock_rate=codec.clock_rate,
        channels=codec.channels,
        retransmission_payload_type=_retransmission(section, codec),
        ssrc=ssrc,
        retransmission_ssrc=None if ssrc is None else section.retransmission_ssrcs.get(ssrc),
        nack="nack" in codec.feedback,
        pli=is_video and "nack pli" in codec.feedback,
        remb=is_video and "goog-remb" in codec.feedback,
        mid=section.mid,
        parameter_sets=_parameter_sets(codec),
    )


def _parameter_sets(codec: Codec) -> tuple[bytes, ...]:
    """The NAL units in sprop-parameter-sets (RFC 6184, 8.1), or none at all where one is not what it should be.

    Most senders repeat them in the stream, so a publisher is not turned away for them.
    """
    values = codec.parameters.get("sprop-parameter-sets", "").split(",") if codec.name == "H264" else []
    try:
        units = tuple(b64decode(value, validate=True) for value in values[: MAX_OFFERED_PARAMETER_SETS + 1])
    except (Error, ValueError):  # the latter of what is not ASCII
        return ()
    are_sets = all(unit and unit[0] & 0x1F in _PARAMETER_SET_TYPES for unit in units)
    return units if are_sets and len(units) <= MAX_OFFERED_PARAMETER_SETS else ()


def _retransmission(section: MediaSection, codec: Codec) -> int | None:
    """The payload type in which packets of *codec* are sent again (RFC 4588, 8.6)."""
    again = (
        each.payload_type
        for each in section.codecs
        if each.name == "RTX"
        and each.parameters.get("apt") == str(codec.payload_type)
        and each.payload_type not in _MULTIPLEXED_PAYLOAD_TYPES
    )
    return next(again, None)


def _check_bundle(offer: Offer, taken: Sequence[TakenSection]) -> None:
    """RFC 9725, 4.4.1: all that is received comes on one transport, and is told apart by payload type."""
    if len(taken) > 1 and not {each.section.mid for each in taken} <= set(offer.bundle):
        raise UnusableOffer("Video and audio are not in one BUNDLE group: set the bundle policy to max-bundle.")
    numbers = [
        number
        for each in taken
        for number in (each.track.payload_type, each.track.retransmission_payload_type)
        if number is not None
    ]
    if len(numbers) != len(set(numbers)):
        raise UnusableOffer("Video and audio have the same RTP payload type, so they cannot be told apart.")


def _transport(offer: Offer, taken: Sequence[TakenSection]) -> Transport:
    """The transport of what is *taken*: that of the offerer-tagged section (RFC 9143, 7.2.1).

    Sections that are bundle-only may say nothing of it, so the first one that says anything is it.
    """
    one = taken[0].section
    bundled = [each for each in offer.media if each.mid in offer.bundle and not each.is_disabled]
    sections = bundled if one in bundled else [one]
    tagged = next((each for each in sections if each.transport.fragment), one)
    transport = tagged.transport
    if not transport.fragment or not transport.password:
        raise UnusableOffer("The offer has no a=ice-ufrag and a=ice-pwd: this is not WebRTC.")
    if not any(each.function in _FINGERPRINT_FUNCTIONS for each in transport.fingerprints):
        raise UnusableOffer("The offer has no a=fingerprint of SHA-256 or better: this is not WebRTC.")
    if transport.setup is Setup.HOLDCONN:
        raise UnusableOffer("The offer says a=setup:holdconn, so no connection would ever be made.")
    if not tagged.rtcp_mux:
        raise UnusableOffer("The offer has no a=rtcp-mux: set the RTCP multiplexing policy to require.")
    return transport


def answer(offer: Offer, negotiated: Negotiated, local: LocalTransport) -> str:
    """Return the answer to *offer*, from which *negotiated* was taken, as SDP."""
    return "".join(f"{line}\r\n" for line in _answer_lines(offer, negotiated, local))


def _answer_lines(offer: Offer, negotiated: Negotiated, local: LocalTransport) -> Iterator[str]:
    taken = {each.index: each for each in negotiated.taken}
    answered = {
        index: section
        for index, section in enumerate(offer.media)
        if index in taken or _is_idle(section, offer)
    }
    tagged = next(iter(answered))
    yield "v=0"
    # RFC 8866, 5.2: a session id that is nobody else's; a fragment is random.
    yield f"o=- {int.from_bytes(local.fragment.encode()) % 2**62} 1 IN IP4 0.0.0.0"
    yield "s=-"
    yield "t=0 0"
    # RFC 9143, 7.3: the offer's group, without what is rejected.
    if group := [each.mid for each in answered.values() if each.mid in offer.bundle]:
        yield f"a=group:BUNDLE {' '.join(group)}"
    yield "a=ice-lite"
    yield "a=ice-options:trickle ice2"
    for index, section in enumerate(offer.media):
        if index in taken:
            yield from _received(taken[index], negotiated, local)
        elif index in answered:
            yield from _inactive(section, negotiated, local)
        else:
            yield from _rejected(section)
        if index == tagged:
            yield from _candidates(local)


def _is_idle(section: MediaSection, offer: Offer) -> bool:
    """Whether *section* is one of ours whose offerer does not send; it should not be (RFC 9725, 4.2)."""
    return (
        section.kind in ("video", "audio")
        and not section.is_disabled
        and not section.direction.sends
        and section.mid in offer.bundle
        and bool(section.codecs)
        and section.protocol.endswith(_PROTOCOLS)
    )


def _rejected(section: MediaSection) -> Iterator[str]:
    # RFC 3264, 6: port 0.
    yield f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    yield "c=IN IP4 0.0.0.0"
    if section.mid:
        yield f"a=mid:{section.mid}"


def _received(one: TakenSection, negotiated: Negotiated, local: LocalTransport) -> Iterator[str]:
    section, track = one.section, one.track
    again = track.retransmission_payload_type
    number = track.payload_type
    yield from _opening(section, f"{number}" if again is None else f"{number} {again}", negotiated, local)
    yield "a=recvonly"
    yield "a=rtcp-mux"
    # RFC 9725, 4.4.1.
    yield "a=rtcp-mux-only"
    if section.rtcp_rsize:
        yield "a=rtcp-rsize"
    yield f"a=rtpmap:{number} {one.codec.encoding}"
    if parameters := _format_parameters(one.codec, negotiated.audio_bitrate):
        yield f"a=fmtp:{number} {parameters}"
    if track.nack:
        yield f"a=rtcp-fb:{number} nack"
    if track.pli:
        yield f"a=rtcp-fb:{number} nack pli"
    if track.remb:
        yield f"a=rtcp-fb:{number} goog-remb"
    if again is not None:
        yield f"a=rtpmap:{again} rtx/{track.clock_rate}"
        yield f"a=fmtp:{again} apt={number}"


def _inactive(section: MediaSection, negotiated: Negotiated, local: LocalTransport) -> Iterator[str]:
    codec = section.codecs[0]
    yield from _opening(section, str(codec.payload_type), negotiated, local)
    yield "a=inactive"
    yield "a=rtcp-mux"
    yield f"a=rtpmap:{codec.payload_type} {codec.encoding}"


def _opening(
    section: MediaSection, formats: str, negotiated: Negotiated, local: LocalTransport
) -> Iterator[str]:
    # RFC 9429, 5.3.1: port 9 and no address, since candidates say where media goes.
    yield f"m={section.kind} 9 {section.protocol} {formats}"
    yield "c=IN IP4 0.0.0.0"
    if section.mid:
        yield f"a=mid:{section.mid}"
    yield f"a=ice-ufrag:{local.fragment}"
    yield f"a=ice-pwd:{local.password}"
    yield f"a=fingerprint:{local.fingerprint}"
    yield f"a=setup:{negotiated.setup}"


def _candidates(local: LocalTransport) -> Iterator[str]:
    """Our addresses, in the answerer-tagged section (RFC 8839, 5.1; RFC 9143, 10)."""
    for index, (address, port) in enumerate(local.candidates):
        priority = _HOST_PREFERENCE << 24 | (_FIRST_PREFERENCE - index) << 8 | (256 - _RTP_COMPONENT)
        yield f"a=candidate:{index + 1} {_RTP_COMPONENT} udp {priority} {address} {port} typ host"
    # RFC 9725, 4.3.2: an answer has them all.
    yield "a=end-of-candidates"


def _format_parameters(codec: Codec, audio_bitrate: BitsPerSecond) -> str:
    if codec.name == "OPUS":
        # Music in stereo (RFC 7587, 6.1). A lost packet is not made good from the next one, so the bits that
        # would be spent on that are better spent on sound.
        return f"minptime=10;useinbandfec=0;stereo=1;maxaveragebitrate={audio_bitrate}"
    if codec.name == "H264":
        return _h264_parameters(codec)
    return ""


def _h264_parameters(codec: Codec) -> str:
    """RFC 6184, 8.2.2: profile and mode as offered; the level is what we take, where each side has its own."""
    offered = codec.parameters
    profile_level_id = offered.get("profile-level-id", "")
    is_asymmetric = offered.get("level-asymmetry-allowed") == "1" and bool(profile_level_id)
    answered = {
        "level-asymmetry-allowed": "1" if is_asymmetric else "",
        "packetization-mode": offered.get("packetization-mode", ""),
        "profile-level-id": profile_level_id[:4] + _RECEIVED_LEVEL if is_asymmetric else profile_level_id,
    }
    return ";".join(f"{name}={value}" for name, value in answered.items() if value)
