"""What Prometheus reads, by its own parser."""

from prometheus_client.parser import text_string_to_metric_families

from bucketcast.stream.stream_metrics import stream_metrics
from fakes import EPOCH
from stream_world import FIRST, SLOTS, A, World, uploaded


def scraped(world: World) -> dict[tuple[str, ...], float]:
    """Every sample by its name and the values of its labels."""
    found = {}
    for family in text_string_to_metric_families(world.streams.metrics()):
        assert (family.type, family.documentation != "") == ("gauge", True)
        for sample in family.samples:
            key = sample.name.removeprefix("bucketcast_"), *sample.labels.values()
            assert key not in found
            found[key] = sample.value
    return found


def test_without_streams_there_are_metrics_without_samples() -> None:
    families = list(text_string_to_metric_families(stream_metrics([], now=EPOCH)))
    assert families
    assert not any(family.samples for family in families)
    assert all(family.name.startswith("bucketcast_") for family in families)


def test_a_stream_that_never_was_on_air_has_its_state_and_no_renditions() -> None:
    samples = scraped(World())
    assert samples[("stream_state", "demo", "idle")] == 1
    assert sum(value for key, value in samples.items() if key[0] == "stream_state") == 1
    assert (samples[("stream_broadcast_number", "demo")], samples[("stream_session_number", "demo")]) == (0, 0)
    assert not [key for key in samples if key[0].startswith("rendition")]


def test_every_fault_has_its_amount_and_its_time() -> None:
    world = World()
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)])
    world.wake()
    segments = [*(uploaded(index) for index in range(3)), uploaded(3, SLOTS[:1], gaps=SLOTS[1:2])]
    world.report_later(FIRST, A, segments)
    world.wake()
    world.clock.advance(5)
    samples = scraped(world)
    assert samples[("stream_state", "demo", "live")] == 1
    assert (samples[("stream_broadcast_number", "demo")], samples[("stream_session_number", "demo")]) == (1, 1)
    assert samples[("stream_drift_seconds", "demo")] == 2
    assert samples[("stream_drift_duration_seconds", "demo")] == 5
    assert samples[("stream_reconnect_window_remaining_seconds", "demo")] == 0
    by_slot = {
        name: [samples[(f"rendition_{name}", "demo", slot)] for slot in SLOTS]
        for name in (
            "stale_seconds",
            "behind_segments",
            "behind_duration_seconds",
            "gap_segments",
            "gap_duration_seconds",
        )
    }
    assert by_slot == {
        "stale_seconds": [2, 2, 4],
        "behind_segments": [0, 0, 1],
        "behind_duration_seconds": [0, 0, 5],
        "gap_segments": [0, 1, 0],
        "gap_duration_seconds": [0, 5, 0],
    }


def test_the_reconnect_window_runs_down_to_nothing() -> None:
    world = World(reconnect_window=60)
    world.report(world.claim(A), A, [uploaded(index) for index in range(3)], ended=True)
    world.wake()
    name = ("stream_reconnect_window_remaining_seconds", "demo")
    assert scraped(world)[name] == 60
    world.clock.advance(45)
    assert scraped(world)[name] == 15
    world.clock.advance(45)
    assert scraped(world)[name] == 0
