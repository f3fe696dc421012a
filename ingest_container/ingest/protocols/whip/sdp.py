"""SDP as a publisher offers it (RFC 8866; RFC 9429, 5.2.1), read as far as it is used, and with distrust.

An offer is parsed into frozen values, or refused with words for its sender; what is not understood is ignored,
as RFC 8866, 6 wants. No value that comes of an offer can hold a line's end, so an answer may repeat it.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

MAX_SDP_CHARACTERS: Final = 64 * 1024
"""Chromium's offer of every codec it has, with candidates, is 8 KiB."""

MAX_LINES: Final = 2048
"""Chromium's has 260."""

MAX_LINE_CHARACTERS: Final = 1024
"""The longest real lines hold H.264 parameter sets, or a SHA-512 fingerprint: some 200."""

MAX_MEDIA: Final = 8
"""A publisher has one m-section for video and one for audio; some add a data channel."""

MAX_FORMATS: Final = 64
"""In an m-section: Chromium has 23, and RTP's dynamic payload types are not many more."""

MAX_SSRCS: Final = 16
"""In an m-section: three simulcast layers and their retransmissions are six; the rest is ignored."""

MAX_FINGERPRINTS: Final = 8
"""In a section: one for each hash function; the rest is ignored."""

_Attributes = Mapping[str, Sequence[str]]


class OfferRefused(Exception):
    """An offer, or a part of one, is not taken; *description* is one sentence for the person who publishes.

    It may be shown to the peer and written to a log.
    """

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class InvalidOffer(OfferRefused):
    """What was sent is not SDP, or breaks its rules or ours (RFC 9725, 4.2)."""


class UnusableOffer(OfferRefused):
    """This is an offer, of what is not taken here (RFC 9725, 4.4)."""


class Direction(StrEnum):
    """Where media flows (RFC 8866, 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the one who says so sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)


class Setup(StrEnum):
    """Who begins the DTLS handshake (RFC 4145, 4; RFC 8842, 5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A certificate's hash *function*, in lower case, and *value* (RFC 8122, 5)."""

    function: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transport:
    """What one side says of ICE and DTLS, for an m-section or the whole session."""

    fragment: str = ""
    password: str = field(default="", repr=False)
    fingerprints: tuple[Fingerprint, ...] = ()
    setup: Setup | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A format with its a=rtpmap; *name* is in upper case, *feedback* holds the values of its a=rtcp-fb."""

    payload_type: int
    name: str
    encoding: str
    """The a=rtpmap's words behind the payload type, to be repeated in an answer (RFC 3264, 6.1)."""
    clock_rate: int
    channels: int
    parameters: Mapping[str, str]
    feedback: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m-section of an offer; *mid* is empty where it has none."""

    kind: str
    protocol: str
    formats: tuple[str, ...]
    mid: str
    is_disabled: bool
    direction: Direction
    transport: Transport
    codecs: tuple[Codec, ...]
    ssrcs: tuple[int, ...]
    retransmission_ssrcs: Mapping[int, int]
    """By the SSRC whose packets are sent again (RFC 4588, 8.8; RFC 5576, 4.2)."""
    rtcp_mux: bool
    rtcp_rsize: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An offer; *bundle* holds the mids of its BUNDLE group (RFC 9143), *ice_lite* says what its sender is."""

    media: tuple[MediaSection, ...]
    bundle: tuple[str, ...]
    ice_lite: bool


_WORD: Final = r"[!-~]+"
_LINE: Final = re.compile(r"[a-z]=[^\x00-\x08\x0a-\x1f\x7f]*")
_MEDIA: Final = re.compile(rf"m=([a-z]+) ([0-9]{{1,5}})(?:/[0-9]{{1,5}})? ({_WORD})((?: {_WORD})+) ?")
_RTPMAP: Final = re.compile(r"([0-9]{1,3}) (([A-Za-z0-9._-]+)/([0-9]{1,6})(?:/([0-9]{1,2}))?) ?")
_FORMAT_PARAMETERS: Final = re.compile(r"([0-9]{1,3}) +(.*)")
_FEEDBACK: Final = re.compile(r"([0-9]{1,3}|\*) +(.*?) *")
_SSRC: Final = re.compile(r"([0-9]{1,10})(?: .*)?")
_FLOW_IDENTIFICATION: Final = re.compile(r"FID ([0-9]{1,10}) ([0-9]{1,10}) ?")
_FINGERPRINT: Final = re.compile(r"([A-Za-z0-9-]{1,16}) ([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){15,63}) ?")
# RFC 8839, 5.4.
_FRAGMENT: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
# RFC 5888, 4: a token; RFC 9143, 15.2 keeps it short because it is sent in packets.
_MID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,64}")
_HIGHEST_PAYLOAD_TYPE: Final = 127
_HIGHEST_SSRC: Final = 2**32 - 1


def parse_offer(text: str) -> Offer:
    """Return the offer in *text*, whose lines end with CRLF or LF; raises InvalidOffer."""
    lines = _lines(text)
    if lines[0] != "v=0":
        raise InvalidOffer("This is not SDP: it does not begin with v=0.")
    starts = [number for number, line in enumerate(lines) if line.startswith("m=")]
    if not starts:
        raise InvalidOffer("The offer has no media: there is no m-line.")
    if len(starts) > MAX_MEDIA:
        raise InvalidOffer(f"The offer has more than {MAX_MEDIA} m-lines.")
    session = _attributes(lines[: starts[0]])
    transport = _transport(session, Transport())
    ends = (*starts[1:], len(lines))
    media = tuple(
        _media_section(lines[start:end], session, transport) for start, end in zip(starts, ends, strict=True)
    )
    mids = [section.mid for section in media if section.mid]
    if len(mids) != len(set(mids)):
        raise InvalidOffer("Two m-lines have the same a=mid.")
    return Offer(media=media, bundle=_bundle(session), ice_lite="ice-lite" in session)


def parse_trickle_fragment(text: str) -> str:
    """Return the ICE fragment that *text*, an application/trickle-ice-sdpfrag, is for; "" if it does not say.

    Its candidates are not kept: a lite agent makes no checks, and has no use for them (RFC 8445, 2.5). The form
    is that of RFC 8840, 9. Raises InvalidOffer.
    """
    attributes = _attributes(_lines(text))
    if not attributes.keys() & {"candidate", "end-of-candidates", "ice-ufrag"}:
        raise InvalidOffer("The fragment has neither candidates nor an a=ice-ufrag.")
    return _transport(attributes, Transport()).fragment


def _lines(text: str) -> list[str]:
    if len(text) > MAX_SDP_CHARACTERS:
        raise InvalidOffer(f"This is longer than {MAX_SDP_CHARACTERS} characters.")
    lines = [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")]
    if len(lines) > MAX_LINES:
        raise InvalidOffer(f"This has more than {MAX_LINES} lines.")
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_CHARACTERS or not _LINE.fullmatch(line):
            raise InvalidOffer(f"This is not SDP: line {number} is not a letter, '=' and a value.")
    return lines


def _attributes(lines: Sequence[str]) -> _Attributes:
    """The values of the attributes in *lines*, by name and in their order."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found[name].append(value)
    return dict(found)


def _first(attributes: _Attributes, name: str, form: re.Pattern[str], otherwise: str) -> str:
    """The first value of attribute *name*, which has to be of *form*, or *otherwise*."""
    if name not in attributes:
        return otherwise
    value = attributes[name][0].strip()
    if not form.fullmatch(value):
        raise InvalidOffer(f"An a={name} is not of its form.")
    return value


def _transport(attributes: _Attributes, outer: Transport) -> Transport:
    """What *attributes* say of the transport, and *outer* where they do not (RFC 8839, 5.4; RFC 8122, 5)."""
    found = [match for value in attributes.get("fingerprint", ()) if (match := _FINGERPRINT.fullmatch(value))]
    setup: Setup | None = None
    if "setup" in attributes:
        try:
            setup = Setup(attributes["setup"][0].strip())
        except ValueError:
            raise InvalidOffer("An a=setup is not of its form.") from None
    return Transport(
        fragment=_first(attributes, "ice-ufrag", _FRAGMENT, outer.fragment),
        password=_first(attributes, "ice-pwd", _PASSWORD, outer.password),
        fingerprints=tuple(
            Fingerprint(function=match[1].lower(), value=match[2].upper()) for match in found[:MAX_FINGERPRINTS]
        )
        or outer.fingerprints,
        setup=setup or outer.setup,
    )


def _media_section(lines: Sequence[str], session: _Attributes, outer: Transport) -> MediaSection:
    match = _MEDIA.fullmatch(lines[0])
    if match is None:
        raise InvalidOffer("An m-line is not of its form.")
    kind, port, protocol = match[1], int(match[2]), match[3]
    formats = tuple(match[4].split())
    if len(formats) > MAX_FORMATS:
        raise InvalidOffer(f"An m-line has more than {MAX_FORMATS} formats.")
    attributes = _attributes(lines)
    ssrcs, retransmission_ssrcs = _ssrcs(attributes)
    return MediaSection(
        kind=kind,
        protocol=protocol,
        formats=formats,
        mid=_first(attributes, "mid", _MID, ""),
        # RFC 9143, 6 and 7.2.1: port 0 disables, unless the section comes with others of its group.
        is_disabled=port == 0 and "bundle-only" not in attributes,
        direction=_direction(attributes, _direction(session, Direction.SENDRECV)),
        transport=_transport(attributes, outer),
        codecs=_codecs(formats, attributes),
        ssrcs=ssrcs,
        retransmission_ssrcs=retransmission_ssrcs,
        rtcp_mux="rtcp-mux" in attributes,
        rtcp_rsize="rtcp-rsize" in attributes,
    )


def _direction(attributes: _Attributes, otherwise: Direction) -> Direction:
    return next((direction for direction in Direction if direction.value in attributes), otherwise)


def _codecs(formats: Sequence[str], attributes: _Attributes) -> tuple[Codec, ...]:
    """The *formats* that have an a=rtpmap, in their order: what a sender likes comes first."""
    maps: dict[str, re.Match[str]] = {}
    for value in attributes.get("rtpmap", ()):
        match = _RTPMAP.fullmatch(value)
        if match is None:
            raise InvalidOffer("An a=rtpmap is not of its form.")
        maps[match[1]] = match
    parameters = {
        match[1]: _parameters(match[2])
        for value in attributes.get("fmtp", ())
        if (match := _FORMAT_PARAMETERS.fullmatch(value))
    }
    feedback: defaultdict[str, set[str]] = defaultdict(set)
    for value in attributes.get("rtcp-fb", ()):
        if match := _FEEDBACK.fullmatch(value):
            feedback[match[1]].add(match[2])
    return tuple(
        Codec(
            payload_type=int(each),
            name=maps[each][3].upper(),
            encoding=maps[each][2],
            clock_rate=int(maps[each][4]),
            channels=int(maps[each][5] or 1),
            parameters=parameters.get(each, {}),
            feedback=frozenset(feedback[each] | feedback["*"]),
        )
        for each in dict.fromkeys(formats)
        if each in maps and int(each) <= _HIGHEST_PAYLOAD_TYPE
    )


def _parameters(text: str) -> dict[str, str]:
    """The parameters of an a=fmtp, which most media types write as name=value with semicolons between."""
    pairs = (each.partition("=") for each in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name.strip()}


def _ssrcs(attributes: _Attributes) -> tuple[tuple[int, ...], dict[int, int]]:
    """The SSRCs whose packets are sent once, in their order, and by them those that repeat their packets."""
    groups = attributes.get("ssrc-group", ())[:MAX_SSRCS]
    again = {
        int(match[1]): int(match[2]) for value in groups if (match := _FLOW_IDENTIFICATION.fullmatch(value))
    }
    announced = [int(match[1]) for value in attributes.get("ssrc", ()) if (match := _SSRC.fullmatch(value))]
    repeating = set(again.values())
    once = (each for each in (*again, *announced) if each not in repeating and each <= _HIGHEST_SSRC)
    return tuple(dict.fromkeys(once))[:MAX_SSRCS], again


def _bundle(session: _Attributes) -> tuple[str, ...]:
    """The mids of the first BUNDLE group; more than one is not for a single media server (RFC 9143, 7)."""
    groups = (value.split() for value in session.get("group", ()))
    return next((tuple(group[1:]) for group in groups if group[:1] == ["BUNDLE"]), ())
