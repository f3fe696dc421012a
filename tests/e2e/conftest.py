"""What end-to-end tests share: the whole system on free ports, and hls.js."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from local_system.system import ROOT, System, free_ports


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """The local cloud with the functions, and the ingest, as `scripts/run` starts them."""
    with System(ports=free_ports(), admin_token="a token for tests", logs=tmp_path / "logs") as running:
        yield running
    for name in ("cloud", "ingest"):  # pytest shows it where a test failed
        print(f"--- {name}\n{running.log(name)}")


@pytest.fixture
def hls_js() -> None:
    """Skip where the viewer page would have to take hls.js from its CDN."""
    if not list((ROOT / ".cache/hls.js").glob("*/hls.min.js")):
        pytest.skip("hls.js is not there: npm is not installed")


@pytest.fixture(scope="session")
def ffmpeg() -> Path:
    """The packaged FFmpeg."""
    return Path(get_ffmpeg_exe())
