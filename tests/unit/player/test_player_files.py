"""The viewer page's facts that are written more than once agree, and its files keep to its own policy."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from bucketcast.recording.names import recording_file_name, recordings_folder
from bucketcast.recording.vod import vod_folder
from bucketcast.stream import identifiers
from bucketcast.stream.identifiers import BroadcastNumber, StreamId
from ingest.vod.names import VodNames
from tools.page_elements import elements, inline_code

ROOT = Path(__file__).resolve().parents[3]
PLAYER = ROOT / "functions/player"
PAGE = (PLAYER / "index.html").read_text()
SCRIPTS = {file.name: file.read_text() for file in PLAYER.glob("*.js")}
SCRIPT = "\n".join(SCRIPTS.values())
HLS = json.loads((PLAYER / "hls.json").read_text())


ELEMENTS = elements(PAGE)


def content_security_policy() -> dict[str, list[str]]:
    [policy] = [
        element["content"] or ""
        for _, element in ELEMENTS
        if element.get("http-equiv") == "Content-Security-Policy"
    ]
    return {name: sources for name, *sources in (rule.split() for rule in policy.split(";"))}


def test_the_page_admits_scripts_from_itself_and_the_pinned_release_alone() -> None:
    cdn = f"https://cdn.jsdelivr.net/npm/hls.js@{HLS['version']}/dist/hls.min.js"
    assert content_security_policy()["script-src"] == ["'self'", cdn]
    assert cdn.replace(HLS["version"], "${version}") in SCRIPT


def test_the_policy_refuses_everything_it_does_not_name_and_nothing_inline() -> None:
    policy = content_security_policy()
    assert policy["default-src"] == ["'none'"]
    assert not any("unsafe" in source or source == "*" for sources in policy.values() for source in sources)


def test_the_page_holds_no_script_style_or_handler_inline() -> None:
    assert inline_code(PAGE) == []


@pytest.mark.parametrize("sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("])
def test_the_script_never_makes_html_of_text(sink: str) -> None:
    assert sink not in SCRIPT


def test_the_script_looks_only_for_elements_that_the_page_has() -> None:
    wanted = set(re.findall(r'byId\("([^"]+)"\)', SCRIPT))
    assert wanted
    assert wanted <= {attributes.get("id") for _, attributes in ELEMENTS}


def test_the_page_loads_every_script_that_it_has_without_waiting_for_the_one_before() -> None:
    named = [element.get("src") or element.get("href") or "" for _, element in ELEMENTS]
    assert sorted(name for name in named if name.endswith(".js")) == sorted(SCRIPTS)
    imported = set(re.findall(r'^import \{[^}]*\} from "\./([^"]+)";$', SCRIPT, re.MULTILINE))
    assert imported == SCRIPTS.keys() - {"player.js"}


def pattern(name: str) -> re.Pattern[str]:
    [text] = re.findall(rf"^const {name} = /\^(.+)\$/;$", SCRIPT, re.MULTILINE)
    return re.compile(text.replace(r"\/", "/"))


@pytest.mark.parametrize("broadcast", [1, 2, 99_999_999])
def test_page_and_bucket_agree_on_what_belongs_to_a_recording(broadcast: int) -> None:
    stream, number = StreamId("demo"), BroadcastNumber(broadcast)
    folder = recordings_folder(stream)
    for file in (1, 2, 10):
        name = recording_file_name(stream, number, file)
        assert pattern("FILE_NAME").fullmatch(name.removeprefix(folder))
    vod = VodNames(stream=stream, broadcast=number)
    assert vod.folder == vod_folder(stream, number)
    assert pattern("VOD_NAME").fullmatch(vod.multivariant_playlist.removeprefix(folder))
    assert pattern("POSTER_NAME").fullmatch(vod.poster.removeprefix(folder))
    assert pattern("STORYBOARD_NAME").fullmatch(vod.storyboard.removeprefix(folder))
    assert pattern("SPRITE_NAME").fullmatch(vod.sprite(3).removeprefix(vod.folder))


def test_page_and_bucket_agree_on_what_a_a_stream_may_be_called() -> None:
    [pattern] = re.findall(r"^const STREAM_ID = /\^(.+)\$/;$", SCRIPT, re.MULTILINE)
    assert pattern == identifiers._STREAM_ID.pattern
    [reserved] = re.findall(r"^const RESERVED_STREAM_IDS = (\[.*\]);$", SCRIPT, re.MULTILINE)
    assert set(json.loads(reserved)) == identifiers.RESERVED_STREAM_IDS


def test_the_hash_that_pages_check_is_that_of_the_file_from_npm() -> None:
    file = ROOT / ".cache/hls.js" / HLS["version"] / "hls.min.js"
    if not file.exists():
        pytest.skip("hls.js is not in .cache (scripts/get_hls_js gets it from npm)")
    digest = base64.b64encode(hashlib.sha384(file.read_bytes()).digest()).decode()
    assert HLS["integrity"] == f"sha384-{digest}"
