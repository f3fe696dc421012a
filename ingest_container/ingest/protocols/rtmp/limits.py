"""Every bound that the server puts on a peer, with its reason."""

from dataclasses import dataclass
from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class RtmpLimits:
    """How much a peer may take: of memory, of time and of connections."""

    handshake_seconds: float = 5.0
    """From accepting to the end of the handshake: 3 kB and two round trips, also from another continent."""

    publish_seconds: float = 15.0
    """From accepting to an accepted publish: six round trips and the handler's look at its records."""

    idle_media_seconds: float = 20.0
    """Without a frame. Encoders send some even for a still picture; longer is a half-open connection, and more
    than the few seconds in which TCP recovers from a bad uplink."""

    acknowledgement_seconds: float = 0.05
    """Of silence after which a publisher that is ahead of real time is taken to wait for an acknowledgement."""

    ahead_seconds: float = 0.25
    """Of media before its time, from which on a publisher is ahead; bursts in real time stay below."""

    write_seconds: float = 5.0
    """For a peer to take what it is sent, a few hundred bytes; it fills the kernel's buffers before."""

    linger_seconds: float = 5.0
    """For a peer to read its refusal and to close: a socket closed with unread input is reset, and a reset
    destroys the refusal on its way. FFmpeg looks for one when it sends, and encoders begin slowly."""

    shutdown_seconds: float = 10.0
    """For all sessions to close when the server does; what a container gets between SIGTERM and SIGKILL."""

    video_message_bytes: int = 8 * MEBIBYTE
    """A keyframe of 4K at the highest quality is about 4 MB."""

    audio_message_bytes: int = 64 * KIBIBYTE
    """An AAC access unit has at most 768 bytes a channel, and 48 channels."""

    command_message_bytes: int = 32 * KIBIBYTE
    """Commands and metadata of real encoders are below 2 kB. Also what any message may have before a publish
    was accepted: with the number of partial messages it bounds what a stranger can make us hold."""

    partial_messages: int = 8
    """Interleaved at once, over all chunk streams: video, audio, metadata, a command, control, and some."""

    partial_message_bytes: int = 12 * MEBIBYTE
    """Of those together: one largest video message and all others beside it."""

    chunk_streams: int = 32
    """Whose last header is remembered. Encoders use up to six."""

    min_chunk_bytes: int = 128
    """What a peer may set: below the protocol's default only our own time is spent on headers."""

    max_chunk_bytes: int = 0xFFFFFF
    """A larger chunk size means the same: no message is longer (RTMP 1.0, 5.4.1)."""

    amf_depth: int = 8
    """Of objects in objects; encoders send two levels. Keeps the decoder's recursion short."""

    amf_values: int = 1024
    """In one message; the longest real metadata has about forty."""

    stream_key_characters: int = 256
    """Keys are made here and are far shorter."""

    read_bytes: int = 64 * KIBIBYTE
    """Read from a socket at once. Twice as much is the most that waits while a session or the handler does."""

    write_bytes: int = 64 * KIBIBYTE
    """Of answers to what came in one read: a flood of pings or calls, not an encoder, has more."""

    connections: int = 256
    """At once: what one machine could relay at 6 Mb/s each. More file descriptors than this have no use."""

    unpublished_connections_per_address: int = 16
    """Which have not published yet: many encoders behind one address connect, but not all in one second."""

    backlog: int = 128
    """Connections that the kernel holds before they are accepted."""
