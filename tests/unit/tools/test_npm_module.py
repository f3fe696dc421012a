import base64
import hashlib
import io
import tarfile

import pytest

from tools.npm_module import NpmModule, member_of

CONTENT = b"export const answer = 42;"


def packed(name: str = "package/module.js") -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(CONTENT)
        archive.addfile(entry, io.BytesIO(CONTENT))
    return written.getvalue()


def pinned(tarball: bytes) -> NpmModule:
    digest = base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    return NpmModule(name="module", version="1.0.0", integrity=f"sha512-{digest}", member="package/module.js")


def test_the_pinned_package_gives_its_file() -> None:
    tarball = packed()
    assert member_of(tarball, pinned(tarball)) == CONTENT


def test_another_package_is_refused() -> None:
    tarball = packed()
    with pytest.raises(ValueError, match=r"module 1\.0\.0 has sha512-"):
        member_of(tarball + b"\0", pinned(tarball))


def test_a_package_without_the_file_is_refused() -> None:
    tarball = packed("package/other.js")
    with pytest.raises(ValueError, match=r"holds no package/module\.js"):
        member_of(tarball, pinned(tarball))
