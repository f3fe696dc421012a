import pytest

from bucketcast.errors import InvalidSettings
from bucketcast.settings import read_settings

COMPLETE = {
    "GOOGLE_CLOUD_PROJECT": "demo",
    "BUCKETCAST_MEDIA_BUCKET": "media",
    "BUCKETCAST_INGEST_BUCKET": "ingest",
    "BUCKETCAST_RECORDING_BUCKET": "recording",
    "BUCKETCAST_LOCATION": "europe-west1",
    "BUCKETCAST_ADMIN_TOKEN": "0123456789abcdef",
}


def test_settings_are_read_from_the_environment() -> None:
    settings = read_settings(COMPLETE)
    assert (settings.project, settings.media_bucket, settings.ingest_bucket) == ("demo", "media", "ingest")
    assert settings.admin_token == COMPLETE["BUCKETCAST_ADMIN_TOKEN"]
    assert not settings.emulated
    assert settings.recording_bucket == "recording"
    assert (settings.workflows, settings.workflows_emulator) == ("projects/demo/locations/europe-west1", "")


def test_the_local_cloud_s_workflows_have_an_address_of_their_own() -> None:
    settings = read_settings(COMPLETE | {"WORKFLOWS_EMULATOR_HOST": "127.0.0.1:8"})
    assert settings.workflows_emulator == "127.0.0.1:8"


def test_the_local_cloud_is_known_by_its_storage() -> None:
    assert read_settings(COMPLETE | {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"}).emulated


@pytest.mark.parametrize("name", COMPLETE)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    rest = {key: text for key, text in COMPLETE.items() if key != name}
    with pytest.raises(InvalidSettings, match=f"{name} is not set"):
        read_settings(rest if value is None else rest | {name: value})


def test_a_token_that_can_be_guessed_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSettings, match="shorter than 16 characters") as refused:
        read_settings(COMPLETE | {"BUCKETCAST_ADMIN_TOKEN": "0123456789abcde"})
    assert "0123456789abcde" not in str(refused.value)


@pytest.mark.parametrize(
    "token",
    [
        "0123456789abcdef\n",
        " 0123456789abcdef",
        "0123456789abcdef\t",
        "0123456789\x00abcdef",
        "0123456789abcd\xe9\xe8",
        "0123456789abcdef\u2019",
    ],
)
def test_a_token_that_no_header_carries_unaltered_is_refused_and_not_repeated(token: str) -> None:
    """A line feed at its end is how a secret is lost that was made with an editor."""
    with pytest.raises(InvalidSettings, match="printable ASCII") as refused:
        read_settings(COMPLETE | {"BUCKETCAST_ADMIN_TOKEN": token})
    assert "0123456789" not in str(refused.value)


def test_the_token_shows_in_no_representation() -> None:
    assert COMPLETE["BUCKETCAST_ADMIN_TOKEN"] not in repr(read_settings(COMPLETE))
