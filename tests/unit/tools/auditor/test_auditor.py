from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tools.auditor import MediaFacts, Rule, audit
from unit.tools.auditor.clean_journal import (
    ENDED,
    SESSIONS,
    World,
    clean_world,
    file_name,
    put_text,
    state_text,
)

Fault = Callable[[World], None]
FAULTS: list[tuple[Rule, Fault]] = []

HIGH, LOW = "720p/playlist.m3u8", "360p/playlist.m3u8"
# A generation in the middle of the first session, with a full window; and the one that has the ENDLIST.
MIDDLE, END = 8, 18


def fault(rule: Rule) -> Callable[[Fault], Fault]:
    def register(plant: Fault) -> Fault:
        FAULTS.append((rule, plant))
        return plant

    return register


@fault(Rule.SYNTAX)
def playlist_cut_off(world: World) -> None:
    world.edit(lambda w: replace(w, content=(w.content or b"")[:-1]), name=HIGH, generation=MIDDLE)


@fault(Rule.SYNTAX)
def playlist_not_in_utf_8(world: World) -> None:
    world.edit(lambda w: replace(w, content=(w.content or b"") + b"#\xff\n"), name=HIGH, generation=MIDDLE)


@fault(Rule.SYNTAX)
def playlist_without_content(world: World) -> None:
    world.edit(lambda w: replace(w, content=None), name=HIGH, generation=MIDDLE)


@fault(Rule.SYNTAX)
def segment_rounds_above_the_target_duration(world: World) -> None:
    world.edit(put_text("#EXTINF:2.000,", "#EXTINF:2.500,"), name=HIGH, generation=MIDDLE)


@fault(Rule.SYNTAX)
def multivariant_playlist_under_a_media_playlists_name(world: World) -> None:
    multivariant = world.generations("demo/master.m3u8")[0].content
    world.edit(lambda w: replace(w, content=multivariant), name=HIGH, generation=MIDDLE)


@fault(Rule.SYNTAX)
def multivariant_playlist_without_variants(world: World) -> None:
    world.write("demo/master.m3u8", SESSIONS[2].end, b"#EXTM3U\n#EXT-X-VERSION:1\n")


@fault(Rule.VERSION)
def version_higher_than_needed(world: World) -> None:
    world.edit(put_text("VERSION:3", "VERSION:7"), name=LOW, generation=MIDDLE)


@fault(Rule.VERSION)
def multivariant_version_higher_than_needed(world: World) -> None:
    world.edit(put_text("VERSION:1", "VERSION:3"), name="master.m3u8", generation=0)


@fault(Rule.PLAYLIST_TYPE)
def live_playlist_of_type_event(world: World) -> None:
    world.edit(put_text("#EXTM3U\n", "#EXTM3U\n#EXT-X-PLAYLIST-TYPE:EVENT\n"), name=LOW, generation=MIDDLE)


@fault(Rule.TARGET_DURATION)
def target_duration_changes(world: World) -> None:
    world.edit(put_text("TARGETDURATION:2", "TARGETDURATION:3"), name=HIGH, generation=MIDDLE)


@fault(Rule.TARGET_DURATION)
def target_durations_differ(world: World) -> None:
    world.edit(put_text("TARGETDURATION:2", "TARGETDURATION:3"), name=LOW)


@fault(Rule.MEDIA_SEQUENCE)
def stale_writer_wins(world: World) -> None:
    before, after = world.generations(f"demo/{HIGH}")[6:8]
    world.add(replace(after, content=before.content, created=after.created + timedelta(seconds=1)))


@fault(Rule.MEDIA_SEQUENCE)
def last_segment_vanishes(world: World) -> None:
    playlist = world.generations(f"demo/{HIGH}")[3]
    lines = (playlist.content or b"").splitlines(keepends=True)
    shorter = b"".join(lines[:-3])
    world.add(replace(playlist, content=shorter, created=playlist.created + timedelta(seconds=1)))


@fault(Rule.IDENTITY)
def address_changes(world: World) -> None:
    name = file_name(1, 6)
    world.edit(put_text(f"\n{name}", f"\n../360p/{name}"), name=HIGH, generation=MIDDLE)


@fault(Rule.NUMBERING)
def index_is_skipped(world: World) -> None:
    for index in range(8, 3, -1):
        world.rename(file_name(3, index), file_name(3, index + 1))


@fault(Rule.DISCONTINUITY)
def discontinuity_sequence_wrong_once(world: World) -> None:
    world.edit(put_text("DISCONTINUITY-SEQUENCE:0", "DISCONTINUITY-SEQUENCE:1"), name=LOW, generation=MIDDLE)


@fault(Rule.DISCONTINUITY)
def discontinuity_missing_at_a_new_session(world: World) -> None:
    world.edit(put_text("#EXT-X-DISCONTINUITY\n", ""), name="playlist.m3u8")


@fault(Rule.DISCONTINUITY)
def discontinuity_within_a_session(world: World) -> None:
    gap = "#EXT-X-DISCONTINUITY\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:12.000Z"
    world.edit(put_text("#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:12.000Z", gap), name=LOW, generation=MIDDLE)


@fault(Rule.DISCONTINUITY)
def discontinuity_sequence_not_raised_for_a_new_broadcast(world: World) -> None:
    world.edit(put_text("DISCONTINUITY-SEQUENCE:2", "DISCONTINUITY-SEQUENCE:1"), name="playlist.m3u8")


@fault(Rule.DATE)
def date_missing(world: World) -> None:
    world.edit(put_text("#EXT-X-PROGRAM-DATE-TIME:2026-11-22T18:00:12.000Z\n", ""), name="playlist.m3u8")


@fault(Rule.DATE)
def date_off_by_a_millisecond(world: World) -> None:
    for index in range(5, 10):
        late = (SESSIONS[0].date(index) + timedelta(milliseconds=1)).isoformat()
        moment = SESSIONS[0].date(index).strftime("%H:%M:%S")
        world.edit(put_text(f"{moment}.000Z", f"{moment}.001Z"), name="playlist.m3u8")
        world.edit(
            lambda w, late=late: replace(w, metadata={**w.metadata, "program-date-time": late}),  # type: ignore[misc]
            name=file_name(1, index),
        )


@fault(Rule.DATE)
def new_session_begins_in_the_past(world: World) -> None:
    for session_date in (SESSIONS[1].date(index) for index in range(8)):
        early = session_date - timedelta(seconds=30)
        old, new = (moment.strftime("T%H:%M:%S.000Z") for moment in (session_date, early))
        world.edit(put_text(old, new), name="playlist.m3u8")
        iso, early_iso = session_date.isoformat(), early.isoformat()
        world.edit(
            lambda w, iso=iso, early=early_iso: (  # type: ignore[misc]
                replace(w, metadata={**w.metadata, "program-date-time": early})
                if w.metadata.get("program-date-time") == iso
                else w
            )
        )


@fault(Rule.LIVE_WINDOW)
def window_of_five_segments(world: World) -> None:
    short = clean_world(window=timedelta(seconds=10))
    world.journal = short.journal


@fault(Rule.ENDLIST)
def ended_broadcast_goes_on(world: World) -> None:
    end = world.generations(f"demo/{LOW}")[END]
    content = (end.content or b"").replace(b"#EXT-X-ENDLIST\n", b"")
    world.add(replace(end, content=content, created=end.created + timedelta(seconds=2)))


@fault(Rule.ENDLIST)
def ended_playlist_changes(world: World) -> None:
    end = world.generations(f"demo/{LOW}")[END]
    content = (end.content or b"").replace(b"#EXTM3U\n", b"#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n")
    world.add(replace(end, content=content, created=end.created + timedelta(seconds=2)))


@fault(Rule.ALIGNMENT)
def renditions_disagree_on_dates(world: World) -> None:
    for index in range(10):
        moment = SESSIONS[0].date(index).strftime("%H:%M:%S")
        late = (SESSIONS[0].date(index) + timedelta(milliseconds=1)).isoformat()
        world.edit(put_text(f"{moment}.000Z", f"{moment}.001Z"), name=LOW)
        world.edit(
            lambda w, late=late: replace(w, metadata={**w.metadata, "program-date-time": late}),  # type: ignore[misc]
            name=f"360p/{file_name(1, index)}",
        )


@fault(Rule.SEGMENT_NAME)
def names_do_not_sort(world: World) -> None:
    world.rename("segment_00000002", "segment_00000000")


@fault(Rule.SEGMENT_NAME)
def name_without_session(world: World) -> None:
    world.edit(put_text(file_name(1, 6), "6.ts"), name=HIGH, generation=MIDDLE)


@fault(Rule.DANGLING)
def listed_before_it_was_uploaded(world: World) -> None:
    late = timedelta(seconds=5)
    world.edit(lambda w: replace(w, created=w.created + late), name=f"360p/{file_name(1, 5)}")


@fault(Rule.DANGLING)
def never_uploaded(world: World) -> None:
    name = f"demo/360p/{file_name(1, 5)}"
    world.journal = [written for written in world.journal if written.name != name]


@fault(Rule.DANGLING)
def uploaded_empty(world: World) -> None:
    world.edit(lambda w: replace(w, size=0), name=f"360p/{file_name(1, 5)}")


@fault(Rule.DANGLING)
def variant_without_playlist(world: World) -> None:
    early = timedelta(seconds=1)
    world.edit(lambda w: replace(w, created=w.created - early), name="master.m3u8", generation=0)


@fault(Rule.GAP)
def gap_without_a_gap_object(world: World) -> None:
    name = f"demo/360p/{file_name(1, 4)}"
    world.journal = [written for written in world.journal if written.name != name]


@fault(Rule.GAP)
def segment_listed_that_is_a_gap(world: World) -> None:
    world.edit(lambda w: replace(w, metadata={**w.metadata, "gap": "true"}), name=f"360p/{file_name(1, 5)}")


@fault(Rule.GAP)
def gap_listed_where_a_segment_lies(world: World) -> None:
    whole = world.generations(f"demo/720p/{file_name(1, 4)}")[0]
    world.edit(
        lambda w: replace(w, metadata=whole.metadata, size=9000, deleted=whole.deleted),
        name=f"360p/{file_name(1, 4)}",
    )


@fault(Rule.IMMUTABLE)
def segment_written_twice(world: World) -> None:
    segment = world.generations(f"demo/360p/{file_name(1, 5)}")[0]
    world.add(replace(segment, created=segment.created + timedelta(seconds=10)))


@fault(Rule.RETENTION)
def deleted_when_it_left_the_playlist(world: World) -> None:
    # Six segments later it leaves; it must stay as long as the playlist and itself last.
    left = SESSIONS[0].uploaded(6) + timedelta(seconds=1)
    world.edit(lambda w: replace(w, deleted=left + timedelta(seconds=12)), name=f"360p/{file_name(1, 0)}")


@fault(Rule.RETENTION)
def deleted_while_it_is_listed(world: World) -> None:
    later = SESSIONS[2].end + timedelta(hours=2)
    world.edit(lambda w: replace(w, deleted=later), name=f"720p/{file_name(3, 8)}")


@fault(Rule.METADATA)
def metadata_of_another_duration(world: World) -> None:
    world.edit(
        lambda w: replace(w, metadata={**w.metadata, "duration": "2.002000"}), name=f"720p/{file_name(3, 2)}"
    )


@fault(Rule.CONTENT_TYPE)
def playlist_served_as_text(world: World) -> None:
    world.edit(lambda w: replace(w, content_type="text/plain"), name=HIGH, generation=MIDDLE)


@fault(Rule.CACHE_CONTROL)
def ended_playlist_cached_for_an_hour(world: World) -> None:
    world.edit(lambda w: replace(w, cache_control="public, max-age=3600"), name=HIGH, generation=END)


@fault(Rule.WRITE_RATE)
def state_written_twice_in_a_second(world: World) -> None:
    state = world.generations("demo/state.json")[0]
    world.add(replace(state, created=state.created + timedelta(microseconds=999_999)))


@fault(Rule.BANDWIDTH)
def segment_larger_than_declared(world: World) -> None:
    world.edit(lambda w: replace(w, size=660_000), name=f"720p/{file_name(3, 2)}")


def _facts(world: World, rungs: tuple[str, ...], session: int, index: int, **changes: object) -> None:
    for rung in rungs:
        name = f"demo/{rung}/{file_name(session, index)}"
        world.media[name] = replace(world.media[name], **changes)  # type: ignore[arg-type]


@fault(Rule.CODECS)
def other_codecs(world: World) -> None:
    _facts(world, ("720p",), 3, 7, codecs=frozenset({"avc1.640028", "mp4a.40.2"}))


@fault(Rule.RESOLUTION)
def other_size(world: World) -> None:
    _facts(world, ("360p",), 3, 7, width=638)


@fault(Rule.FRAME_RATE)
def other_frame_rate(world: World) -> None:
    _facts(world, ("360p",), 3, 7, frames=50)


@fault(Rule.MEDIA_DURATION)
def pictures_last_longer(world: World) -> None:
    _facts(world, ("360p",), 1, 9, frames=18, duration=Fraction(6, 10))


@fault(Rule.MEDIA_CONTINUITY)
def timestamps_jump(world: World) -> None:
    for index in range(5, 8):
        _facts(world, ("360p",), 2, index, start=Fraction(11 + 2 * index))


@fault(Rule.MEDIA_ALIGNMENT)
def timestamps_differ_between_renditions(world: World) -> None:
    for index in [i for i in range(10) if i != 4]:
        _facts(world, ("360p",), 1, index, start=Fraction(10 + 2 * index) + Fraction(1, 30))


@fault(Rule.INDEPENDENT)
def segment_without_keyframe_at_its_start(world: World) -> None:
    _facts(world, ("360p",), 1, 5, starts_with_keyframe=False)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        state_text(version=2),
        state_text(stream="other"),
        state_text(state="paused"),
        state_text(broadcast=0),
        state_text(broadcast="1"),
        state_text(since="yesterday"),
        state_text(since="2026-11-22T18:00:02"),
        state_text(secret="x"),
    ],
)
def test_an_invalid_state_is_reported(text: bytes) -> None:
    world = clean_world()
    world.edit(lambda w: replace(w, content=text), name="state.json", generation=0)
    _expect(world, Rule.STATE)


@fault(Rule.STATE)
def state_goes_back_a_broadcast(world: World) -> None:
    text = state_text(broadcast=1, since="2026-11-22T19:00:00Z")
    world.write("demo/state.json", datetime(2026, 11, 22, 19, tzinfo=UTC), text)


@fault(Rule.STATE)
def state_is_older_than_the_one_before(world: World) -> None:
    world.write("demo/state.json", datetime(2026, 11, 22, 19, tzinfo=UTC), state_text(broadcast=2))


@fault(Rule.STATE)
def stream_is_idle_again(world: World) -> None:
    text = state_text(broadcast=2, state="idle", since="2026-11-22T19:00:00Z")
    world.write("demo/state.json", datetime(2026, 11, 22, 19, tzinfo=UTC), text)


@fault(Rule.STATE)
def ended_without_endlist(world: World) -> None:
    text = state_text(broadcast=2, state="ended", since="2026-11-22T19:00:00Z")
    world.write("demo/state.json", datetime(2026, 11, 22, 19, tzinfo=UTC), text)


@fault(Rule.STATE)
def endlist_without_ended(world: World) -> None:
    """The first broadcast alone, without its last state."""
    world.journal = [
        replace(written, deleted=None)
        for written in world.journal
        if written.created <= ENDED and not (written.name.endswith("state.json") and written.created >= ENDED)
    ]


def _expect(world: World, *rules: Rule) -> None:
    violations = audit(world.journal, world.media)
    assert set(rules) == {violation.rule for violation in violations}, "\n".join(map(str, violations[:20]))


def test_nothing_is_found_in_a_clean_journal() -> None:
    world = clean_world()
    assert audit(world.journal, world.media) == []
    assert len(world.journal) > 100


@pytest.mark.parametrize(("rule", "plant"), FAULTS, ids=[plant.__name__ for _, plant in FAULTS])
def test_one_planted_fault_breaks_one_rule(rule: Rule, plant: Fault) -> None:
    world = clean_world()
    plant(world)
    _expect(world, rule)


def test_every_rule_has_a_planted_fault() -> None:
    """ANSWER is for what a player sees; test_poll.py plants its faults."""
    assert set(Rule) - {Rule.ANSWER} == {rule for rule, _ in FAULTS}


def test_a_violation_names_rule_object_and_generation() -> None:
    world = clean_world()
    world.edit(put_text("VERSION:3", "VERSION:7"), name=LOW, generation=MIDDLE)
    (violation,) = audit(world.journal, world.media)
    written = world.generations(f"demo/{LOW}")[MIDDLE]
    assert f"VERSION demo/{LOW}#{written.generation}: it says version 7, 3 fits" == str(violation)


def test_streams_are_audited_apart_and_the_viewer_page_is_none() -> None:
    world = clean_world()
    other = [replace(w, name=w.name.replace("demo/", "other/")) for w in world.journal]
    other = [replace(w, content=w.content.replace(b'"demo"', b'"other"')) if w.content else w for w in other]
    world.write("player/index.json", SESSIONS[0].start, b"<html>")
    assert audit([*world.journal, *other], world.media) == []


def test_media_that_was_not_looked_into_is_not_judged() -> None:
    world = clean_world()
    some = {name: facts for name, facts in world.media.items() if "00000002" not in name}
    assert isinstance(next(iter(some.values())), MediaFacts)
    assert audit(world.journal, some) == []
    assert audit(world.journal) == []
