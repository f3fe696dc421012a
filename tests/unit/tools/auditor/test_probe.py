import subprocess
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from tools.auditor.probe import probe


def _transport_stream(*arguments: str) -> bytes:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *arguments, "-f", "mpegts", "-"]
    return subprocess.run(command, capture_output=True, check=True).stdout


VIDEO = ("-f", "lavfi", "-i", "testsrc2=s=128x96:r=30000/1001:d=1")
AUDIO = ("-f", "lavfi", "-i", "sine=d=1")
MAIN = ("-c:v", "libx264", "-preset", "superfast", "-profile:v", "main", "-level", "3.1", "-bf", "2")


def test_the_facts_of_a_segment_are_found() -> None:
    facts = probe(_transport_stream(*VIDEO, *AUDIO, *MAIN, "-c:a", "aac"))
    assert frozenset({"avc1.4d401f", "mp4a.40.2"}) == facts.codecs
    assert (facts.width, facts.height, facts.frames) == (128, 96, 30)
    # The clock of MPEG-2 TS has 90,000 ticks a second.
    assert abs(Fraction(30 * 1001, 30_000) - facts.duration) < Fraction(2, 90_000)
    assert facts.starts_with_keyframe


def test_a_segment_that_starts_between_keyframes_is_noticed(tmp_path: Path) -> None:
    whole = tmp_path / "whole.ts"
    whole.write_bytes(_transport_stream(*VIDEO, *MAIN, "-g", "15", "-keyint_min", "15"))
    late = _transport_stream("-i", str(whole), "-c", "copy", "-bsf:v", "noise=drop='lt(n,1)'")
    assert not probe(late).starts_with_keyframe


def test_one_frame_lasts_as_long_as_its_stream_says() -> None:
    facts = probe(_transport_stream(*VIDEO, *MAIN, "-frames:v", "1"))
    assert (1, Fraction(1001, 30_000)) == (facts.frames, facts.duration)


def test_what_has_no_video_is_refused() -> None:
    with pytest.raises(ValueError, match="no video"):
        probe(_transport_stream(*AUDIO, "-c:a", "aac"))
