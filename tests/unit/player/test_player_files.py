"""The viewer page's facts that are written more than once agree, and its files keep to its own policy."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from bucketcast.stream import identifiers
from tools.page_elements import elements, inline_code

ROOT = Path(__file__).resolve().parents[3]
PLAYER = ROOT / "functions/player"
PAGE = (PLAYER / "index.html").read_text()
SCRIPT = (PLAYER / "player.js").read_text()
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


def test_page_and_bucket_agree_on_what_a_stream_may_be_called() -> None:
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
