from ingest.protocols.publishing import StreamKey


def test_stream_key_is_never_shown() -> None:
    key = StreamKey("secret")
    assert "secret" not in f"{key} {key!r} {[key]}"
    assert key == StreamKey("secret")
