"""A media file as the feed that a broadcaster would make of it."""

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg

from ingest.feed import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from tools.frame_strip import Clip, make_clip

# By FFmpeg's names; any video codec that is not VP8 is taken for H.264, and any audio codec for AAC.
_CODECS: dict[str, VideoCodec | AudioCodec] = {
    "vp8": VideoCodec.VP8,
    "opus": AudioCodec.OPUS,
    "aac": AudioCodec.AAC,
    "h264": VideoCodec.H264,
}
# As a browser encodes: no picture out of order, and keyframes where they are forced.
_ENCODERS = {
    VideoCodec.H264: ("libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-profile:v", "baseline"),
    VideoCodec.VP8: ("libvpx", "-deadline", "realtime", "-cpu-used", "8", "-lag-in-frames", "0"),
}
# RFC 6386, 9.1: frame tag, start code, width and height.
_VP8_HEADER_BYTES = 10


def read_feed(path: Path) -> list[FeedItem]:
    """Return the feed of the media file at *path*, with times in whole milliseconds, as RTMP has them."""
    frames: list[EncodedFrame] = []
    headers: dict[Track, tuple[VideoCodec | AudioCodec, bytes]] = {}
    with av.open(str(path), mode="r") as container:
        for stream in container.streams:
            headers[Track(stream.type)] = (
                _CODECS[stream.codec_context.name],
                bytes(stream.codec_context.extradata or b""),
            )
        for packet in container.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            frames.append(
                EncodedFrame(
                    track=Track(packet.stream.type),
                    decode_time=timedelta(milliseconds=round(packet.dts * packet.time_base * 1000)),
                    presentation_time=timedelta(milliseconds=round(packet.pts * packet.time_base * 1000)),
                    keyframe=packet.is_keyframe,
                    data=bytes(packet),
                )
            )
    configurations = [_configuration(codec, data, frames) for codec, data in headers.values()]
    return [*configurations, *frames]


def _configuration(
    codec: VideoCodec | AudioCodec, data: bytes, frames: Iterable[EncodedFrame]
) -> CodecConfiguration:
    if codec is VideoCodec.VP8:
        first = next(frame for frame in frames if frame.track is Track.VIDEO)
        data = first.data[:_VP8_HEADER_BYTES]
    return CodecConfiguration(codec=codec, data=data)


def growing_feed(
    clip: Clip, sizes: Sequence[tuple[int, int]], codec: VideoCodec, folder: Path
) -> list[FeedItem]:
    """Return the feed of *clip* as a browser would send it: *codec* and Opus, in *sizes* one after the other.

    Each size has an equal part of the frames; its first is a keyframe, with its parameter sets in band. Files
    are made in *folder*.
    """
    source = make_clip(clip)
    bounds = [round(Fraction(clip.frames * number, len(sizes))) for number in range(len(sizes) + 1)]
    pictures: list[EncodedFrame] = []
    first: CodecConfiguration | None = None
    for number, (width, height) in enumerate(sizes):
        path = folder / f"{number}.mkv"
        begin, end = bounds[number], bounds[number + 1]
        graph = f"trim=start_frame={begin}:end_frame={end},scale={width}:{height}:flags=bicubic"
        _encode(source, path, "-an", "-vf", graph, "-c:v", *_ENCODERS[codec], "-b:v", "1M", "-g", "25")
        configuration, *frames = read_feed(path)
        assert isinstance(configuration, CodecConfiguration)
        first = first or configuration
        pictures += (_in_band(frame, configuration) for frame in frames if isinstance(frame, EncodedFrame))
    assert first is not None
    _encode(source, folder / "sound.mkv", "-vn", "-c:a", "libopus", "-b:a", "64k")
    opus, *sound = read_feed(folder / "sound.mkv")
    packets = [frame for frame in sound if isinstance(frame, EncodedFrame)]
    return [first, opus, *sorted((*pictures, *packets), key=lambda frame: frame.decode_time)]


def _encode(source: Path, path: Path, *options: str) -> None:
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y")
    # Frames keep the times that they have in the source.
    timing = ("-fps_mode", "passthrough", "-copyts", "-avoid_negative_ts", "disabled")
    subprocess.run(
        [*command, "-i", str(source), *options, *timing, str(path)], check=True, stdin=subprocess.DEVNULL
    )


def _in_band(frame: EncodedFrame, configuration: CodecConfiguration) -> EncodedFrame:
    """*frame*, behind the parameter sets of its *configuration* if it is a keyframe."""
    # ISO/IEC 14496-15, 5.3.3.1: AVCDecoderConfigurationRecord.
    if not frame.keyframe or configuration.codec is VideoCodec.VP8:
        return frame
    record, units, offset = configuration.data, b"", 5
    for mask in (0x1F, 0xFF):
        count, offset = record[offset] & mask, offset + 1
        for _ in range(count):
            size = int.from_bytes(record[offset : offset + 2])
            units += size.to_bytes(4) + record[offset + 2 : offset + 2 + size]
            offset += 2 + size
    return replace(frame, data=units + frame.data)
