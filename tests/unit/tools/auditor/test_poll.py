import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tools.auditor import Rule
from tools.auditor.poll import Answer, audit_answers, poll
from tools.folder_server import FolderServer, serve
from unit.tools.auditor.clean_journal import clean_world


def _clean_answers() -> list[Answer]:
    """What a player was answered that asked right after every write."""
    return [
        Answer(
            name=written.name,
            time=written.created,
            status=200,
            content_type=written.content_type,
            cache_control=written.cache_control,
            allow_origin="*",
            size=written.size,
            content=written.content,
        )
        for written in sorted(clean_world().journal, key=lambda written: written.generation)
        if written.size and not written.name.endswith("state.json")
    ]


SEGMENT, PLAYLIST = "0000000005.ts", "720p/playlist.m3u8"


@pytest.mark.parametrize(
    ("rule", "suffix", "change"),
    [
        (Rule.ANSWER, SEGMENT, lambda answer: replace(answer, status=404, content_type="text/xml")),
        (Rule.ANSWER, PLAYLIST, lambda answer: replace(answer, status=503)),
        (Rule.ANSWER, SEGMENT, lambda answer: replace(answer, size=0)),
        (Rule.ANSWER, SEGMENT, lambda answer: replace(answer, allow_origin="")),
        (Rule.CONTENT_TYPE, SEGMENT, lambda answer: replace(answer, content_type="text/plain")),
        (Rule.CACHE_CONTROL, PLAYLIST, lambda answer: replace(answer, cache_control="public, max-age=3600")),
        (Rule.SYNTAX, PLAYLIST, lambda answer: replace(answer, content=b"<html>")),
    ],
)
def test_one_bad_answer_breaks_one_rule(rule: Rule, suffix: str, change: Callable[[Answer], Answer]) -> None:
    answers = _clean_answers()
    position = [number for number, answer in enumerate(answers) if answer.name.endswith(suffix)][3]
    answers[position] = change(answers[position])
    violations = audit_answers(answers)
    assert {rule} == {violation.rule for violation in violations}
    assert {position} == {violation.generation for violation in violations}


def test_nothing_is_found_in_clean_answers() -> None:
    assert audit_answers(_clean_answers()) == []


def test_the_same_playlist_twice_is_no_news() -> None:
    answers = _clean_answers()
    again = [replace(answer, time=answer.time + timedelta(seconds=1)) for answer in answers]
    doubled = [answer for pair in zip(answers, again, strict=True) for answer in pair]
    assert audit_answers(doubled) == []


def test_a_cache_that_serves_an_older_playlist_is_noticed() -> None:
    answers = _clean_answers()
    playlists = [answer for answer in answers if answer.name.endswith(PLAYLIST)]
    stale = replace(playlists[4], time=playlists[5].time)
    answers.insert(answers.index(playlists[5]) + 1, stale)
    assert {violation.rule for violation in audit_answers(answers)} == {Rule.MEDIA_SEQUENCE}


MULTIVARIANT = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n720p/playlist.m3u8\n"


def _playlist(first: int, *, gap: bool) -> str:
    """Three segments from number *first*; the second of them may be a gap."""
    segments = "".join(
        f"{'#EXT-X-GAP' if gap and number == first + 1 else '# whole'}\n#EXTINF:0.100,\n{number}.ts\n"
        for number in range(first, first + 3)
    )
    header = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:{first}\n"
    return header + segments


@pytest.fixture
def site() -> Iterator[FolderServer]:
    with serve(FolderServer(folders={})) as site:
        yield site


def _asked_for(site: FolderServer, until: threading.Event) -> list[tuple[str, int]]:
    answers = poll(f"{site.address}/media/demo/master.m3u8", until)
    return [(answer.name.removeprefix("demo/"), answer.status) for answer in answers]


def test_a_player_fetches_what_is_new_and_comes_again_for_what_left(site: FolderServer) -> None:
    """It does not touch gaps; what left the playlist must be there until its time is up."""
    over = threading.Event()
    playlists = [_playlist(0, gap=True), _playlist(2, gap=False), _playlist(2, gap=False)]

    def next_playlist() -> str:
        if len(playlists) == 1:
            over.set()
        return playlists.pop(0)

    site.answers["/media/demo/master.m3u8"] = lambda: MULTIVARIANT
    site.answers["/media/demo/720p/playlist.m3u8"] = next_playlist
    for number in range(1, 5):
        site.answers[f"/media/demo/720p/{number}.ts"] = lambda: "media"
    answered = {"first": "media"}
    site.answers["/media/demo/720p/0.ts"] = lambda: answered.pop("first", None)

    assert _asked_for(site, over) == [
        ("master.m3u8", 200),
        ("720p/playlist.m3u8", 200),
        ("720p/0.ts", 200),
        ("720p/2.ts", 200),
        ("720p/playlist.m3u8", 200),
        ("720p/3.ts", 200),
        ("720p/4.ts", 200),
        ("720p/0.ts", 404),
        ("720p/playlist.m3u8", 200),
    ]


def test_a_player_asks_on_when_a_playlist_cannot_be_read(site: FolderServer) -> None:
    over = threading.Event()
    playlists = ["<html>", _playlist(0, gap=False)]

    def next_playlist() -> str:
        if len(playlists) == 1:
            over.set()
        return playlists.pop(0)

    site.answers["/media/demo/master.m3u8"] = lambda: MULTIVARIANT
    site.answers["/media/demo/720p/playlist.m3u8"] = next_playlist
    assert ("720p/0.ts", 404) in _asked_for(site, over)


def test_a_player_that_is_given_no_multivariant_playlist_goes_home(site: FolderServer) -> None:
    site.answers["/media/demo/master.m3u8"] = lambda: _playlist(0, gap=False)
    assert _asked_for(site, threading.Event()) == [("master.m3u8", 200)]
