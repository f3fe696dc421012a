"""A film goes through the session's encoder, the recorder and the VOD job, and comes out picture by picture."""

from datetime import timedelta
from pathlib import Path

import pytest

from benchmark.film import Film, make_film, missing_filters
from benchmark.vod_run import Recorded, picture_bytes, run
from bucketcast.stream.configuration import RungConfiguration, StreamConfiguration
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from ingest.encode.ffmpeg import find_ffmpeg
from ingest.vod.plan import Compression, VodPreset
from ingest.vod.source import probe
from local_system.system import NotStarted

HIGH, LOW = RungName("180p"), RungName("144p")
FILM = Film(width=320, height=180, length=timedelta(seconds=2.5))
CONFIGURATION = StreamConfiguration(
    rungs=(
        RungConfiguration(name=HIGH, video_bitrate=BitsPerSecond(600_000)),
        RungConfiguration(name=LOW, video_bitrate=BitsPerSecond(300_000)),
    )
)
COMPRESSION = Compression(preset=VodPreset.VERYFAST)


def test_every_rung_has_every_picture_live_recorded_and_as_vod(tmp_path: Path) -> None:
    made = run(FILM, CONFIGURATION, COMPRESSION, ffmpeg=find_ffmpeg(), folder=tmp_path)
    ladders = made.live, *made.vods.values()
    assert list(made.vods) == list(Recorded)
    assert probe(str(tmp_path / "recording.mp4")).frames == FILM.frames
    for ladder in ladders:
        assert list(ladder.rungs) == [HIGH, LOW]
        assert ladder.cpu > 0
        for encoded in ladder.rungs.values():
            assert 0 < encoded.video_bytes < encoded.bytes
            assert encoded.vmaf is None or 30 < encoded.vmaf <= 100


def test_a_rung_that_lacks_a_picture_is_not_measured(tmp_path: Path) -> None:
    film = tmp_path / "film.flv"
    make_film(find_ffmpeg(), FILM, film)
    assert 0 < picture_bytes(film, frames=FILM.frames) < film.stat().st_size
    with pytest.raises(NotStarted, match=f"has {FILM.frames} pictures instead of {FILM.frames + 1}"):
        picture_bytes(film, frames=FILM.frames + 1)


def test_a_film_is_always_the_same(tmp_path: Path) -> None:
    """FFmpeg's generators choose at random what is not said."""
    once, again = tmp_path / "once.flv", tmp_path / "again.flv"
    for path in (once, again):
        make_film(find_ffmpeg(), FILM, path)
    assert once.read_bytes() == again.read_bytes()


def test_an_ffmpeg_that_cannot_draw_is_told_by_its_filters(tmp_path: Path) -> None:
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho ' .. gradients |->V Draw.'\necho ' .. mandelbrot |->V Draw.'\n")
    old.chmod(0o755)
    assert missing_filters(old) == ["perlin"]
    assert missing_filters(find_ffmpeg()) == []
