"""The addresses of this machine that publishers may reach."""

from collections.abc import Iterable
from ipaddress import ip_address

import ifaddr


def served_addresses(host: str) -> tuple[str, ...]:
    """Return the IP addresses to bind for *host*: itself, or all of this machine's for 0.0.0.0 and ::."""
    if not ip_address(host).is_unspecified:
        return (host,)
    found = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return reachable(address if isinstance(address, str) else address[0] for address in found)


def reachable(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return those of *addresses* that another machine may reach; if there are none, those of loopback."""
    parsed = [ip_address(address) for address in dict.fromkeys(addresses)]
    remote = [address for address in parsed if not address.is_loopback and not address.is_link_local]
    return tuple(map(str, remote or [address for address in parsed if address.is_loopback]))
