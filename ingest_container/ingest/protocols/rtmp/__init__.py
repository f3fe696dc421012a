"""An RTMP server for publishers (Adobe's Real Time Messaging Protocol specification, 1.0 of 2012).

Bytes come in and events go out without any I/O: `chunks`, `amf0`, `messages` and `flv` under
`connection.ServerConnection`. `server.RtmpServer` is the shell that owns sockets and time. What a publisher
sends is refused or handed on; nothing is played.
"""

from ingest.protocols.rtmp.errors import ProtocolError, PublishRefused, Refusal, RtmpError, UnsupportedCodec
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.publishing import (
    CloseReason,
    PublisherConnection,
    PublishHandler,
    PublishRequest,
    PublishSession,
    SourceMetadata,
    StreamKey,
)
from ingest.protocols.rtmp.server import RtmpServer

__all__ = [
    "CloseReason",
    "ProtocolError",
    "PublishHandler",
    "PublishRefused",
    "PublishRequest",
    "PublishSession",
    "PublisherConnection",
    "Refusal",
    "RtmpError",
    "RtmpLimits",
    "RtmpServer",
    "SourceMetadata",
    "StreamKey",
    "UnsupportedCodec",
]
