"""What is going on with addresses at present: MAC addresses that were not learned for them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from otids.traffic import SIGHTED, EndpointName

MOST_CLAIMS = 1_024
"""Claims that are kept in mind; then the oldest is forgotten."""
WINDOW = 60
"""Seconds within which two MAC addresses in turn are two devices, not one after the other."""
SETTLED = 10
"""Seconds without the old MAC address after which the new one has taken its place."""
AGAIN = 3_600
"""Seconds after which a change that was told is told again if it is seen anew."""

_Second = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A MAC address at an endpoint that is not known to have it."""

    endpoint: EndpointName
    mac: Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]
    first: _Second
    last: _Second
    time: _Second  # ns, of its first frame
    frame: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]  # the first, until it was told
    how: Annotated[
        int, msgspec.Meta(ge=0, lt=len(SIGHTED))
    ]  # by what it was seen first, as in sightings
    claimed: bool  # by ARP
    used: bool
    ttl: Annotated[int, msgspec.Meta(ge=0, le=255)]  # when it was used last; 0: never
    owner: _Second | None = None  # second in which the usual MAC address was heard since
    told: _Second | None = None  # second in which it was told that it has taken the place

    @property
    def settles(self) -> int | None:
        """The second in which it has taken the place, if the usual one is not heard till then."""
        return self.first + SETTLED if self.owner is None and self.told is None else None


class Claims:
    """Claims by endpoint and MAC address, in the order in which they began."""

    def __init__(self, claims: Sequence[Claim] = ()) -> None:
        self._of: dict[EndpointName, dict[int, Claim]] = {}
        self._count = 0
        for claim in claims:
            self.put(claim)

    def __iter__(self) -> Iterator[Claim]:
        """Yield all of them."""
        for claims in self._of.values():
            yield from claims.values()

    def copy(self) -> "Claims":
        """Copy them: they are few."""
        copied = Claims()
        copied._of = {name: dict(claims) for name, claims in self._of.items()}
        copied._count = self._count
        return copied

    def at(self, name: EndpointName) -> list[Claim]:
        """Claims on an endpoint."""
        return list(self._of.get(name, {}).values())

    def find(self, name: EndpointName, mac: int) -> Claim | None:
        """Find one."""
        return self._of.get(name, {}).get(mac)

    def by(self, vlan: int, mac: int) -> list[EndpointName]:
        """All endpoints that a MAC address claims."""
        return [name for name, claims in self._of.items() if name.vlan == vlan and mac in claims]

    def put(self, claim: Claim) -> None:
        """Take in a claim, or what is new of it."""
        claims = self._of.setdefault(claim.endpoint, {})
        if claim.mac not in claims:
            self._count += 1
        claims[claim.mac] = claim
        while self._count > MOST_CLAIMS:
            self.drop(next(iter(self)))

    def drop(self, claim: Claim) -> None:
        """Forget a claim."""
        claims = self._of[claim.endpoint]
        del claims[claim.mac]
        self._count -= 1
        if not claims:
            del self._of[claim.endpoint]

    def expire(self, second: int) -> None:
        """Forget those of which nothing was heard of late."""
        for claim in list(self):
            kept = WINDOW if claim.told is None else AGAIN
            if claim.settles is None and not 0 <= second - claim.last <= kept:
                self.drop(claim)

    def due(self) -> int | None:
        """The second in which the next one settles."""
        return min((due for one in self if (due := one.settles) is not None), default=None)
