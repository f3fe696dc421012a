"""An RTMP server for publishers (Adobe's Real Time Messaging Protocol specification, 1.0 of 2012).

Bytes come in and events go out without any I/O: `chunks`, `amf0`, `messages` and `flv` under
`connection.ServerConnection`. `server.RtmpServer` is the shell that owns sockets and time. What a publisher
sends is refused or handed on; nothing is played.
"""

from ingest.protocols.rtmp.errors import ProtocolError, Refusal, RtmpError, UnsupportedCodec
from ingest.protocols.rtmp.limits import RtmpLimits
from ingest.protocols.rtmp.server import RtmpServer

__all__ = ["ProtocolError", "Refusal", "RtmpError", "RtmpLimits", "RtmpServer", "UnsupportedCodec"]
