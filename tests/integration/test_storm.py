"""A short storm: real handlers, uploads and clients under every fault; nothing that viewers saw is broken."""

import gc
from datetime import timedelta

import pytest

from fault_storm.__main__ import table
from fault_storm.storm import StormOptions, run_storm

# A hundred seconds of compressed time, and as long again at most until all is at rest.
MEDIA = timedelta(seconds=150)
STREAMS = 3
FACTOR = 10.0


# Google's clients leave the connections of answers that they give up to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("seed", [272])
def test_no_promise_is_broken_in_a_storm(seed: int) -> None:
    said: list[str] = []
    outcome = run_storm(StormOptions(seed=seed, media=MEDIA, streams=STREAMS, factor=FACTOR), say=said.append)
    gc.collect()  # here, where it is expected
    print(table(outcome, took=timedelta(0)))
    assert outcome.findings == (), f"seed {seed}"
    # There was something to judge, and something that could have gone wrong.
    assert outcome.volume.segments > 30
    assert outcome.volume.playlists > 30
    assert outcome.volume.listed > 30
    assert len(outcome.faults) > 3
    assert len(said) > 1
