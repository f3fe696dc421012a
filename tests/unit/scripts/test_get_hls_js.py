"""scripts/get_hls_js lets nothing into the cache but the release that was pinned."""

import base64
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/get_hls_js"
CONTENT = b"var Hls = 1;"


def load() -> ModuleType:
    spec = importlib.util.spec_from_loader("get_hls_js", SourceFileLoader("get_hls_js", str(SCRIPT)))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


get_hls_js = load()


def integrity(content: bytes, algorithm: str) -> str:
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def packed(content: bytes, *, name: str = "package/dist/hls.min.js") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def pinned(tarball: bytes, content: bytes = CONTENT) -> object:
    return get_hls_js.PinnedPackage(
        version="1.2.3", npm_integrity=integrity(tarball, "sha512"), integrity=integrity(content, "sha384")
    )


def test_the_pinned_package_gives_its_file() -> None:
    tarball = packed(CONTENT)
    assert get_hls_js.file_in(tarball, pinned(tarball)) == CONTENT


@pytest.mark.parametrize("at", [0, 20, -1])
def test_a_package_with_one_bit_changed_is_refused(at: int) -> None:
    tarball = bytearray(packed(CONTENT))
    package = pinned(bytes(tarball))
    tarball[at] ^= 1
    with pytest.raises(get_hls_js.Refused, match="the package has sha512-"):
        get_hls_js.file_in(bytes(tarball), package)


def test_a_package_that_is_cut_short_is_refused() -> None:
    tarball = packed(CONTENT)
    with pytest.raises(get_hls_js.Refused):
        get_hls_js.file_in(tarball[:-8], pinned(tarball))


def test_a_file_that_pages_would_refuse_is_refused() -> None:
    tarball = packed(b"var Hls = 2;")
    with pytest.raises(get_hls_js.Refused, match="has sha384-"):
        get_hls_js.file_in(tarball, pinned(tarball))


@pytest.mark.parametrize("tarball", [packed(CONTENT, name="package/dist/other.js"), b"not a tarball", b""])
def test_a_package_without_the_file_is_refused(tarball: bytes) -> None:
    with pytest.raises(get_hls_js.Refused, match="holds no package/dist"):
        get_hls_js.file_in(tarball, pinned(tarball))


def test_a_file_is_present_only_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "1.2.3" / "hls.min.js"
    package = pinned(packed(CONTENT))
    assert not get_hls_js.is_present(file, package)
    get_hls_js.place(CONTENT, file)
    assert get_hls_js.is_present(file, package)
    get_hls_js.place(CONTENT[:-1], file)
    assert not get_hls_js.is_present(file, package)
    assert [entry.name for entry in file.parent.iterdir()] == ["hls.min.js"]


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A copy, so that the real cache plays no part, in a folder that is the whole PATH."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "functions/player").mkdir(parents=True)
    (tmp_path / "scripts/get_hls_js").write_bytes(SCRIPT.read_bytes())
    facts = "functions/player/hls.json"
    (tmp_path / facts).write_bytes((SCRIPT.parent.parent / facts).read_bytes())
    return tmp_path


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, folder / "scripts/get_hls_js"],
        env={**os.environ, "PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_without_npm_it_says_so_in_one_line_and_exits_3(alone: Path) -> None:
    done = run(alone)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == ["get_hls_js: npm is not installed: the page takes hls.js from its CDN"]


def test_an_npm_that_fails_is_quoted_and_not_called_missing(alone: Path) -> None:
    npm = alone / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND\nnpm error network' >&2\nexit 1\n")
    npm.chmod(0o755)
    done = run(alone)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "get_hls_js: npm pack failed: npm error code ENOTFOUND: the page takes hls.js from its CDN"
    ]


def test_an_npm_that_cannot_be_started_is_one_line_too(alone: Path) -> None:
    npm = alone / "npm"
    npm.write_text("#!/nonexistent/node\n")
    npm.chmod(0o755)
    done = run(alone)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("get_hls_js: [Errno 2] ")
