"""Every bound that the server puts on a publisher's session, with its reason."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WhipLimits:
    """How much a session may take: of time, of memory and of sessions."""

    authorize_seconds: float = 6.0
    """For the handler's look at its records: OBS gives up after 8 s, and wants an answer before."""

    connect_seconds: float = 15.0
    """From the answer to the end of the DTLS handshake: OBS and browsers give up before, and TURN on a bad
    uplink takes some seconds."""

    idle_media_seconds: float = 5.0
    """Without a packet. Microphones and cameras send even when they are muted; five seconds are a tab that is
    closed, or a network that is gone."""

    rest_seconds: float = 2.0
    """For what is on its way, or waits, when a publisher ends: its last packets may come after its DELETE."""

    quiet_seconds: float = 0.15
    """Without a packet, after which nothing more is on its way: a network's unevenness."""

    finish_seconds: float = 35.0
    """For whoever takes the items to come to an end with them: a little more than a session that ends in the
    middle, because its picture turned, may need for its tail."""

    picture_seconds: float = 60.0
    """Connected and without any picture: people turn a camera on when ready. Beyond it, no keyframe came."""

    queued_bytes: int = 16 * 2**20
    """Of frames that wait for whoever takes them: ten seconds at 12 Mb/s, more than a publisher that is slowed
    elsewhere is ever behind. Nothing can hold a WebRTC sender back, so beyond it groups are dropped."""

    queued_items: int = 8192
    """Of frames that wait: a minute and more of 60 pictures and 50 sounds a second; against empty frames."""

    sessions: int = 256
    """At once: more than a machine can encode; each holds some megabytes at most."""

    shutdown_seconds: float = 10.0
    """For all sessions to close when the server does; what a container gets between SIGTERM and SIGKILL."""
