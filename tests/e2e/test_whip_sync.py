"""Sound and picture stay together from a WHIP publisher to the segments that viewers get."""

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from bucketcast.stream.identifiers import RungName
from local_system.system import MEDIA_BUCKET, CreatedStream, System
from tools.auditor.collect import collect
from tools.broadcasts import SOON, segment_contents, wait_for_endlist
from tools.frame_strip import Clip, make_clip
from tools.lip_sync import SOURCE, read_offsets

RUNGS = ({"name": "360p", "video_kbps": 800}, {"name": "180p", "video_kbps": 400})
CLIP = Clip(
    width=640,
    height=360,
    # Beyond the first seconds, in which clocks are still being compared.
    duration=timedelta(seconds=25),
    video_bitrate=1_000_000,
    b_frames=0,
    audio=False,
)
# From where people begin to notice, in either direction; for sound that is early sooner than for sound that is
# late.
TOGETHER = timedelta(milliseconds=40)
# What is left where the sender says how its tracks belong together, as FFmpeg does. The first chime may be
# heard later: of the first frame of AAC, which lies over the one before it, there is only half.
EXACT = timedelta(milliseconds=10)
# Between the first chimes and the last.
DRIFT = timedelta(milliseconds=20)
ENDS = 3
# The first sound, too, which a bug took for late: silence had its place.
HEARD_FROM = 0


def publish_with_chimes(
    ffmpeg: Path, clip: Clip, system: System, stream: CreatedStream
) -> subprocess.Popen[bytes]:
    """Send *clip* in real time with FFmpeg's own WHIP muxer, with chimes that are made on its way."""
    command: list[str | Path] = [ffmpeg, "-nostdin", "-v", "error", "-re", "-i", make_clip(clip)]
    command += ["-re", "-f", "lavfi", "-i", f"aevalsrc='{SOURCE}|{SOURCE}':s=48000:d={clip.duration.seconds}"]
    command += ["-map", "0:v", "-map", "1:a", "-c:v", "copy", "-c:a", "libopus", "-b:a", "128k"]
    command += ["-f", "whip", "-authorization", stream.stream_key, system.whip_url]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def test_sound_and_picture_of_ffmpeg_s_whip_muxer_stay_together(
    system: System, ffmpeg: Path, whip_length: timedelta
) -> None:
    stream = system.create_stream("demo", rungs=RUNGS, reconnect_window_seconds=1)
    clip = replace(CLIP, duration=max(CLIP.duration, whip_length))
    sender = publish_with_chimes(ffmpeg, clip, system, stream)
    try:
        assert sender.wait(clip.duration.seconds + SOON.seconds) == 0
    finally:
        sender.kill()
    wait_for_endlist(system, "demo")
    journal = collect(system.url, MEDIA_BUCKET, stream="demo")
    for rung in RUNGS:
        media = b"".join(segment_contents(system, journal, RungName(str(rung["name"]))))
        found = read_offsets(media, frame_rate=CLIP.frame_rate)
        seconds = [each.second for each in found]
        assert seconds == list(range(HEARD_FROM, clip.duration.seconds)), rung
        late = [each.sound_is_late_by for each in found]
        assert min(late) >= -TOGETHER, rung
        assert max(late) <= TOGETHER, rung
        assert max(map(abs, late[1:])) <= EXACT, rung
        assert abs(_mean(late[-ENDS:]) - _mean(late[:ENDS])) <= DRIFT, rung


def _mean(times: Sequence[timedelta]) -> timedelta:
    return sum(times, timedelta()) / len(times)
