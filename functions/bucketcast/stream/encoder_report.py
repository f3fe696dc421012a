"""What an encoder reports of its input and its work, beside the lease that it renews."""

from enum import StrEnum
from typing import Final

from msgspec import Struct


class InputFault(StrEnum):
    """What is wrong with a broadcaster's input; it is corrected as far as it can be, and named."""

    NO_AUDIO = "no-audio"
    NO_VIDEO = "no-video"
    LONG_KEYFRAME_INTERVAL = "long-keyframe-interval"
    VARIABLE_FRAME_RATE = "variable-frame-rate"
    TIMESTAMP_JUMP = "timestamp-jump"
    CODEC_CHANGE = "codec-change"
    SLOWER_THAN_REAL_TIME = "slower-than-real-time"
    ENCODER_OVERLOADED = "encoder-overloaded"
    NOT_PASSED_THROUGH = "not-passed-through"
    PACKET_LOSS = "packet-loss"
    B_FRAMES = "b-frames"
    SOURCE_NOT_RECORDED = "source-not-recorded"


ADVICE: Final[dict[InputFault, str]] = {
    InputFault.NO_AUDIO: "Silence is sent instead. In OBS, add an audio source or unmute it in the mixer.",
    InputFault.NO_VIDEO: "Nothing can be shown. In OBS, add a video source to the scene.",
    InputFault.LONG_KEYFRAME_INTERVAL: "In OBS, set Output > Keyframe Interval to 2 s.",
    InputFault.VARIABLE_FRAME_RATE: "Frames are repeated or dropped. In OBS, set Video > Common FPS Values.",
    InputFault.TIMESTAMP_JUMP: "The sender's clock jumped. Check the sender's load and network.",
    InputFault.CODEC_CHANGE: "The sender changed size or codec. Stop and start the broadcast to use it.",
    InputFault.SLOWER_THAN_REAL_TIME: "Media comes too slowly. Check the upload bandwidth, lower the bitrate.",
    InputFault.ENCODER_OVERLOADED: (
        "The largest rungs, or parts, are left out. Choose fewer or smaller rungs, or a quicker preset."
    ),
    InputFault.NOT_PASSED_THROUGH: (
        "The top rung is encoded instead. In OBS, set Output > Keyframe Interval to the segment duration, and"
        " size and bitrate to the top rung's."
    ),
    InputFault.PACKET_LOSS: (
        "Pictures are lost on the way. In OBS, lower Output > Bitrate; a cable loses less than Wi-Fi."
    ),
    InputFault.B_FRAMES: (
        "Pictures come out of order, which WebRTC cannot carry. In OBS, set Output > B-Frames to 0, or Tune to"
        " zerolatency."
    ),
    InputFault.SOURCE_NOT_RECORDED: (
        "The best rung is recorded instead. For a recording of the source, send H.264, with AAC-LC of at most"
        " 48 kHz and 5.1, or with Opus in packets of 20 ms."
    ),
}


class EncoderReport(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An encoder's counters since its session began."""

    faults: tuple[InputFault, ...] = ()
    speed: float = 0.0  # seconds of media that FFmpeg encodes in a second
    ffmpeg_restarts: int = 0
    segments_uploaded: int = 0
    segments_retried: int = 0
    segments_lost: int = 0
