from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.storage.errors import InvalidRequest, Unsupported
from local_cloud.storage.objects import CORS_FOR_VIEWERS, Attributes, Bucket, Checksums, StoredObject
from local_cloud.storage.resources import (
    MAX_METADATA_BYTES,
    bucket_resource,
    format_time,
    linked,
    object_resource,
    parse_attributes,
    parse_bucket_resource,
    parse_object_resource,
)

texts = st.text(min_size=1, max_size=20)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds have no zone
objects = st.builds(
    StoredObject,
    bucket=st.just("media"),
    name=texts,
    generation=st.integers(1, 1 << 60),
    metageneration=st.integers(1, 1 << 40),
    size=st.integers(0, 1 << 40),
    checksums=st.builds(
        Checksums, crc32c=st.just("mnG7TA=="), md5=st.none() | st.just("XUFAKrxLKna5cZ2REBfFkg==")
    ),
    attributes=st.builds(
        Attributes,
        content_type=st.none() | texts,
        cache_control=st.none() | texts,
        content_disposition=st.none() | texts,
        content_language=st.none() | texts,
        custom_time=st.none() | times.map(format_time),
        metadata=st.dictionaries(texts, st.text(max_size=20), max_size=3),
    ),
    component_count=st.none() | st.integers(1, 1000),
    time_created=times,
    updated=times,
)


@given(objects)
def test_a_resource_says_all_of_its_object(stored: StoredObject) -> None:
    assert parse_object_resource(object_resource(stored)) == stored


@given(objects)
def test_a_resource_that_comes_back_changes_nothing(stored: StoredObject) -> None:
    resource = linked(object_resource(stored), base_url="http://localhost")
    assert parse_attributes(resource) == stored.attributes


@given(objects)
def test_int64_values_are_strings(stored: StoredObject) -> None:
    resource = object_resource(stored)
    assert all(isinstance(resource[key], str) for key in ("size", "generation", "metageneration"))


def test_a_change_merges_into_what_is_there() -> None:
    base = Attributes(
        content_type="a/b", cache_control="no-store", metadata={"keep": "1", "drop": "2", "set": "3"}
    )
    change: dict[str, Any] = {"cacheControl": None, "metadata": {"drop": None, "set": "4"}}
    assert parse_attributes(change, base=base) == Attributes(
        content_type="a/b", metadata={"keep": "1", "set": "4"}
    )
    assert parse_attributes({"metadata": None}, base=base).metadata == {}


@pytest.mark.parametrize(
    "resource",
    [
        {"contentType": 1},
        {"metadata": []},
        {"metadata": {"a": 1}},
        {"metadata": {"a": "x" * MAX_METADATA_BYTES}},
    ],
)
def test_attributes_of_the_wrong_type_or_size_are_refused(resource: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse_attributes(resource)


@pytest.mark.parametrize("field", ["contentEncoding", "eventBasedHold", "temporaryHold", "acl", "retention"])
def test_attributes_that_would_have_no_effect_are_refused_by_name(field: str) -> None:
    with pytest.raises(Unsupported, match=field):
        parse_attributes({field: "x"})


def test_a_bucket_s_resource_says_its_configuration() -> None:
    created = datetime(2026, 1, 1, tzinfo=UTC)
    bucket = Bucket(name="media", location="EUROPE-WEST1", cors=(CORS_FOR_VIEWERS,), time_created=created)
    resource = bucket_resource(bucket)
    assert resource["cors"][0]["maxAgeSeconds"] == CORS_FOR_VIEWERS.max_age // timedelta(seconds=1)
    asked = {key: resource[key] for key in ("name", "location", "cors")}
    assert parse_bucket_resource(asked, public=False, time_created=bucket.time_created) == bucket


@pytest.mark.parametrize(
    "resource",
    [{}, {"name": 1}, {"name": "abc", "location": 1}, {"name": "abc", "cors": [1]}, {"name": "abc", "cors": 1}],
)
def test_buckets_that_make_no_sense_are_refused(resource: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        parse_bucket_resource(resource, public=False, time_created=datetime(2026, 1, 1, tzinfo=UTC))


def test_bucket_options_that_would_have_no_effect_are_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="lifecycle"):
        parse_bucket_resource(
            {"name": "abc", "lifecycle": {}}, public=False, time_created=datetime(2026, 1, 1, tzinfo=UTC)
        )


@pytest.mark.parametrize("value", ["yesterday", "2026-02-30T00:00:00Z", "2025-12-31T23:59:59Z"])
def test_a_custom_time_is_a_time_and_does_not_go_back(value: str) -> None:
    known = Attributes(custom_time="2026-01-01T00:00:00Z")
    with pytest.raises(InvalidRequest):
        parse_attributes({"customTime": value}, base=known)
    assert parse_attributes({"customTime": "2026-01-02T00:00:00Z"}, base=known).custom_time is not None
