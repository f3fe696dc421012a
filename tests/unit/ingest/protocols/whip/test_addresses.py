"""What publishers are told to send media to."""

from ipaddress import ip_address

import pytest

from ingest.protocols.whip.addresses import reachable, served_addresses


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "192.0.2.1"])
def test_a_host_that_was_chosen_is_all_there_is(host: str) -> None:
    assert served_addresses(host) == (host,)


def test_any_host_is_every_address_that_can_be_bound() -> None:
    found = served_addresses("0.0.0.0")
    assert found
    assert not any(ip_address(address).is_unspecified for address in found)


def test_loopback_and_link_local_addresses_are_no_use_to_others() -> None:
    assert reachable(["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1", "fe80::1", "192.0.2.1"]) == (
        "192.0.2.1",
        "2001:db8::1",
    )


def test_a_machine_without_a_network_serves_itself() -> None:
    assert reachable(["127.0.0.1", "::1"]) == ("127.0.0.1", "::1")
