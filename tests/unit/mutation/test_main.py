import pytest

pytest.importorskip("cosmic_ray", reason="cosmic-ray is not installed: scripts/setup mutation")

from pathlib import Path

from mutation.__main__ import MODULES, QUICK, SOURCES, THOROUGH, own_first

ROOT = Path(__file__).resolve().parents[3]


def test_the_tests_of_a_module_come_first_and_the_others_as_they_were() -> None:
    tests = ("a/test_window.py", "a/test_claim.py", "b/test_claim.py", "a/test_live_claim.py")
    assert own_first(tests, "claim") == [tests[1], tests[2], tests[0], tests[3]]


def test_what_is_named_is_there() -> None:
    assert all((ROOT / test).exists() for test in (*QUICK, *THOROUGH))
    assert all((ROOT / SOURCES / f"{module}.py").exists() for module in MODULES)
