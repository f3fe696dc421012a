from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.storage.errors import InvalidRequest, NotModified, PreconditionFailed
from local_cloud.storage.objects import (
    Attributes,
    Bucket,
    Checksums,
    Preconditions,
    StoredObject,
    next_generation,
    require_object_name,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def stored(
    *, generation: int = 5, metageneration: int = 2, md5: str | None = "XUFAKrxLKna5cZ2REBfFkg=="
) -> StoredObject:
    return StoredObject(
        bucket="media",
        name="a",
        generation=generation,
        metageneration=metageneration,
        size=5,
        checksums=Checksums(crc32c="mnG7TA==", md5=md5),
        attributes=Attributes(),
        time_created=NOW,
        updated=NOW,
    )


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (Preconditions(), True),
        (Preconditions(generation_match=5), True),
        (Preconditions(generation_match=4), False),
        (Preconditions(generation_match=0), False),
        (Preconditions(generation_not_match=5), False),
        (Preconditions(generation_not_match=0), True),
        (Preconditions(metageneration_match=2), True),
        (Preconditions(metageneration_match=1), False),
        (Preconditions(metageneration_not_match=2), False),
        (Preconditions(generation_match=5, metageneration_match=1), False),
    ],
)
def test_a_write_needs_every_condition_to_hold(conditions: Preconditions, *, holds: bool) -> None:
    if holds:
        conditions.require(stored())
    else:
        with pytest.raises(PreconditionFailed):
            conditions.require(stored())


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        (Preconditions(), True),
        (Preconditions(generation_match=0), True),
        (Preconditions(generation_match=5), False),
        (Preconditions(generation_not_match=0), False),
        (Preconditions(metageneration_match=1), False),
    ],
)
def test_generation_0_stands_for_no_object(conditions: Preconditions, *, holds: bool) -> None:
    if holds:
        conditions.require(None)
    else:
        with pytest.raises(PreconditionFailed):
            conditions.require(None)


def test_a_read_of_what_the_reader_knows_is_not_modified() -> None:
    with pytest.raises(NotModified):
        Preconditions(generation_not_match=5).require_for_reading(stored())
    with pytest.raises(PreconditionFailed):
        Preconditions(generation_match=4).require_for_reading(stored())
    Preconditions(generation_not_match=4).require_for_reading(stored())


@given(st.lists(st.timedeltas(timedelta(days=-1), timedelta(days=1))))
def test_generations_grow_even_when_the_clock_goes_back(steps: list[timedelta]) -> None:
    last, now = 0, NOW
    for step in steps:
        now += step
        generation = next_generation(last=last, now=now)
        assert generation > last
        last = generation


def test_a_generation_is_the_microsecond_of_its_writing() -> None:
    assert next_generation(last=0, now=datetime(1970, 1, 1, 0, 0, 1, 7, tzinfo=UTC)) == 1_000_007


def test_entity_tags_tell_generations_and_metagenerations_apart() -> None:
    tags = {stored(generation=g, metageneration=m).etag for g in (1, 128, 1 << 50) for m in (1, 2)}
    assert len(tags) == 6
    assert stored().content_etag == '"5d41402abc4b2a76b9719d911017c592"'
    assert stored(md5=None).content_etag == f'"{stored().etag}"'


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "a\rb", "é" * 513, ".well-known/acme-challenge/x"])
def test_names_that_cloud_storage_refuses(name: str) -> None:
    with pytest.raises(InvalidRequest):
        require_object_name(name)


@pytest.mark.parametrize("name", ["a", "é" * 512, "...", "a/../b", "100% #1?"])
def test_names_that_cloud_storage_takes(name: str) -> None:
    assert require_object_name(name) == name


@pytest.mark.parametrize("name", ["", "ab", "Upper", "-a-", "a/b"])
def test_bucket_names_that_cloud_storage_refuses(name: str) -> None:
    with pytest.raises(InvalidRequest):
        Bucket(name=name, time_created=NOW)
