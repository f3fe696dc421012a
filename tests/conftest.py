"""What holds for every test: hypothesis without a clock, and no search for credentials on the network."""

import logging
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import settings

# On a busy machine the time that one example takes says nothing. Every run takes the same examples, so that a
# failure, or a branch that nothing covers, is the change's; `--hypothesis-profile=explore` looks further.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile("same")

# google.auth looks for a metadata server where it finds no credentials, which takes seconds to fail. Set before
# anything imports it.
os.environ["NO_GCE_CHECK"] = "true"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a release be judged with broadcasts that are longer than the suite has time for."""
    parser.addoption(
        "--whip-seconds",
        type=int,
        default=10,
        metavar="N",
        help="how long viewers watch each WHIP publisher (default: 10; a release is judged with 60)",
    )


@pytest.fixture
def whip_length(request: pytest.FixtureRequest) -> timedelta:
    """How long viewers watch a WHIP publisher."""
    return timedelta(seconds=request.config.getoption("--whip-seconds"))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Undo what a program that ran in this process did to logging: other tests look at what is logged."""
    loggers = [logging.getLogger(name) for name in (None, "bucketcast", "ingest", "local_cloud")]
    before = [(logger, logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
