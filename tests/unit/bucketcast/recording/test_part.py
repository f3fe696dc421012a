"""What a part's head says is what the part was made of."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.recording.audio_format import ENCODED_SOUND, AudioFormat, aac_format, opus_head_format
from bucketcast.recording.boxes import box
from bucketcast.recording.invalid_media import InvalidMedia
from bucketcast.recording.parameter_sets import video_format
from bucketcast.recording.part import MAX_PART_BYTES, MAX_SEGMENT_INDEX, write_part
from bucketcast.recording.part_head import MAX_DECODE_TIME, MAX_HEAD_BYTES, PlacedSamples, read_head
from bucketcast.recording.samples import AUDIO_FRAME_TICKS, Samples, SegmentSamples
from bucketcast.recording.segment_samples import read_segment
from bucketcast.stream.identifiers import SegmentIndex
from bucketcast.stream.silence import silent_segment
from unit.bucketcast.recording.made_segments import FORMAT, PICTURE_SET, SEQUENCE_SET, Source, head_of, samples

SECOND = timedelta(seconds=1)
SOURCE = Source()
PART = write_part([SOURCE.segment(index) for index in (3, 4, 5)])
HEAD = PART.content[: PART.head_bytes]


def silent(index: int) -> SegmentSamples:
    return read_segment(
        silent_segment(index * SECOND, SECOND), index=SegmentIndex(index), start=index * SECOND, duration=SECOND
    )


sources = st.builds(
    Source,
    ticks=st.sampled_from([1500, 3003, 3753]),
    pictures=st.integers(4, 20),
    delay=st.integers(0, 3),
    format=st.just(FORMAT) | st.just(replace(FORMAT, in_band=True)),
)


def media_of(content: bytes, placed: PlacedSamples | None) -> bytes | None:
    if placed is None:
        return None
    return content[placed.position : placed.position + sum(placed.table.sizes)]


@given(sources, st.integers(0, 2**32 - 100), st.integers(1, 5))
def test_the_head_says_where_every_sample_lies_and_when_it_is_shown(
    source: Source, first: int, count: int
) -> None:
    segments = [source.segment(index) for index in range(first, first + count)]
    part = write_part(segments)
    head = head_of(part)
    assert (part.first, part.last) == (first, first + count - 1)
    assert head.video_format == part.video_format == source.format
    assert [one.index for one in head.segments] == list(range(first, first + count))
    for placed, segment in zip(head.segments, segments, strict=True):
        for found, made in ((placed.video, segment.video), (placed.audio, segment.audio)):
            assert made is not None
            assert media_of(part.content, found) == made.media
            assert found is not None
            assert found.table == made.table


def test_a_gap_has_no_pictures_and_the_one_before_stays() -> None:
    part = write_part([SOURCE.segment(0), silent(1), SOURCE.segment(2)])
    head = head_of(part)
    assert [one.video is None for one in head.segments] == [False, True, False]
    first, _, last = head.segments
    assert first.video is not None
    assert last.video is not None
    assert first.video.table.end == last.video.table.decode_time
    assert first.video.table.durations[-1] == 90_000 + 3000
    assert all(
        earlier.audio and later.audio and earlier.audio.table.end == later.audio.table.decode_time
        for earlier, later in pairwise(head.segments)
    )


def test_a_part_may_consist_of_a_gap() -> None:
    part = write_part([silent(1)])
    assert part.video_format is None
    assert head_of(part).video_format is None
    assert part.fingerprint is None


def test_a_part_may_have_pictures_alone() -> None:
    head = head_of(write_part([replace(SOURCE.segment(0), audio=None)]))
    assert [(one.video is None, one.audio is None) for one in head.segments] == [(False, True)]


def frames(begin: int, count: int, stamp: bytes) -> Samples:
    return samples(
        [9] * count,
        decode_time=900_000 + begin * AUDIO_FRAME_TICKS,
        durations=[AUDIO_FRAME_TICKS] * count,
        stamp=stamp,
    )


def test_of_sound_that_overlaps_the_first_is_kept() -> None:
    """An encoder that ended had some sound of the next segment, which another made."""
    segments = [
        replace(SOURCE.segment(index), audio=sound)
        for index, sound in enumerate((frames(0, 50, b"a"), frames(47, 2, b"b"), frames(48, 5, b"c")))
    ]
    part = write_part(segments)
    head = head_of(part)
    assert [len(one.audio.table) if one.audio else 0 for one in head.segments] == [50, 0, 3]
    assert media_of(part.content, head.segments[2].audio) == b"".join(
        b"c" + number.to_bytes(2) + b"......" for number in (2, 3, 4)
    )


@pytest.mark.parametrize(
    ("segments", "reason"),
    [
        ([], "follow each other"),
        ([SOURCE.segment(0), SOURCE.segment(2)], "follow each other"),
        ([SOURCE.segment(1), SOURCE.segment(0)], "follow each other"),
        ([SOURCE.segment(0), Source(format=replace(FORMAT, width=2)).segment(1)], "one format"),
        ([replace(SOURCE.segment(0), index=SegmentIndex(MAX_SEGMENT_INDEX + 1))], "numbered"),
    ],
)
def test_a_part_is_of_segments_that_belong_together(segments: list[SegmentSamples], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        write_part(segments)


def test_pictures_that_are_before_those_of_the_segment_before_are_refused() -> None:
    again = replace(SOURCE.segment(0), index=SegmentIndex(1))
    with pytest.raises(ValueError, match="not behind"):
        write_part([SOURCE.segment(0), again])


def test_a_part_s_size_is_limited() -> None:
    segment = SOURCE.segment(0)
    assert segment.video is not None
    large = replace(segment.video, media=bytes(MAX_PART_BYTES + 1))
    with pytest.raises(ValueError, match="too large"):
        write_part([replace(segment, video=large)])


def changed(old: bytes, new: bytes, *, count: int = 1) -> bytes:
    assert old in HEAD
    return HEAD.replace(old, new, count)


MOVIE_END = HEAD.index(b"moof") - 4
TYPE_END = HEAD.index(b"moov") - 4
MEDIA_HEADER = HEAD[-8:]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        HEAD[:-1],
        HEAD[:-8] + bytes(8),
        HEAD[TYPE_END:],
        HEAD[:MOVIE_END] + MEDIA_HEADER,
        changed(b"moof", b"free"),
        changed(b"mfhd\0\0\0\0\0\0\0\x04", b"mfhd\0\0\0\0\0\0\0\0"),
        changed(b"mfhd\0", b"mfhd\1"),
        changed(b"traf", b"free"),
        changed(b"tfhd", b"free"),
        changed(b"tfhd\0\x02\0\0\0\0\0\x01", b"tfhd\0\x02\0\0\0\0\0\x02"),
        changed(b"tfhd\0\x02\0\0\0\0\0\x01", b"tfhd\0\x02\0\0\0\0\0\x03"),
        changed(b"tfdt\x01\0\0\0\0", b"tfdt\x01\0\0\0\x7f"),
        changed(b"trun", b"free"),
        changed(b"trun\0\0\x0f\x01\0\0\0\x1e", b"trun\0\0\x0f\x01\0\0\0\x1d"),
        changed(b"trun\0\0\x0f\x01\0\0\0\x1e\0", b"trun\0\0\x0f\x01\0\0\0\x1e\x7f"),
        changed(b"trun\0\0\x0f\x01\0\0\0\x1e\0", b"trun\0\0\x0f\x01\0\0\0\x1e\xff"),
        changed(b"avc1", b"mp4v"),
        changed(b"avcC", b"free"),
        changed(b"mdia", b"free"),
        changed(b"stsd\0\0\0\0\0\0\0\x01\0\0", b"stsd\0\0\0\0\0\0\0\x01\0\1"),
    ],
)
def test_a_head_that_is_not_as_it_is_written_is_refused(head: bytes) -> None:
    with pytest.raises(InvalidMedia):
        read_head(head, size=len(head) + len(PART.content) - len(HEAD))


def test_a_head_without_a_fragment_s_content_is_refused() -> None:
    for fragment in (
        box(b"moof"),
        box(b"moof", HEAD[MOVIE_END + 8 : MOVIE_END + 24]),
        box(b"moof", HEAD[MOVIE_END + 8 : MOVIE_END + 24], box(b"traf")),
    ):
        with pytest.raises(InvalidMedia):
            read_head(
                HEAD[:MOVIE_END] + bytes(fragment) + (8).to_bytes(4) + b"mdat",
                size=MOVIE_END + fragment.size + 8,
            )


def test_a_head_is_of_its_part_s_size_and_limited() -> None:
    for size in (len(PART.content) - 1, len(PART.content) + 1, len(HEAD) - 1):
        with pytest.raises(InvalidMedia):
            read_head(HEAD, size=size)
    with pytest.raises(InvalidMedia, match="too large"):
        read_head(bytes(MAX_HEAD_BYTES + 1), size=MAX_HEAD_BYTES + 1)
    with pytest.raises(InvalidMedia, match="too large"):
        read_head(HEAD, size=2 * MAX_PART_BYTES)


def test_a_time_out_of_all_time_is_refused() -> None:
    late = replace(SOURCE.segment(0), audio=None)
    assert late.video is not None
    table = replace(late.video.table, decode_time=MAX_DECODE_TIME + 1)
    part = write_part([replace(late, video=replace(late.video, table=table))])
    with pytest.raises(InvalidMedia, match="out of all time"):
        head_of(part)


@given(st.lists(st.tuples(st.integers(0, len(HEAD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_no_change_of_a_head_does_harm(changes: list[tuple[int, int]]) -> None:
    head = bytearray(HEAD)
    for place, value in changes:
        head[place] = value
    try:
        found = read_head(bytes(head), size=len(PART.content))
    except InvalidMedia:
        return
    for placed in (one for segment in found.segments for one in (segment.video, segment.audio) if one):
        assert len(HEAD) <= placed.position <= placed.position + sum(placed.table.sizes) <= len(PART.content)


def test_equal_formats_have_equal_fingerprints_and_others_have_others() -> None:
    formats = [
        FORMAT,
        video_format([SEQUENCE_SET], [PICTURE_SET], in_band=True),
        video_format([SEQUENCE_SET], [PICTURE_SET, b"\x68\x01"]),
        replace(FORMAT, width=322),
    ]
    sounds = [ENCODED_SOUND, aac_format(b"\x12\x08"), MONO_OPUS, STEREO_OPUS, None]
    found = [
        write_part([replace(SOURCE.segment(0), video_format=pictures, audio_format=sound, audio=None)])
        for pictures in formats
        for sound in sounds
    ]
    assert len({part.fingerprint for part in found}) == len(formats) * len(sounds)
    again = video_format([SEQUENCE_SET], [PICTURE_SET])
    assert write_part([replace(SOURCE.segment(1), video_format=again)]).fingerprint == PART.fingerprint


MONO_OPUS, STEREO_OPUS = (
    opus_head_format(b"OpusHead\x01" + bytes((channels,)) + b"\x38\x01\x44\xac\x00\x00" + bytes(3))
    for channels in (1, 2)
)


@pytest.mark.parametrize(
    "sound",
    [ENCODED_SOUND, aac_format(b"\x12\x08"), aac_format(bytes.fromhex("121056e500")), MONO_OPUS, STEREO_OPUS],
    ids=["encoded", "44.1 kHz mono", "with an extension", "Opus mono", "Opus stereo"],
)
def test_the_head_says_what_the_sound_is(sound: AudioFormat) -> None:
    part = write_part([replace(SOURCE.segment(number), audio_format=sound) for number in range(2)])
    assert head_of(part).audio_format == part.audio_format == sound


def test_sound_of_two_formats_is_no_part() -> None:
    with pytest.raises(ValueError, match="one format"):
        write_part([SOURCE.segment(0), replace(SOURCE.segment(1), audio_format=MONO_OPUS)])


def test_a_part_that_does_not_describe_its_sound_is_refused() -> None:
    described, undescribed = b"mp4a", b"mp4x"
    with pytest.raises(InvalidMedia, match="describe its sound"):
        read_head(HEAD.replace(described, undescribed), size=len(PART.content))
    place = HEAD.index(bytes((5, 2)) + ENCODED_SOUND.configuration)
    with pytest.raises(InvalidMedia, match="describe its sound"):
        read_head(HEAD[:place] + b"\x06" + HEAD[place + 1 :], size=len(PART.content))
