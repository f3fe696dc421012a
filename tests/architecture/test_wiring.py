"""What is written in two places is the same in both; what has to be pure imports nothing that is not."""

import ast
from itertools import pairwise
from pathlib import Path

import pytest

from bucketcast.settings import read_settings
from bucketcast.stream.identifiers import parse_stream_id
from bucketcast.stream.stream_key import SECRET_BYTES, new_stream_key
from ingest.protocols.rtmp.limits import RtmpLimits
from local_system.system import INGEST_BUCKET, MEDIA_BUCKET, Ports, System

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
PURE_ROOMS = ("codecs", "hls", "recording", "stream")
PURE_MODULES = sorted(path for room in PURE_ROOMS for path in (FUNCTIONS / "bucketcast" / room).glob("**/*.py"))
IMPURE = {
    "asyncio",
    "cloudevents",
    "concurrent",
    "flask",
    "functions_framework",
    "google",
    "google_crc32c",
    "http",
    "logging",
    "os",
    "random",
    "requests",
    "secrets",
    "socket",
    "subprocess",
    "threading",
    "time",
    "urllib",
}
# Of our own package, what a pure module may know besides its own kind.
PURE_NEIGHBOURS = {"bucketcast.errors", "bucketcast.objects", "bucketcast.records"}


def entry_points() -> dict[str, str]:
    """The functions of main.py, with their signature types."""
    signatures = {"cloud_event": "cloudevent", "http": "http"}
    return {
        node.name: signatures[decorator.attr]
        for node in ast.parse((FUNCTIONS / "main.py").read_text()).body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Attribute)
    }


def imported_modules(path: Path) -> set[str]:
    """Every module that *path* imports, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found.add(node.module or "")
    return found


def test_every_entry_point_is_mounted_on_one_machine_and_nothing_else(tmp_path: Path) -> None:
    system = System(
        ports=Ports(web=1, rtmp=2, whip=5, metrics=3, firestore=4, workflows=6), admin_token="", logs=tmp_path
    )
    arguments = system._cloud_arguments()
    mounted = dict(value.split(":") for option, value in pairwise(arguments) if option == "--function")
    assert mounted == entry_points()
    assert {value.split("=")[0] for option, value in pairwise(arguments) if option == "--timer"} <= set(mounted)


def test_one_machine_has_every_setting_that_the_functions_read(tmp_path: Path) -> None:
    ports = Ports(web=1, rtmp=2, whip=5, metrics=3, firestore=4, workflows=6)
    system = System(ports=ports, admin_token="0" * 16, logs=tmp_path)
    settings = read_settings(system._environment())
    assert (settings.media_bucket, settings.ingest_bucket, settings.emulated) == (
        MEDIA_BUCKET,
        INGEST_BUCKET,
        True,
    )


def test_the_longest_stream_key_is_within_rtmp_s_bound() -> None:
    key = new_stream_key(parse_stream_id("s" * 63), random_bytes=bytes(SECRET_BYTES))
    assert len(key.reveal()) <= RtmpLimits().stream_key_characters


@pytest.mark.parametrize("path", PURE_MODULES, ids=lambda path: str(path.relative_to(FUNCTIONS / "bucketcast")))
def test_a_pure_module_imports_nothing_impure(path: Path) -> None:
    imported = imported_modules(path)
    assert not {module.partition(".")[0] for module in imported} & IMPURE
    ours = {module for module in imported if module.startswith("bucketcast")} - PURE_NEIGHBOURS
    assert all(module.split(".")[1] in PURE_ROOMS for module in ours)


def test_there_are_pure_modules_to_look_at() -> None:
    assert len(PURE_MODULES) > 20


@pytest.mark.parametrize("name", ["errors.py", "objects.py", "records.py"])
def test_what_the_core_knows_of_the_package_is_pure_itself(name: str) -> None:
    assert (
        not {module.partition(".")[0] for module in imported_modules(FUNCTIONS / "bucketcast" / name)} & IMPURE
    )
