import json
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.errors import InvalidConfiguration, InvalidInput, InvalidName
from bucketcast.stream.configuration import Preset, RecordingMode, StreamConfiguration
from bucketcast.stream.stream_request import parse_stream_request


def test_what_is_left_out_takes_the_defaults() -> None:
    request = parse_stream_request(b'{"id": "demo"}')
    assert request.stream() == "demo"
    assert request.configuration() == StreamConfiguration()


def test_kilobits_and_seconds_become_bits_and_durations() -> None:
    body = {
        "id": "demo",
        "rungs": [{"name": "720p", "video_kbps": 2800}, {"name": "360p", "video_kbps": 800}],
        "audio_kbps": 96,
        "segment_seconds": 1.5,
        "reconnect_window_seconds": 0,
        "preset": "fast",
        "pass_through": True,
    }
    configuration = parse_stream_request(json.dumps(body).encode()).configuration()
    assert [(rung.name, rung.video_bitrate) for rung in configuration.rungs] == [
        ("720p", 2_800_000),
        ("360p", 800_000),
    ]
    assert (configuration.audio_bitrate, configuration.segment_duration) == (96_000, timedelta(seconds=1.5))
    assert (configuration.reconnect_window, configuration.preset) == (timedelta(0), Preset.FAST)
    assert configuration.pass_through


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"null", "Expected `object`"),
        (b"{}", "missing required field `id`"),
        (b'{"id": 1}', r"\$.id"),
        (b'{"id": "demo", "colour": "red"}', "colour"),
        (b'{"id": "demo", "preset": 5}', r"\$.preset"),
        (b'{"id": "demo", "rungs": [{"name": "720p"}]}', "video_kbps"),
        (b'{"id": "\xff"}', "utf-8"),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_with_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(InvalidConfiguration, match=words):
        parse_stream_request(body)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rungs": []}, "1 to 8 rungs"),
        ({"rungs": [{"name": f"{900 - 2 * n}p", "video_kbps": 5000 - n} for n in range(9)]}, "1 to 8 rungs"),
        ({"rungs": [{"name": "720p", "video_kbps": 1}]}, "video bitrate"),
        ({"segment_seconds": 1e300}, "out of all bounds"),
        ({"reconnect_window_seconds": 10**30}, "out of all bounds"),
        ({"audio_kbps": 10**30}, "audio bitrate"),
        ({"recording": "sauce"}, "the recording is one of off, on, source$"),
        ({"recording": ""}, "the recording is one of off, on, source$"),
        (
            {"preset": "placebo"},
            "the preset is one of ultrafast, superfast, veryfast, faster, fast, medium$",
        ),
        ({"recording": "off", "vod": True}, "a VOD is made of a recording"),
    ],
)
def test_a_configuration_that_cannot_be_is_answered_with_its_bounds(
    fields: dict[str, object], words: str
) -> None:
    request = parse_stream_request(json.dumps({"id": "demo"} | fields).encode())
    with pytest.raises(InvalidConfiguration, match=words):
        request.configuration()


@pytest.mark.parametrize("preset", Preset)
@pytest.mark.parametrize("recording", RecordingMode)
def test_every_preset_and_way_to_record_can_be_asked_for(preset: Preset, recording: RecordingMode) -> None:
    body = {"id": "demo", "preset": preset.value, "recording": recording.value}
    configuration = parse_stream_request(json.dumps(body).encode()).configuration()
    assert (configuration.preset, configuration.recording) == (preset, recording)


def test_an_id_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidName):
        parse_stream_request(b'{"id": "Demo"}').stream()


@given(
    st.binary(max_size=64)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.sampled_from(["id", "rungs", "audio_kbps", "preset", "recording"]), inner)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_body_leads_to_anything_but_a_request_or_its_refusal(body: bytes) -> None:
    with suppress(InvalidInput):
        request = parse_stream_request(body)
        request.stream()
        request.configuration()
