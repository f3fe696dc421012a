"""Settings of the ingest: the environment, read once at the start."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from bucketcast.errors import InvalidSettings
from ingest.protocols.whip.endpoint import EndpointSettings, IceServer

# The port that RTMP clients take when an address names none.
RTMP_PORT: Final = 1935
# The port for metrics and health where the environment names none; Cloud Run sets PORT.
HTTP_PORT: Final = 9090
# The ports of WHIP where the environment names none: those of the best known server that speaks it.
WHIP_PORT: Final = 8889
WHIP_UDP_PORT: Final = 8189
_HIGHEST_PORT: Final = 65_535
# A content delivery network, a load balancer, and one of the owner's own.
_MOST_PROXIES: Final = 3
# RFC 6454, 6.1; and with all hosts below another one, as a Content Security Policy (level 3, 2.3.1) has them.
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
_ORIGINS: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhipSettings:
    """Where publishers over WebRTC find the ingest."""

    port: int  # HTTP: offers, and the broadcaster page
    udp_port: int  # the media of all sessions
    addresses: tuple[str, ...]  # announced for media, where they are not the machine's own (NAT)
    endpoint: EndpointSettings
    viewer_url: str | None  # of the viewer page; {stream} stands for the stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the ingest needs to know of where it runs."""

    project: str
    media_bucket: str
    ingest_bucket: str
    recording_bucket: str
    publish_url: str
    sessions_url: str
    host: str
    rtmp_port: int
    http_port: int
    whip: WhipSettings
    ffmpeg: Path | None  # None: find one
    emulated: bool  # on the local cloud there are no credentials
    log_level: int  # of Python's logging


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read *environ*, or raise InvalidSettings naming the variable that is missing or unusable."""
    variables = _Variables(environ)
    ffmpeg = environ.get("BUCKETCAST_FFMPEG")
    session_origin = variables.origin("BUCKETCAST_WHIP_ORIGIN")
    own_origin = (session_origin,) if session_origin else ()
    return Settings(
        project=variables.required("GOOGLE_CLOUD_PROJECT"),
        media_bucket=variables.required("BUCKETCAST_MEDIA_BUCKET"),
        ingest_bucket=variables.required("BUCKETCAST_INGEST_BUCKET"),
        recording_bucket=variables.required("BUCKETCAST_RECORDING_BUCKET"),
        publish_url=variables.required("BUCKETCAST_PUBLISH_URL"),
        sessions_url=variables.required("BUCKETCAST_SESSIONS_URL"),
        host=variables.address("BUCKETCAST_HOST", "0.0.0.0"),  # noqa: S104 - a container's own network
        rtmp_port=variables.port("BUCKETCAST_RTMP_PORT", RTMP_PORT),
        http_port=variables.port("PORT", HTTP_PORT),
        whip=WhipSettings(
            port=variables.port("BUCKETCAST_WHIP_PORT", WHIP_PORT),
            udp_port=variables.port("BUCKETCAST_WHIP_UDP_PORT", WHIP_UDP_PORT),
            addresses=variables.addresses("BUCKETCAST_WHIP_ADDRESSES"),
            endpoint=EndpointSettings(
                ice_servers=variables.ice_servers("BUCKETCAST_WHIP_ICE_SERVERS"),
                session_origin=session_origin,
                studio_origins=variables.origins("BUCKETCAST_STUDIO_ORIGINS") or own_origin,
                trusted_proxies=variables.proxies("BUCKETCAST_WHIP_PROXIES"),
            ),
            viewer_url=environ.get("BUCKETCAST_VIEWER_URL") or None,
        ),
        ffmpeg=Path(ffmpeg) if ffmpeg else None,
        emulated="STORAGE_EMULATOR_HOST" in environ,
        log_level=variables.log_level("BUCKETCAST_LOG_LEVEL"),
    )


class _Variables:
    """The environment's variables by what they are; each method raises InvalidSettings."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def required(self, name: str) -> str:
        if not (value := self._environ.get(name, "")):
            raise InvalidSettings(f"the environment variable {name} is not set")
        return value

    def port(self, name: str, default: int) -> int:
        text = self._environ.get(name, str(default))
        if not text.isdecimal() or int(text) > _HIGHEST_PORT:
            raise InvalidSettings(f"{name} is not a port: a number from 0 (any) to {_HIGHEST_PORT}")
        return int(text)

    def proxies(self, name: str) -> int:
        text = self._environ.get(name, "0")
        if not text.isdecimal() or int(text) > _MOST_PROXIES:
            raise InvalidSettings(f"{name} is not a number of proxies, from 0 to {_MOST_PROXIES}")
        return int(text)

    def address(self, name: str, default: str) -> str:
        try:
            return str(ip_address(self._environ.get(name, default)))
        except ValueError:
            raise InvalidSettings(f"{name} is no IP address") from None

    def addresses(self, name: str) -> tuple[str, ...]:
        try:
            return tuple(str(ip_address(text)) for text in self._list(name))
        except ValueError:
            raise InvalidSettings(f"{name} is no list of IP addresses with commas between them") from None

    def origin(self, name: str) -> str:
        text = self._environ.get(name, "").rstrip("/")
        if text and not _ORIGIN.fullmatch(text):
            raise InvalidSettings(f"{name} is no origin, such as https://gateway-1.example.com")
        return text

    def origins(self, name: str) -> tuple[str, ...]:
        found = tuple(text.rstrip("/") for text in self._list(name))
        if not all(map(_ORIGINS.fullmatch, found)):
            raise InvalidSettings(
                f"{name} is no list of origins (https://*.example.com) with commas between them"
            )
        return found

    def ice_servers(self, name: str) -> tuple[IceServer, ...]:
        try:
            return tuple(_ice_server(text) for text in self._list(name))
        except ValueError:
            raise InvalidSettings(f"{name} is no list of ICE servers with commas between them") from None

    def log_level(self, name: str) -> int:
        levels = logging.getLevelNamesMapping()
        if (level := levels.get(self._environ.get(name, "INFO"))) is None:
            raise InvalidSettings(f"{name} is no log level: one of {', '.join(levels)}")
        return level

    def _list(self, name: str) -> list[str]:
        return [text.strip() for text in self._environ.get(name, "").split(",") if text.strip()]


def _ice_server(text: str) -> IceServer:
    """Read `stun:HOST`, or `turn:HOST USERNAME CREDENTIAL`; raises ValueError."""
    url, *login = text.split()
    username, credential = login or ("", "")
    return IceServer(url=url, username=username, credential=credential)
