from bucketcast.objects import NewObject


def test_content_shows_in_no_representation() -> None:
    """Media would fill the logs, and records hold hashes of keys."""
    new = NewObject(name="a", content=b"secret", content_type="text/plain", cache_control="no-store")
    assert "secret" not in repr(new)
    assert new.metadata == {}
