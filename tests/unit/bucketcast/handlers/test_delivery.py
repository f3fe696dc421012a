"""What becomes of an event whose handler failed."""

import logging

import pytest

from bucketcast.errors import InvalidEvent, Unavailable
from bucketcast.handlers.delivery import acknowledging_permanent_errors


def test_what_may_pass_is_raised_so_that_the_event_comes_again() -> None:
    with pytest.raises(Unavailable), acknowledging_permanent_errors():
        raise Unavailable("later")


def test_what_cannot_change_is_logged_and_done_with(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), acknowledging_permanent_errors():
        raise InvalidEvent("never")
    assert "dropped" in caplog.text


def test_what_nobody_expected_is_raised() -> None:
    with pytest.raises(ZeroDivisionError), acknowledging_permanent_errors():
        raise ZeroDivisionError
