import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.offer_rate import (
    MAX_ADDRESSES,
    OFFERS_AT_ONCE,
    OFFERS_PER_MINUTE,
    OfferRate,
    peer_address,
)


def test_a_burst_passes_and_then_one_a_second_does() -> None:
    rate = OfferRate()
    assert not any(rate.wait_seconds("192.0.2.1", now=0.0) for _ in range(OFFERS_AT_ONCE))
    assert rate.wait_seconds("192.0.2.1", now=0.0) == 1
    assert rate.wait_seconds("192.0.2.1", now=1.0) == 0
    assert rate.wait_seconds("192.0.2.1", now=1.0) == 1


def test_of_200_offers_in_a_minute_at_most_90_pass() -> None:
    rate = OfferRate()
    passed = sum(rate.wait_seconds("192.0.2.1", now=number * 0.3) == 0 for number in range(200))
    assert passed == pytest.approx(OFFERS_AT_ONCE + OFFERS_PER_MINUTE, abs=1)


def test_who_waits_as_told_passes() -> None:
    rate, now = OfferRate(), 0.0
    while not (wait := rate.wait_seconds("192.0.2.1", now=now)):
        pass
    assert rate.wait_seconds("192.0.2.1", now=now + wait) == 0


def test_addresses_do_not_stand_in_each_other_s_way() -> None:
    rate = OfferRate()
    while not rate.wait_seconds("192.0.2.1", now=0.0):
        pass
    assert rate.wait_seconds("192.0.2.2", now=0.0) == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8:0:0:ffff::2"), ("::ffff:192.0.2.1", "192.0.2.1"), ("unix", "unix")],
)
def test_addresses_of_one_subscriber_count_together(one: str, other: str) -> None:
    rate = OfferRate()
    while not rate.wait_seconds(one, now=0.0):
        pass
    assert rate.wait_seconds(other, now=0.0) > 0


def test_the_address_that_was_quiet_for_longest_is_forgotten() -> None:
    rate = OfferRate()
    while not rate.wait_seconds("first", now=0.0):
        pass
    for number in range(MAX_ADDRESSES - 1):
        rate.wait_seconds(f"{number}", now=0.0)
    assert rate.wait_seconds("first", now=0.0) > 0
    for number in range(MAX_ADDRESSES):
        rate.wait_seconds(f"{number}", now=0.0)
    assert rate.wait_seconds("first", now=0.0) == 0


@given(st.lists(st.floats(0, 5), max_size=300))
def test_in_any_time_no_more_pass_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    rate, now, passed = OfferRate(), 0.0, 0
    for pause in pauses:
        now += pause
        passed += rate.wait_seconds("192.0.2.1", now=now) == 0
    assert passed <= OFFERS_AT_ONCE + now * OFFERS_PER_MINUTE / 60 + 1e-6


@pytest.mark.parametrize(
    ("forwarded_for", "proxies", "expected"),
    [
        ("203.0.113.9", 0, "192.0.2.1"),
        ("203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", 1, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 198.51.100.1", 2, "203.0.113.9"),
        ("2001:DB8::9", 1, "2001:db8::9"),
        ("203.0.113.9", 2, "192.0.2.1"),
        ("unknown", 1, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
    ],
)
def test_only_what_trusted_proxies_say_is_believed(forwarded_for: str, proxies: int, expected: str) -> None:
    assert peer_address("192.0.2.1", forwarded_for, trusted_proxies=proxies) == expected
