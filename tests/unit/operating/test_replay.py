"""`scripts/replay` over a log on disk: what it prints, and what it says where it cannot."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bucketcast.stream.object_names import media_playlist_name
from fakes import EPOCH
from local_cloud.storage.objects import Attributes, Bucket
from local_cloud.storage.store import ExpectedChecksums, ObjectStore, Target
from operating import local_log
from operating.replay import main, parse_instant
from stream_world import FIRST, SLOTS, STREAM, A, B, World, uploaded

THREE = [uploaded(index) for index in range(3)]
Say = Callable[..., list[str]]
START = "2026-01-01 00:00:00.000Z"
EARLIEST, LATEST = datetime(2000, 1, 1), datetime(2100, 1, 1)  # noqa: DTZ001 - hypothesis adds the zone


def keep(world: World, folder: Path) -> None:
    """Write what *world* wrote to a store below *folder*, as the local cloud of `scripts/run` does."""
    times = [EPOCH]
    store = ObjectStore(folder / "cloud/storage", clock=lambda: times[0], limit_writes=False)
    with closing(store):
        for bucket in ("media", "ingest"):
            store.create_bucket(Bucket(name=bucket, time_created=EPOCH))
        logs = [*(("media", *entry) for entry in world.media.log), *(("ingest", *e) for e in world.ingest.log)]
        for bucket, time, new in sorted(logs, key=lambda entry: entry[1]):
            times[0] = time
            attributes = Attributes(content_type=new.content_type, metadata=new.metadata)
            with closing(store.draft()) as draft:
                draft.append(new.content)
                store.insert(
                    Target(bucket=bucket, name=new.name, attributes=attributes), draft, ExpectedChecksums()
                )


def on_air() -> World:
    """Three segments at once, the fourth 2 s later with a gap at the top, the fifth not at the top yet."""
    world = World()
    world.report(world.claim(A), A, THREE)
    world.wake()
    fourth = uploaded(3, SLOTS[1:], gaps=SLOTS[:1])
    world.report_later(FIRST, A, [*THREE, fourth])
    world.wake()
    world.report_later(FIRST, A, [*THREE, fourth, uploaded(4, SLOTS[1:])])
    world.wake()
    return world


@pytest.fixture
def say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """What the command prints about `on_air`, line by line."""
    keep(on_air(), tmp_path)

    def lines(*arguments: str, status: int = 0) -> list[str]:
        assert main([*arguments, "--data", str(tmp_path)]) == status
        said = capsys.readouterr()
        return (said.err if status else said.out).splitlines()

    return lines


def test_a_playlist_is_printed_as_it_was_with_its_reasons(say: Say) -> None:
    said = say("demo", "720p", "--at", "2026-01-01T00:00:04.5Z")
    timeline = "timelines/demo/00000001/a.json"
    assert said[0].startswith("demo/720p/playlist.m3u8 at 2026-01-01 00:00:04.500Z: generation ")
    assert said[0].endswith(", revision 3, written 2026-01-01 00:00:02.000Z")
    assert said[1] == "    #EXTM3U"
    reasons = said[said.index("session 1: recorded 2026-01-01 00:00:00.000Z, broadcast 1") :]
    first = f"created {START}; named by {timeline} {START}"
    later = "2026-01-01 00:00:02.000Z"
    gap = "gap reported by the encoder a, created 2026-01-01 00:00:02.000Z"
    assert reasons == [
        "session 1: recorded 2026-01-01 00:00:00.000Z, broadcast 1",
        "    numbers from 0: no session before it",
        "listed:",
        *(
            f"    {number}  demo/720p/segment_00000001_000000000{number}.ts: {first}; listed {START}"
            for number in range(3)
        ),
        f"    3  demo/720p/segment_00000001_0000000003.ts: {gap}; named by {timeline} {later}; listed {later}",
        "not listed:",
        "    session 1, segment 4 of 720p: undecided: nothing was created under its name",
        "",
    ]


def test_a_session_s_numbers_rest_on_the_seal_before_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.report(world.claim(A), A, THREE)
    world.wake()
    world.clock.advance(3)
    world.report(world.claim(B), B, [uploaded(0)])
    world.clock.advance(5)
    world.wake()
    world.report_later(FIRST, A, [*THREE, uploaded(3)])
    keep(world, tmp_path)
    assert main(["demo", "720p", "--at", "2026-01-01T00:00:08", "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().out.splitlines()
    start = said.index(f"session 1: recorded {START}, broadcast 1")
    assert said[start + 1 : start + 5] == [
        "    numbers from 0: no session before it",
        "    sealed 2026-01-01 00:00:08.000Z at segment 2",
        "session 2: recorded 2026-01-01 00:00:03.000Z, broadcast 1",
        "    numbers from 3: session 1 was sealed 2026-01-01 00:00:08.000Z",
    ]
    assert main(["demo", "720p", "--at", "2026-01-01T00:00:10", "--data", str(tmp_path)]) == 0
    late = "    session 1, segment 3 of 720p: too late: the seal of 00:00:08.000000 ends session 1 at segment 2"
    assert late in capsys.readouterr().out.splitlines()


def test_without_a_slot_all_are_explained(say: Say) -> None:
    said = say("demo", "--at=2026-01-01T00:00:04")
    assert [line.partition(" at ")[0] for line in said if ": generation " in line] == [
        media_playlist_name(STREAM, slot) for slot in SLOTS
    ]


def test_an_instant_before_the_broadcast_shows_no_playlist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.clock.advance(10)
    world.report(world.claim(A), A, [uploaded(0), uploaded(1)])
    world.wake()
    keep(world, tmp_path)
    arguments = ["demo", "480p", "--data", str(tmp_path)]
    assert main([*arguments, "--at", "2026-01-01T00:00:09"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "demo/480p/playlist.m3u8 at 2026-01-01 00:00:09.000Z: viewers found no playlist",
        "",
    ]
    assert main([*arguments, "--at", "2026-01-01T00:00:10"]) == 0
    reason = "broadcast 1 has not begun: every rendition needs three target durations, or its broadcaster left"
    assert f"    session 1, segments 0 to 1 of 480p: {reason}" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("other", "--at", "-1s"), "the log knows no stream 'other' at "),
        (("demo", "--at", "2025-12-31"), "the log knows no stream 'demo' at 2025-12-31T00:00:00+00:00"),
        (("demo", "99p", "--at", "-1s"), "the stream 'demo' has no slot 99p, but 720p, 480p, 360p"),
        (("De/mo", "--at", "-1s"), "a stream id has 1 to 63 of a-z"),
    ],
)
def test_what_the_log_does_not_know_is_one_line(say: Say, arguments: tuple[str, ...], words: str) -> None:
    (said,) = say(*arguments, status=1)
    assert said.startswith(f"replay: {words}")


def test_a_folder_without_a_log_is_one_line_and_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", "--at", "-1s", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("replay: there is no log at ")
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", ["yesterday", "-30", "-30d", "30s", "", "2026-13-01", "-99999999999999h"])
def test_an_instant_that_is_none_is_a_usage_error(at: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["demo", "--data", "x", "--at", at])
    assert ended.value.code == 2
    assert f"'{at}' is neither an ISO time nor such as -30s" in capsys.readouterr().err


@given(st.datetimes(EARLIEST, LATEST, timezones=st.just(UTC)), st.integers(-14, 14), st.integers(0, 10**6))
def test_an_iso_time_and_a_time_ago_are_instants(now: datetime, hours: int, seconds: int) -> None:
    elsewhere = now.astimezone(timezone(timedelta(hours=hours)))
    assert parse_instant(elsewhere.isoformat(), now=EPOCH) == now
    assert parse_instant(now.replace(tzinfo=None).isoformat(), now=EPOCH) == now
    assert parse_instant(f"-{seconds}s", now=now) == now - timedelta(seconds=seconds)
    assert parse_instant(f"-{seconds}.5m", now=now) == now - timedelta(minutes=seconds, seconds=30)


def test_a_long_log_is_read_from_where_it_matters_and_page_by_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of the window is the same, however little of the log before it was read."""
    world = World()
    session = world.claim(A)
    segments = list(THREE)
    world.report(session, A, segments)
    world.wake()
    for index in range(3, 30):
        segments.append(uploaded(index))
        world.report_later(session, A, segments)
        world.wake()
    keep(world, tmp_path)
    arguments = ["demo", "720p", "--at", "2026-01-01T00:00:40", "--data", str(tmp_path)]
    assert main(arguments) == 0
    whole = capsys.readouterr().out
    monkeypatch.setattr(local_log, "REACH", 14)
    monkeypatch.setattr(local_log, "ENTRIES_PER_ANSWER", 5)
    assert main(arguments) == 0
    assert capsys.readouterr().out == whole
    assert "nowhere in the log" not in whole
