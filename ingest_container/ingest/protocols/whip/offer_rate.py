"""How often offers may come from one address, and which address that is. Pure."""

import ipaddress
from collections import OrderedDict
from typing import Final

OFFERS_PER_MINUTE: Final = 60
"""From one address, in the long run: a page that tries again every second, or a studio whose encoders all do so
every few seconds. An offer costs some milliseconds and a look into the bucket."""

OFFERS_AT_ONCE: Final = 30
"""From one address: every encoder of a venue, when its network comes back."""

MAX_ADDRESSES: Final = 4096
"""Whose offers are counted; of more, the one that was quiet for longest is forgotten."""

SUBSCRIBER_PREFIX: Final = 64
"""Of IPv6 addresses: what one subscriber has at least (RFC 6177, 2)."""


class OfferRate:
    """How many offers an address may make: a bucket of tokens for each (OFFERS_AT_ONCE, OFFERS_PER_MINUTE)."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, address: str, *, now: float) -> int:
        """Count an offer from *address* at *now*, in seconds; return 0, or how long there may be no more."""
        subscriber = _subscriber(address)
        tokens, since = self._buckets.pop(subscriber, (float(OFFERS_AT_ONCE), now))
        per_second = OFFERS_PER_MINUTE / 60
        tokens = min(float(OFFERS_AT_ONCE), tokens + (now - since) * per_second)
        allowed = tokens >= 1
        self._buckets[subscriber] = (tokens - 1 if allowed else tokens, now)
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        return 0 if allowed else max(1, round((1 - tokens) / per_second))


def _subscriber(address: str) -> str:
    """Whom *address* belongs to: many IPv6 addresses are one subscriber's."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, SUBSCRIBER_PREFIX), strict=False))


def peer_address(connected: str, forwarded_for: str, *, trusted_proxies: int) -> str:
    """The publisher's address: *connected* is whose connection it is, *forwarded_for* the X-Forwarded-For.

    Each of *trusted_proxies* added the address that it saw at the end; what comes before, anybody may have
    written.
    """
    if not trusted_proxies:
        return connected
    addresses = [each.strip() for each in forwarded_for.split(",")]
    if len(addresses) < trusted_proxies:
        return connected
    try:
        return str(ipaddress.ip_address(addresses[-trusted_proxies]))
    except ValueError:
        return connected
