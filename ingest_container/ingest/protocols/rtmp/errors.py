"""What can go wrong between a publisher and this server.

::

    RtmpError
    ├── ProtocolError         the peer's bytes break the protocol
    └── Refusal               the peer asked in good RTMP for what it does not get
        └── UnsupportedCodec  media that a feed does not carry

Every text here may be shown to the peer and written to a log: none ever holds a stream key.
"""


class RtmpError(Exception):
    """The root of this tree; *description* is one sentence for the person at the encoder."""

    def __init__(self, description: str) -> None:
        super().__init__(description)
        self.description = description


class ProtocolError(RtmpError):
    """What the peer sent is not RTMP, or more of it than the limits allow."""


class Refusal(RtmpError):
    """A request that is answered with the status *code* and a description; then the connection ends."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code

    def __str__(self) -> str:
        return f"{self.code}: {self.description}"


class UnsupportedCodec(Refusal):
    """The publisher sends *codec*, which a feed does not carry."""

    def __init__(self, codec: str) -> None:
        super().__init__(
            "NetStream.Publish.Rejected",
            f"{codec} is not supported here. Choose H.264 (x264) with AAC in the output settings of OBS.",
        )
        self.codec = codec
