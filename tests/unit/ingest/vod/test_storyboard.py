import re
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.vod.storyboard import (
    Size,
    chosen_poster,
    frame_size,
    picture_size,
    poster_candidates,
    sprites,
    storyboard,
    storyboard_object,
    thumbnail_size,
)
from unit.ingest.vod.vod_plans import LOW, NAMES, plan_of, recording, segment

SIZE = Size(width=160, height=90)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1280, 720, (160, 90)), (720, 1280, (90, 160)), (1080, 1080, (160, 160)), (2560, 16, (160, 2))],
)
def test_thumbnails_have_the_pictures_shape(width: int, height: int, size: tuple[int, int]) -> None:
    assert thumbnail_size(width, height) == Size(width=size[0], height=size[1])


def test_thumbnails_have_the_shape_of_the_longest_file_and_others_fit_in() -> None:
    upright = recording(width=720, height=1280, duration=Fraction(8))
    wide = recording(width=1280, height=536, duration=Fraction(10))
    plan = plan_of(upright, recording(), wide)
    assert frame_size(plan) == Size(width=160, height=90)
    sizes = [picture_size(plan, source) for source in plan.sources]
    assert [(size.width, size.height) for size in sizes] == [(50, 90), (160, 90), (160, 66)]


@given(st.lists(st.tuples(st.integers(16, 3840), st.integers(16, 3840)), min_size=1, max_size=3))
def test_pictures_fit_into_thumbnails_and_those_of_the_longest_file_fill_them(
    shapes: list[tuple[int, int]],
) -> None:
    plan = plan_of(*(recording(width=width, height=height) for width, height in shapes))
    frame = frame_size(plan)
    assert picture_size(plan, plan.longest) == frame
    for source in plan.sources:
        size = picture_size(plan, source)
        assert 2 <= size.width <= frame.width
        assert 2 <= size.height <= frame.height
        assert size.width % 2 == size.height % 2 == 0


def test_every_second_segment_gives_a_thumbnail_and_25_fill_a_sprite() -> None:
    found = sprites([segment(LOW, index) for index in range(53)])
    assert [[each.index for each in sprite] for sprite in found] == [list(range(0, 50, 2)), [50, 52]]


def test_cues_name_the_part_of_the_sprite_and_end_with_the_recording() -> None:
    segments = [*(segment(LOW, index, seconds=6.006) for index in range(52)), segment(LOW, 52, seconds=1.5)]
    made = storyboard_object(NAMES, segments, SIZE)
    assert made.content_type == "text/vtt"
    cues = made.content.decode().split("\n\n")
    assert cues[0] == "WEBVTT"
    assert cues[1] == "00:00:00.000 --> 00:00:12.012\nstoryboard_00000.jpg#xywh=0,0,160,90"
    assert cues[7] == "00:01:12.072 --> 00:01:24.084\nstoryboard_00000.jpg#xywh=160,90,160,90"
    assert cues[26] == "00:05:00.300 --> 00:05:12.312\nstoryboard_00001.jpg#xywh=0,0,160,90"
    assert cues[27] == "00:05:12.312 --> 00:05:13.812\nstoryboard_00001.jpg#xywh=160,0,160,90\n"
    assert len(cues) == 28


@given(st.integers(1, 1_000))
def test_cues_cover_the_recording_without_a_hole(count: int) -> None:
    cues = re.findall(r"(\S+) --> (\S+)", storyboard([segment(LOW, index) for index in range(count)], SIZE))
    assert cues[0][0] == "00:00:00.000"
    assert all(before[1] == after[0] for before, after in pairwise(cues))
    hours, minutes, seconds = cues[-1][1].split(":")
    end = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    assert end == timedelta(seconds=6) * count


def test_the_poster_is_looked_for_behind_the_beginning() -> None:
    segments = [segment(LOW, index) for index in range(30)]
    assert [each.index for each in poster_candidates(segments)] == list(range(1, 11))
    assert [each.index for each in poster_candidates(segments[:1])] == [0]


def test_the_poster_is_the_first_picture_that_is_not_dark_else_the_brightest() -> None:
    assert chosen_poster([16, 17, 120, 200]) == 2
    assert chosen_poster([16, 20, 18]) == 1
