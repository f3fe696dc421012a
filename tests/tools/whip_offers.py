"""SDP offers of the form that real WHIP publishers send, for tests."""

from collections.abc import Sequence
from typing import Final

FRAGMENT: Final = "Kt4G"
PASSWORD: Final = "wepWcN8mqDeLZWu3T4dFBcXA"
FINGERPRINT: Final = "sha-256 " + ":".join(f"{number:02X}" for number in range(32))
AUDIO_SSRC: Final = 3897195325
VIDEO_SSRC: Final = 3897195326
RETRANSMISSION_SSRC: Final = 3897195327

_HEADER_EXTENSIONS: Final = "http://www.webrtc.org/experiments/rtp-hdrext"
_TRANSPORT_WIDE: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_LIBDATACHANNEL_OPUS: Final = "minptime=10;maxaveragebitrate=96000;stereo=1;sprop-stereo=1;useinbandfec=1"
# Chromium 156: payload type, its retransmission's, encoding, parameters.
_CHROMIUM_VIDEO: Final = (
    (96, 97, "VP8/90000", ""),
    (102, 103, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    (104, 107, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    (108, 109, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    (114, 115, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    (116, 117, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    (39, 40, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f"),
    (45, 46, "AV1/90000", "level-idx=5;profile=0;tier=0"),
    (98, 99, "VP9/90000", "profile-id=0"),
    (100, 101, "VP9/90000", "profile-id=2"),
)


def sdp(*lines: str) -> str:
    """The *lines* as SDP."""
    return "".join(f"{line}\r\n" for line in lines)


def _transport(setup: str = "actpass") -> tuple[str, ...]:
    return (
        f"a=ice-ufrag:{FRAGMENT}",
        f"a=ice-pwd:{PASSWORD}",
        f"a=fingerprint:{FINGERPRINT}",
        f"a=setup:{setup}",
    )


def simple(
    *,
    video: Sequence[str] = (
        "a=rtpmap:96 H264/90000",
        "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    ),
    audio: Sequence[str] = ("a=rtpmap:111 opus/48000/2",),
    session: Sequence[str] = (),
    more: Sequence[str] = (),
    direction: str = "sendonly",
    setup: str = "actpass",
) -> str:
    """The least that a publisher of sound and pictures offers; formats 96 to 99 are video's, 111 audio's."""
    return sdp(
        "v=0",
        "o=- 1 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        *session,
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "a=mid:0",
        *_transport(setup),
        f"a={direction}",
        "a=rtcp-mux",
        *audio,
        "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99",
        "a=mid:1",
        *_transport(setup),
        f"a={direction}",
        "a=rtcp-mux",
        *video,
        *more,
    )


def obs_30(codec: str = "H264/90000", *, fragment: str = FRAGMENT, fingerprint: str = FINGERPRINT) -> str:
    """OBS 30 and 31 (libdatachannel): the transport is the session's, no candidates, two groups."""
    parameters = "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1"
    return sdp(
        "v=0",
        "o=rtc 3521067245 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=group:LS 0 1",
        "a=msid-semantic:WMS *",
        "a=setup:actpass",
        f"a=ice-ufrag:{fragment}",
        f"a=ice-pwd:{PASSWORD}",
        "a=ice-options:trickle",
        f"a=fingerprint:{fingerprint}",
        *_libdatachannel_audio(),
        *_libdatachannel_video(codec),
        *((f"a=fmtp:96 {parameters}",) if codec.startswith("H264") else ()),
    )


def obs_32_simulcast() -> str:
    """OBS 32.1 (libdatachannel) with simulcast: the transport in each m-section, layers by their rid."""
    return sdp(
        "v=0",
        "o=rtc 3521067245 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=group:LS 0 1",
        "a=msid-semantic:WMS *",
        "a=ice-options:ice2,trickle",
        f"a=fingerprint:{FINGERPRINT}",
        *_libdatachannel_audio(),
        "a=setup:actpass",
        f"a=ice-ufrag:{FRAGMENT}",
        f"a=ice-pwd:{PASSWORD}",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
        "a=sendonly",
        "a=msid:d46fb922 d46fb922-video",
        "a=rid:0 send",
        "a=rid:1 send",
        "a=rid:2 send",
        "a=simulcast:send 0;1;2",
        "a=rtcp-mux",
        "a=rtpmap:96 H264/90000",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 goog-remb",
        "a=fmtp:96 profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1",
        "a=setup:actpass",
        f"a=ice-ufrag:{FRAGMENT}",
        f"a=ice-pwd:{PASSWORD}",
    )


def _libdatachannel_audio() -> tuple[str, ...]:
    return (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        "a=mid:0",
        "a=sendonly",
        f"a=ssrc:{AUDIO_SSRC} cname:YAXwMcZxyEt6HMCT",
        f"a=ssrc:{AUDIO_SSRC} msid:d46fb922 d46fb922-audio",
        "a=msid:d46fb922 d46fb922-audio",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        f"a=fmtp:111 {_LIBDATACHANNEL_OPUS}",
    )


def _libdatachannel_video(codec: str) -> tuple[str, ...]:
    return (
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0",
        "a=mid:1",
        "a=sendonly",
        f"a=ssrc:{VIDEO_SSRC} cname:YAXwMcZxyEt6HMCT",
        f"a=ssrc:{VIDEO_SSRC} msid:d46fb922 d46fb922-video",
        "a=msid:d46fb922 d46fb922-video",
        "a=rtcp-mux",
        f"a=rtpmap:96 {codec}",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 goog-remb",
    )


def ffmpeg_9(*, dtls_active: bool = False, profile_level_id: str = "42000d") -> str:
    """FFmpeg 9's WHIP muxer, which wants to be the DTLS server unless told otherwise, and knows no PLI."""
    setup = "active" if dtls_active else "passive"
    return sdp(
        "v=0",
        "o=FFmpeg 4489045141692799359 2 IN IP4 127.0.0.1",
        "s=FFmpegPublishSession",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "c=IN IP4 0.0.0.0",
        *_transport(setup),
        "a=mid:0",
        "a=sendonly",
        "a=msid:FFmpeg audio",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        f"a=ssrc:{AUDIO_SSRC} cname:FFmpeg",
        f"a=ssrc:{AUDIO_SSRC} msid:FFmpeg audio",
        "m=video 9 UDP/TLS/RTP/SAVPF 106 105",
        "c=IN IP4 0.0.0.0",
        *_transport(setup),
        "a=mid:1",
        "a=sendonly",
        "a=msid:FFmpeg video",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:106 H264/90000",
        f"a=fmtp:106 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile_level_id}",
        "a=rtcp-fb:106 nack",
        "a=rtpmap:105 rtx/90000",
        "a=fmtp:105 apt=106",
        f"a=ssrc-group:FID {VIDEO_SSRC} {RETRANSMISSION_SSRC}",
        f"a=ssrc:{VIDEO_SSRC} cname:FFmpeg",
        f"a=ssrc:{VIDEO_SSRC} msid:FFmpeg video",
    )


def chromium(*, gathered: bool = False, video_first: bool = False, simulcast: bool = False) -> str:
    """Chromium 156 with every codec that it has; *gathered* candidates have mDNS names."""
    audio, video = _chromium_audio(gathered=gathered), _chromium_video(gathered=gathered, simulcast=simulcast)
    return sdp(
        "v=0",
        "o=- 3525225270022080475 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {'1 0' if video_first else '0 1'}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS 242987f8-c2bd-414b-b22a-34e81392e147",
        *(video + audio if video_first else audio + video),
    )


def _chromium_transport(*, gathered: bool) -> tuple[str, ...]:
    name = "4282d434-44e4-440e-9b9b-6090f135a912.local"
    return (
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        *(
            (f"a=candidate:209666483 1 udp 2113937151 {name} 44498 typ host generation 0 network-cost 999",)
            if gathered
            else ()
        ),
        f"a=ice-ufrag:{FRAGMENT}",
        f"a=ice-pwd:{PASSWORD}",
        "a=ice-options:trickle",
        f"a=fingerprint:{FINGERPRINT}",
        "a=setup:actpass",
    )


def _chromium_audio(*, gathered: bool) -> tuple[str, ...]:
    return (
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
        *_chromium_transport(gathered=gathered),
        "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        f"a=extmap:2 {_HEADER_EXTENSIONS}/abs-send-time",
        f"a=extmap:3 {_TRANSPORT_WIDE}",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendonly",
        "a=msid:242987f8-c2bd-414b-b22a-34e81392e147 d1cefbe5-5942-45c4-8d7f-b301bfdd48aa",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtcp-xr:rcvr-rtt=all",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=fmtp:63 111/111",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:13 CN/8000",
        "a=rtpmap:110 telephone-event/48000",
        "a=rtpmap:126 telephone-event/8000",
        f"a=ssrc:{AUDIO_SSRC} cname:W0rvZGX5l7cPkRhg",
    )


def _chromium_video(*, gathered: bool, simulcast: bool) -> tuple[str, ...]:
    formats = " ".join(f"{number} {again}" for number, again, _, _ in _CHROMIUM_VIDEO)
    codecs: list[str] = []
    for number, again, encoding, parameters in _CHROMIUM_VIDEO:
        codecs += [f"a=rtpmap:{number} {encoding}"]
        feedback = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
        codecs += [f"a=rtcp-fb:{number} {each}" for each in feedback]
        codecs += [f"a=fmtp:{number} {parameters}"] if parameters else []
        codecs += [f"a=rtpmap:{again} rtx/90000", f"a=fmtp:{again} apt={number}"]
    return (
        f"m=video 9 UDP/TLS/RTP/SAVPF {formats} 118 119 120",
        *_chromium_transport(gathered=gathered),
        "a=mid:1",
        "a=extmap:14 urn:ietf:params:rtp-hdrext:toffset",
        f"a=extmap:2 {_HEADER_EXTENSIONS}/abs-send-time",
        "a=extmap:13 urn:3gpp:video-orientation",
        f"a=extmap:3 {_TRANSPORT_WIDE}",
        "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=sendonly",
        "a=msid:242987f8-c2bd-414b-b22a-34e81392e147 4af38772-2c6e-4813-85aa-f17272aaa31a",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        *codecs,
        "a=rtpmap:118 red/90000",
        "a=rtpmap:119 rtx/90000",
        "a=fmtp:119 apt=118",
        "a=rtpmap:120 ulpfec/90000",
        *(
            ("a=rid:h send", "a=rid:l send", "a=simulcast:send h;l")
            if simulcast
            else (
                f"a=ssrc-group:FID {VIDEO_SSRC} {RETRANSMISSION_SSRC}",
                f"a=ssrc:{VIDEO_SSRC} cname:W0rvZGX5l7cPkRhg",
                f"a=ssrc:{RETRANSMISSION_SSRC} cname:W0rvZGX5l7cPkRhg",
            )
        ),
    )


def firefox() -> str:
    """Firefox: the fingerprint and a direction are the session's, attributes are in alphabetical order."""
    return sdp(
        "v=0",
        "o=mozilla...THIS_IS_SDPARTA-99.0 6386352374598014504 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=sendrecv",
        f"a=fingerprint:{FINGERPRINT}",
        "a=group:BUNDLE 0 1",
        "a=ice-options:trickle",
        "a=msid-semantic:WMS *",
        "m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101",
        "c=IN IP4 0.0.0.0",
        "a=sendonly",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level",
        "a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1",
        "a=fmtp:101 0-15",
        f"a=ice-pwd:{PASSWORD}",
        f"a=ice-ufrag:{FRAGMENT}",
        "a=mid:0",
        "a=rtcp-mux",
        "a=rtpmap:109 opus/48000/2",
        "a=rtpmap:9 G722/8000/1",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000/1",
        "a=setup:actpass",
        f"a=ssrc:{AUDIO_SSRC} cname:{{bee7faf7-0f0c-43af-8ace-a49a65a9d708}}",
        "m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 126 127 97 98",
        "c=IN IP4 0.0.0.0",
        "a=sendonly",
        "a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1",
        "a=fmtp:97 profile-level-id=42e01f;level-asymmetry-allowed=1",
        "a=fmtp:120 max-fs=12288;max-fr=60",
        "a=fmtp:124 apt=120",
        "a=fmtp:125 apt=121",
        "a=fmtp:127 apt=126",
        "a=fmtp:98 apt=97",
        f"a=ice-pwd:{PASSWORD}",
        f"a=ice-ufrag:{FRAGMENT}",
        "a=mid:1",
        *(
            f"a=rtcp-fb:{number} {each}"
            for number in (120, 121, 126, 97)
            for each in ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
        ),
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=rtpmap:120 VP8/90000",
        "a=rtpmap:124 rtx/90000",
        "a=rtpmap:121 VP9/90000",
        "a=rtpmap:125 rtx/90000",
        "a=rtpmap:126 H264/90000",
        "a=rtpmap:127 rtx/90000",
        "a=rtpmap:97 H264/90000",
        "a=rtpmap:98 rtx/90000",
        "a=setup:actpass",
        f"a=ssrc:{VIDEO_SSRC} cname:{{bee7faf7-0f0c-43af-8ace-a49a65a9d708}}",
        f"a=ssrc:{RETRANSMISSION_SSRC} cname:{{bee7faf7-0f0c-43af-8ace-a49a65a9d708}}",
        f"a=ssrc-group:FID {VIDEO_SSRC} {RETRANSMISSION_SSRC}",
    )


def gstreamer() -> str:
    """GStreamer's webrtcbin with max-bundle: video first, the second section bundle-only, no SSRC for RTX."""
    parameters = (
        "packetization-mode=1;profile-level-id=64001f;sprop-parameter-sets=Z2QAH6zZQFAFuwEQAAA=,aOvjyyLA"
    )
    return sdp(
        "v=0",
        "o=- 7386274892736451834 0 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-options:trickle",
        "a=group:BUNDLE video0 audio1",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "c=IN IP4 0.0.0.0",
        "a=setup:actpass",
        f"a=ice-ufrag:{FRAGMENT}",
        f"a=ice-pwd:{PASSWORD}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=sendonly",
        "a=rtpmap:96 H264/90000",
        "a=rtcp-fb:96 nack pli",
        "a=framerate:30",
        f"a=fmtp:96 {parameters}",
        f"a=ssrc:{VIDEO_SSRC} msid:user3344942761@host-c94b6db3 webrtctransceiver0",
        f"a=ssrc:{VIDEO_SSRC} cname:user3344942761@host-c94b6db3",
        "a=mid:video0",
        f"a=fingerprint:{FINGERPRINT}",
        "m=audio 0 UDP/TLS/RTP/SAVPF 97",
        "c=IN IP4 0.0.0.0",
        "a=bundle-only",
        "a=sendonly",
        "a=rtpmap:97 OPUS/48000/2",
        "a=fmtp:97 sprop-maxcapturerate=48000;sprop-stereo=1",
        f"a=ssrc:{AUDIO_SSRC} cname:user3344942761@host-c94b6db3",
        "a=mid:audio1",
    )


def iphone() -> str:
    """An iPhone (Safari and other clients of libwebrtc): High of level 3.1, then Constrained Baseline."""
    return simple(
        video=(
            "a=rtpmap:96 H264/90000",
            "a=rtcp-fb:96 goog-remb",
            "a=rtcp-fb:96 nack",
            "a=rtcp-fb:96 nack pli",
            "a=fmtp:96 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f",
            "a=rtpmap:97 rtx/90000",
            "a=fmtp:97 apt=96",
            "a=rtpmap:98 H264/90000",
            "a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
            "a=rtpmap:99 rtx/90000",
            "a=fmtp:99 apt=98",
        )
    )


REAL: Final = {
    "OBS 30": obs_30(),
    "OBS 32.1 with simulcast": obs_32_simulcast(),
    "FFmpeg 9": ffmpeg_9(),
    "FFmpeg 9, DTLS active": ffmpeg_9(dtls_active=True),
    "Chromium": chromium(),
    "Chromium, gathered": chromium(gathered=True),
    "Chromium, video first": chromium(video_first=True),
    "Chromium with simulcast": chromium(simulcast=True),
    "Firefox": firefox(),
    "GStreamer": gstreamer(),
    "iPhone": iphone(),
}
"""Every publisher's offer, by its name."""
