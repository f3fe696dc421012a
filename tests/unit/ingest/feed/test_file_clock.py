from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feed.file_clock import LEAD, MAX_DURATION, UnwritableFrame, file_time

ORIGIN = timedelta(hours=3)


@given(st.timedeltas(min_value=-LEAD, max_value=MAX_DURATION - LEAD))
def test_times_within_the_session_are_never_negative_and_keep_their_distances(since: timedelta) -> None:
    time = file_time(ORIGIN + since, origin=ORIGIN)
    assert time == since + LEAD
    assert timedelta(0) <= time <= MAX_DURATION


@pytest.mark.parametrize("since", [-LEAD - timedelta.resolution, MAX_DURATION - LEAD + timedelta.resolution])
def test_times_from_long_before_and_weeks_after_have_no_place(since: timedelta) -> None:
    with pytest.raises(UnwritableFrame, match="not within"):
        file_time(ORIGIN + since, origin=ORIGIN)
