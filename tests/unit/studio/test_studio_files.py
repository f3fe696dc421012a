"""The broadcaster page's facts that are written more than once agree, and its files keep to its policy."""

import re
from pathlib import Path

import pytest
from msgspec.structs import fields

from bucketcast.stream import identifiers
from bucketcast.stream.configuration import MAX_RECONNECT_WINDOW, StreamConfiguration
from bucketcast.stream.encoder_report import InputFault
from ingest.protocols.whip import declared_source, endpoint
from ingest.protocols.whip.limits import WhipLimits
from tools.page_elements import elements, inline_code

ROOT = Path(__file__).resolve().parents[3]
STUDIO = ROOT / "ingest_container/ingest/studio"
PAGE = (STUDIO / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in sorted(STUDIO.glob("*.js"))}
EVERY_SCRIPT = pytest.mark.parametrize("name", SCRIPTS)


ELEMENTS = elements(PAGE)
IDS = [attributes["id"] for _, attributes in ELEMENTS if "id" in attributes]


def constant(script: str, name: str) -> float:
    [text] = re.findall(rf"^(?:export )?const {name} = ([\d_]+);", SCRIPTS[script], re.MULTILINE)
    return int(text)


def entries(script: str, name: str) -> set[str]:
    """The keys of the object that *name* is in *script*."""
    [body] = re.findall(rf"^const {name} = {{(.*?)^}};", SCRIPTS[script], re.MULTILINE | re.DOTALL)
    return set(re.findall(r'^  "?([a-z-]+)"?: ', body, re.MULTILINE))


def test_the_page_holds_no_script_style_or_handler_inline() -> None:
    assert inline_code(PAGE) == []


@EVERY_SCRIPT
@pytest.mark.parametrize(
    "sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "console."]
)
def test_no_script_makes_html_of_text_or_speaks_to_the_console(name: str, sink: str) -> None:
    assert sink not in SCRIPTS[name]


def test_the_scripts_look_only_for_elements_that_the_page_has() -> None:
    wanted = set(re.findall(r'\b(?:byId|on|chooses)\("([^"]+)"', SCRIPTS["studio.js"]))
    assert wanted
    assert wanted <= set(IDS)
    assert len(IDS) == len(set(IDS))


@EVERY_SCRIPT
def test_every_import_names_a_module_that_is_there(name: str) -> None:
    for imported in re.findall(r'from "\./([^"]+)"', SCRIPTS[name]):
        assert imported in SCRIPTS


def test_each_fault_of_the_input_has_words() -> None:
    assert entries("words.js", "FAULTS") == {fault.value for fault in InputFault}


def test_each_problem_has_words() -> None:
    named = set(re.findall(r'kind: "([a-z-]+)"', SCRIPTS["lifecycle.js"]))
    named |= set(re.findall(r'return .*?"([a-z-]+)";', SCRIPTS["capture.js"]))
    named |= set(re.findall(r'"([a-z-]+)"', SCRIPTS["lifecycle.js"].split("problemOf")[1].split("}")[0]))
    assert {"udp-blocked", "device-busy", "key-wrong"} <= named
    assert named <= entries("words.js", "PROBLEMS")


def test_the_page_knows_the_reconnect_window_of_a_stream() -> None:
    [field] = [each for each in fields(StreamConfiguration) if each.name == "reconnect_window"]
    assert constant("lifecycle.js", "RECONNECT_WINDOW_MS") == field.default.total_seconds() * 1000
    longest = MAX_RECONNECT_WINDOW
    assert constant("lifecycle.js", "PATIENCE_MS") == longest.total_seconds() * 1000


def test_the_page_waits_for_its_own_past_for_as_long_as_the_server_keeps_it() -> None:
    lease_seconds = 3
    kept = WhipLimits().idle_media_seconds + lease_seconds
    assert constant("lifecycle.js", "HOLDER_MS") > kept * 1000
    assert constant("whip.js", "CONNECT_MS") < WhipLimits().connect_seconds * 1000


def test_page_and_server_agree_on_what_a_stream_may_be_called() -> None:
    [pattern] = re.findall(r"^const STREAM_OF_KEY = /\^\((.+)\)_\./;$", SCRIPTS["choices.js"], re.MULTILINE)
    assert pattern == identifiers._STREAM_ID.pattern


def test_the_bitrates_to_choose_from_are_the_servers_too() -> None:
    [(least, most)] = re.findall(r"BITRATE = { least: (\d+), most: (\d+) }", SCRIPTS["choices.js"])
    assert int(least) * 1000 >= declared_source.MIN_BITRATE
    assert int(most) * 1000 == endpoint.DEFAULT_MAX_BITRATE
    [field] = [attributes for _, attributes in ELEMENTS if attributes.get("id") == "bitrate"]
    assert (field["min"], field["max"]) == (least, most)


def palettes() -> list[dict[str, str]]:
    """The colours of both pages by day and by night."""
    style = (ROOT / "functions/player/page.css").read_text()
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", style)
    return [{name: colours[at] for name, *colours in pairs} for at in (0, 1)]


def luminance(colour: str) -> float:
    """Web Content Accessibility Guidelines 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("palette", palettes(), ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper", "least"),
    [
        *((ink, paper, 4.5) for ink in ("ink", "soft", "accent", "live") for paper in ("paper", "card")),
        ("ink", "warn-paper", 4.5),
        ("ink", "error-paper", 4.5),
        ("ink", "hover", 4.5),
        ("warn", "paper", 4.5),
        ("on-live", "live", 4.5),
        ("edge", "card", 3.0),
    ],
)
def test_words_and_fields_stand_out_from_what_they_are_on(
    palette: dict[str, str], ink: str, paper: str, least: float
) -> None:
    """Web Content Accessibility Guidelines 2.2, 1.4.3 and 1.4.11, level AA."""
    lighter, darker = sorted((luminance(palette[ink]), luminance(palette[paper])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= least
