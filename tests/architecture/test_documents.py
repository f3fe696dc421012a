"""What the documents say is what the code does; what is pinned is pinned once and without addresses."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bucketcast.stream.lifecycle import diagram

ROOT = Path(__file__).resolve().parents[2]
# Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = [f"/{folder}/" for folder in ("work", "root", "Users")]
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted"),
        ("registry", "npmjs"),
        ("registry", "yarnpkg"),
        ("proxy", "golang"),
        ("deb", "debian", "org"),
    )
]
INDEX_OPTIONS = ("--index-url", "--extra-index-url", "--find-links", "--trusted-host")
REQUIREMENTS = sorted(path for path in ROOT.glob("*/requirements.txt") if not path.parent.name.startswith("."))
# What only the tool that pins needs: neither deployed nor tested.
LOCKING = ROOT / "scripts/locking/requirements.txt"
_PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(?P<extras>\[[a-z0-9,_-]+\])?==(?P<version>[^\s;]+)(?P<marker>.*?)\s*\\"
)
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


@cache
def repository_texts() -> dict[str, str]:
    """Every text file of the repository, by its path."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not installed, or this is not a repository")
    texts = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file():
            try:
                texts[name] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # a picture or a font
    return texts


def pins(path: Path) -> dict[str, set[str]]:
    """The versions that the requirements file at *path* pins, by name; markers may tell several apart."""
    found: dict[str, set[str]] = {}
    for match in filter(None, map(_PIN.fullmatch, path.read_text().splitlines())):
        found.setdefault(re.sub(r"[-_.]+", "-", match["name"]), set()).add(match["version"])
    return found


def test_the_event_table_names_every_entry_point_and_no_other() -> None:
    source = (ROOT / "functions/main.py").read_text()
    entry_points = re.findall(r"^@functions_framework\.\w+\ndef (\w+)\(", source, re.MULTILINE)
    section = (ROOT / "README.md").read_text().partition("| event | entry point |")[2].partition("\n\n")[0]
    rows = [row.split("|")[2].strip() for row in section.splitlines()[2:]]
    assert rows == [f"`{name}`" for name in entry_points]


def test_the_event_table_s_handlers_are_there() -> None:
    section = (ROOT / "README.md").read_text().partition("| event | entry point |")[2].partition("\n\n")[0]
    named = re.findall(r"`(handlers/\w+\.py)`", section)
    assert named
    assert [name for name in named if not (ROOT / "functions/bucketcast" / name).is_file()] == []


def test_the_state_diagram_is_the_life_cycle_s_table() -> None:
    fences = re.findall(r"```mermaid\n(.*?)\n```", (ROOT / "ARCHITECTURE.md").read_text(), re.DOTALL)
    assert fences == [diagram()]


@pytest.mark.parametrize("document", ["README.md", "ARCHITECTURE.md", "DECISIONS.md", "CONTRIBUTING.md"])
def test_a_document_s_links_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / document).read_text())
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_no_file_names_a_registry_or_a_path_of_somebody_s_machine() -> None:
    texts = repository_texts()
    assert len(texts) > 100
    found = [
        (name, forbidden)
        for name, text in texts.items()
        for forbidden in (*MACHINE_PATHS, *REGISTRIES)
        if forbidden in text
    ]
    assert found == []


def test_there_are_requirements_to_look_at() -> None:
    assert [path.parent.name for path in REQUIREMENTS] == ["functions", "ingest_container", "scripts", "tests"]


@pytest.mark.parametrize("path", [*REQUIREMENTS, LOCKING], ids=lambda path: path.parent.name)
def test_requirements_hold_pins_with_hashes_and_nothing_else(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if not _PIN.fullmatch(line) and not _HASH.fullmatch(line)] == []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert line.endswith("\\") == following.startswith("    --hash="), f"{line} has no hash, or too many"
    assert not any(option in line for line in lines for option in (*INDEX_OPTIONS, "://"))


@pytest.mark.parametrize("path", REQUIREMENTS, ids=lambda path: path.parent.name)
def test_what_is_deployed_is_what_is_tested(path: Path) -> None:
    tested = pins(ROOT / "tests/requirements.txt")
    assert [name for name, versions in pins(path).items() if not versions <= tested.get(name, set())] == []


def test_every_script_installs_what_is_pinned_and_nothing_else() -> None:
    """One pip command, which demands a hash for everything."""
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file()] + [ROOT / ".ci/run"]
    commands = [line for path in scripts for line in path.read_text().splitlines() if "pip install" in line]
    assert len(commands) == 1
    assert "--require-hashes --no-deps" in commands[0]


@pytest.mark.parametrize("path", [*REQUIREMENTS, LOCKING], ids=lambda path: path.parent.name)
def test_what_is_asked_for_is_pinned(path: Path) -> None:
    asked = [
        re.split(r"[\[=<>~; ]", line, maxsplit=1)[0]
        for line in (path.parent / "requirements.in").read_text().splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    assert {re.sub(r"[-_.]+", "-", name.lower()) for name in asked} <= pins(path).keys()
