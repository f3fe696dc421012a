"""What the API takes to make a stream, in the words of its users: kilobits and seconds."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from bucketcast.errors import InvalidConfiguration
from bucketcast.stream.configuration import Preset, RecordingMode, RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName, StreamId, parse_stream_id

_DEFAULT: Final = StreamConfiguration()

Choice = TypeVar("Choice", bound=StrEnum)


class RungRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rung: its name says its short side."""

    name: str
    video_kbps: int


class StreamRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /v1/streams`; what is left out takes the defaults."""

    id: str
    rungs: tuple[RungRequest, ...] | None = None
    audio_kbps: int = _DEFAULT.audio_bitrate // 1000
    segment_seconds: float = _DEFAULT.segment_duration.total_seconds()
    reconnect_window_seconds: int = int(_DEFAULT.reconnect_window.total_seconds())
    preset: str = _DEFAULT.preset
    pass_through: bool = _DEFAULT.pass_through
    recording: str = _DEFAULT.recording
    vod: bool = _DEFAULT.vod

    def stream(self) -> StreamId:
        """The stream's id, or InvalidName."""
        return parse_stream_id(self.id)

    def configuration(self) -> StreamConfiguration:
        """The configuration that is asked for, or InvalidConfiguration saying what cannot be."""
        rungs = (
            _DEFAULT.rungs
            if self.rungs is None
            else tuple(
                RungConfiguration(name=RungName(rung.name), video_bitrate=BitsPerSecond(rung.video_kbps * 1000))
                for rung in self.rungs
            )
        )
        try:
            segment_duration = timedelta(seconds=self.segment_seconds)
            reconnect_window = timedelta(seconds=self.reconnect_window_seconds)
        except (OverflowError, ValueError):
            raise InvalidConfiguration("a duration is out of all bounds") from None
        return StreamConfiguration(
            rungs=rungs,
            audio_bitrate=BitsPerSecond(self.audio_kbps * 1000),
            segment_duration=segment_duration,
            reconnect_window=reconnect_window,
            preset=_choice("preset", Preset, self.preset),
            pass_through=self.pass_through,
            recording=_choice("recording", RecordingMode, self.recording),
            vod=self.vod,
        )


def _choice(field: str, choices: type[Choice], asked: str) -> Choice:
    """The one of *choices* that is *asked* for, or InvalidConfiguration naming them all."""
    try:
        return choices(asked)
    except ValueError:
        raise InvalidConfiguration(f"the {field} is one of {', '.join(choices)}") from None


def parse_stream_request(body: bytes) -> StreamRequest:
    """Parse the *body* of a request, or raise InvalidConfiguration naming the field that is wrong."""
    try:
        return msgspec.json.decode(body, type=StreamRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(str(error)) from error
