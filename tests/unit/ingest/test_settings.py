"""What the environment says is read once, and what is unusable is named."""

import logging
from pathlib import Path

import pytest

from bucketcast.errors import InvalidSettings
from ingest.protocols.whip.endpoint import IceServer
from ingest.settings import HTTP_PORT, RTMP_PORT, WHIP_PORT, WHIP_UDP_PORT, read_settings

REQUIRED = {
    "GOOGLE_CLOUD_PROJECT": "project",
    "BUCKETCAST_MEDIA_BUCKET": "media",
    "BUCKETCAST_INGEST_BUCKET": "ingest",
    "BUCKETCAST_RECORDING_BUCKET": "recording",
    "BUCKETCAST_PUBLISH_URL": "https://functions/publish",
    "BUCKETCAST_SESSIONS_URL": "https://functions/sessions",
}


def test_what_is_not_required_has_a_default() -> None:
    settings = read_settings(REQUIRED)
    assert (settings.rtmp_port, settings.http_port) == (RTMP_PORT, HTTP_PORT)
    assert (settings.whip.port, settings.whip.udp_port) == (WHIP_PORT, WHIP_UDP_PORT)
    assert (settings.whip.addresses, settings.whip.viewer_url) == ((), None)
    assert (settings.ffmpeg, settings.emulated, settings.log_level) == (None, False, logging.INFO)


def test_every_setting_can_be_made() -> None:
    chosen = {
        "BUCKETCAST_HOST": "127.0.0.1",
        "BUCKETCAST_RTMP_PORT": "0",
        "PORT": "8080",
        "BUCKETCAST_WHIP_PORT": "8443",
        "BUCKETCAST_WHIP_UDP_PORT": "0",
        "BUCKETCAST_WHIP_ADDRESSES": "203.0.113.7, 2001:db8:0::1",
        "BUCKETCAST_WHIP_ICE_SERVERS": "stun:stun.example, turn:turn.example:3478 name secret",
        "BUCKETCAST_WHIP_ORIGIN": "https://gateway-1.example/",
        "BUCKETCAST_STUDIO_ORIGINS": "https://*.example, http://127.0.0.1:8889/",
        "BUCKETCAST_WHIP_PROXIES": "2",
        "BUCKETCAST_VIEWER_URL": "https://live.example/{stream}",
        "BUCKETCAST_FFMPEG": "/opt/ffmpeg",
        "BUCKETCAST_LOG_LEVEL": "DEBUG",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:8080",
    }
    settings = read_settings(REQUIRED | chosen)
    assert (settings.host, settings.rtmp_port, settings.http_port) == ("127.0.0.1", 0, 8080)
    assert (settings.whip.port, settings.whip.udp_port) == (8443, 0)
    assert settings.whip.addresses == ("203.0.113.7", "2001:db8::1")
    assert settings.whip.endpoint.ice_servers == (
        IceServer(url="stun:stun.example"),
        IceServer(url="turn:turn.example:3478", username="name", credential="secret"),
    )
    assert settings.whip.endpoint.session_origin == "https://gateway-1.example"
    assert settings.whip.endpoint.studio_origins == ("https://*.example", "http://127.0.0.1:8889")
    assert settings.whip.endpoint.trusted_proxies == 2
    assert settings.whip.viewer_url == "https://live.example/{stream}"
    assert (settings.ffmpeg, settings.emulated) == (Path("/opt/ffmpeg"), True)
    assert settings.log_level == logging.DEBUG


def test_the_studio_may_speak_to_this_server_by_its_own_name_unless_others_are_named() -> None:
    settings = read_settings(REQUIRED | {"BUCKETCAST_WHIP_ORIGIN": "https://gateway-1.example:8443"})
    assert settings.whip.endpoint.studio_origins == ("https://gateway-1.example:8443",)
    assert read_settings(REQUIRED).whip.endpoint.studio_origins == ()


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read_settings(REQUIRED | {name: ""})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "http"),
        ("BUCKETCAST_RTMP_PORT", "-1"),
        ("BUCKETCAST_RTMP_PORT", "65536"),
        ("BUCKETCAST_HOST", "localhost"),
        ("BUCKETCAST_WHIP_ADDRESSES", "live.example"),
        ("BUCKETCAST_WHIP_ICE_SERVERS", "stun.example"),
        ("BUCKETCAST_WHIP_ICE_SERVERS", "turn:turn.example name"),
        ("BUCKETCAST_WHIP_ICE_SERVERS", "turn:turn.example name secret and more"),
        ("BUCKETCAST_WHIP_ORIGIN", "gateway-1.example"),
        ("BUCKETCAST_WHIP_ORIGIN", "https://*.example"),
        ("BUCKETCAST_WHIP_ORIGIN", "https://gateway-1.example/whip"),
        ("BUCKETCAST_STUDIO_ORIGINS", "https://a.example; script-src *"),
        ("BUCKETCAST_STUDIO_ORIGINS", "*"),
        ("BUCKETCAST_WHIP_PROXIES", "4"),
        ("BUCKETCAST_LOG_LEVEL", "verbose"),
    ],
)
def test_an_unusable_variable_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidSettings, match=name):
        read_settings(REQUIRED | {name: text})
