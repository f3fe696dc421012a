"""A package's file from npm, in the release that a test names and with its hash."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

_CACHE: Final = Path(__file__).resolve().parents[2] / ".cache" / "npm"
# A package of some megabytes on a slow line; where there is no network npm would try for longer.
_TIMEOUT_SECONDS: Final = 120
_RETRIES: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class NpmModule:
    """The *member* of the package *name* in *version*, whose tarball has npm's hash *integrity*."""

    name: str
    version: str
    integrity: str
    member: str


def get_module(module: NpmModule) -> Path:
    """Return *module*'s file, got from npm once; skip the test where npm cannot give it.

    Raises ValueError where what npm gives is not what was pinned.
    """
    digest = hashlib.sha256(module.integrity.encode()).hexdigest()[:16]
    file = _CACHE / f"{module.name.replace('/', '-')}-{module.version}-{digest}" / Path(module.member).name
    if not file.exists():
        content = member_of(_pack(module), module)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Readers see the whole file or none.
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as written:
            written.write(content)
        Path(written.name).replace(file)
    return file


def member_of(tarball: bytes, module: NpmModule) -> bytes:
    """Return *module*'s file out of *tarball*; raises ValueError unless that is the pinned one."""
    algorithm, _, expected = module.integrity.partition("-")
    actual = base64.b64encode(hashlib.new(algorithm, tarball).digest()).decode()
    if actual != expected:
        raise ValueError(f"{module.name} {module.version} has {algorithm}-{actual}, not {module.integrity}")
    with tarfile.open(fileobj=io.BytesIO(tarball), mode="r:gz") as archive:
        try:
            member = archive.extractfile(module.member)
        except KeyError:
            member = None
        if member is None:
            raise ValueError(f"{module.name} {module.version} holds no {module.member}")
        return member.read()


def _pack(module: NpmModule) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{module.name}@{module.version}", "--ignore-scripts", "--silent", *_RETRIES]
        try:
            subprocess.run(
                [*command, "--pack-destination", folder],
                cwd=folder,
                capture_output=True,
                check=True,
                timeout=_TIMEOUT_SECONDS,
            )
        except subprocess.SubprocessError:
            pytest.skip(f"{module.name} {module.version} cannot be had from npm")
        return next(Path(folder).glob("*.tgz")).read_bytes()
