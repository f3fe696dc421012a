"""scripts/run before there is a system: what it says on its way."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/run"


@pytest.mark.parametrize("status", [1, 3])
def test_why_hls_js_is_not_there_is_said_in_the_words_of_who_knows(tmp_path: Path, status: int) -> None:
    """It used to say that npm was missing, whatever the reason."""
    reason = f"get_hls_js: reason {status}"
    for name, content in {
        "scripts/run": SCRIPT.read_text(),
        "scripts/setup": "#!/bin/sh\n",
        "scripts/get_hls_js": f"#!/bin/sh\necho path; echo '{reason}' >&2; exit {status}\n",
        ".venv/bin/python": '#!/bin/sh\necho "$@"\n',
    }.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755)
    done = subprocess.run([tmp_path / "scripts/run", "--x"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "-m local_system --x\n", f"{reason}\n")
