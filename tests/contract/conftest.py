"""The storage backends that the contract suite runs on, and what each is known to do wrong."""

from collections.abc import Iterator

import pytest
from google.cloud.storage import Bucket

from tools.storage_backends import (
    FAKE_GCS_SERVER,
    LOCAL_CLOUD,
    StorageBackend,
    fake_gcs_server_backend,
    local_cloud_backend,
)

# What fake-gcs-server 1.54.0 in memory mode is known to do otherwise than Cloud Storage, by test.
DEVIATIONS = {
    FAKE_GCS_SERVER: {
        "test_content_with_another_crc32c_is_refused": "verifies no checksum",
        "test_content_with_another_md5_is_refused": "verifies no checksum",
        "test_a_resumable_upload_with_another_crc32c_in_its_last_chunk_is_refused": "verifies no checksum",
        "test_creating_only_refuses_an_object_that_exists[media]": "ignores conditions on media uploads",
        "test_creating_only_refuses_an_object_that_exists[resumable]": "ignores conditions on chunks",
        "test_replacing_needs_the_generation_that_was_read[media]": "ignores conditions on media uploads",
        "test_replacing_needs_the_generation_that_was_read[resumable]": "ignores conditions on chunks",
        "test_a_metageneration_that_must_match": "has no metageneration",
        "test_reading_needs_the_generation_asked_for": "ignores conditions on reads",
        "test_reading_a_known_generation_is_not_modified": "ignores conditions on reads",
        "test_deleting_needs_the_generation": "ignores conditions on deletes",
        "test_a_patch_needs_the_metageneration_and_leaves_the_generation": "has no metageneration",
        "test_composing_needs_the_target_s_generation": "ignores conditions on compositions",
        "test_composing_needs_the_sources_generations": "ignores conditions on compositions",
        "test_copying_needs_both_generations": "ignores conditions on copies",
        "test_rewriting_needs_both_generations": "ignores conditions on rewrites",
        "test_a_rewrite_to_another_location_takes_several_calls": "rewrites at once between locations",
        "test_an_upload_can_be_asked_how_much_has_come": "takes the question for the last chunk",
        "test_pages_count_prefixes_too": "counts only objects",
        "test_only_the_fields_asked_for": "answers with all fields",
        "test_sources_are_joined_in_order": "says no componentCount",
        "test_a_composition_can_be_composed_again": "says no componentCount",
        "test_a_source_that_does_not_exist_is_not_found": "answers 500",
        "test_caches_keep_an_hour_what_says_nothing": "sends no Cache-Control",
        "test_a_known_entity_tag_is_not_modified": "ignores If-None-Match",
        "test_pages_of_any_origin_may_read": "exposes Location only",
        "test_what_does_not_exist_is_not_found_and_not_cached": "sends no Cache-Control",
        "test_private_buckets_are_closed": "has no private buckets",
        "test_a_name_can_be_written_once_a_second": "has no limit",
        "test_a_name_has_at_most_1024_bytes": "has no limit",
        "test_not_found": "gives other reasons",
        "test_a_condition_that_does_not_hold": "gives other reasons",
        "test_a_request_that_is_not_json": "gives other reasons",
    }
}


@pytest.fixture(scope="session", params=[LOCAL_CLOUD, FAKE_GCS_SERVER])
def any_storage_backend(request: pytest.FixtureRequest) -> Iterator[StorageBackend]:
    start = local_cloud_backend if request.param == LOCAL_CLOUD else fake_gcs_server_backend
    with start() as backend:
        yield backend


@pytest.fixture
def backend(any_storage_backend: StorageBackend, request: pytest.FixtureRequest) -> StorageBackend:
    """The backend of this run; a test that it is known to fail has to fail."""
    test = request.node.name.replace(f"{any_storage_backend.name}-", "").replace(
        f"[{any_storage_backend.name}]", ""
    )
    if deviation := DEVIATIONS.get(any_storage_backend.name, {}).get(test):
        request.applymarker(pytest.mark.xfail(reason=deviation, strict=True))
    return any_storage_backend


@pytest.fixture
def bucket(backend: StorageBackend) -> Bucket:
    return backend.create_bucket()
