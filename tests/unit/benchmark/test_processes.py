"""What processes take is read from /proc."""

import os
import subprocess
import sys

from benchmark.processes import children_cpu_seconds, open_descriptors


def test_children_that_have_ended_are_still_counted() -> None:
    """A bug: where an encoder took another's place, the time that encoding took went down."""
    before = children_cpu_seconds(os.getpid())
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True)
    assert children_cpu_seconds(os.getpid()) >= before + 0.1


def test_a_pipe_is_two_descriptors() -> None:
    before = open_descriptors(os.getpid())
    ends = os.pipe()
    assert open_descriptors(os.getpid()) == before + 2
    for end in ends:
        os.close(end)
    assert open_descriptors(os.getpid()) == before
