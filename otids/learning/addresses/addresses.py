"""Which MAC addresses, hop counts and announcements belong to which endpoint."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec
import numpy as np

from otids.learning.ledger import UNKNOWN, Column, Ledger
from otids.traffic import EndpointName

MOST_ENDPOINTS = 65_536
MOST_BINDINGS = 131_072
MOST_MACS = 8
"""MAC addresses of one endpoint; what is beyond is not learned."""
ROUTER = 3
"""A MAC address with so many IP addresses stands for a router."""
NEVER = 2**62

# VRRP for IPv4 and IPv6 (RFC 9568, clause 7.3), HSRP 1 and 2, GLBP.
_VIRTUAL = ("00:00:5e:00:01", "00:00:5e:00:02", "00:00:0c:07:ac", "00:00:0c:9f:f", "00:07:b4")


class Binding(NamedTuple):
    """An endpoint and one of its MAC addresses."""

    vlan: int
    address: str
    mac: Annotated[int, msgspec.Meta(ge=0, lt=1 << 48)]


class AddressesState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form; both are states of ledgers."""

    endpoints: dict[str, object]
    bindings: dict[str, object]


class Addresses:
    """What was learned of endpoints, by name and by id."""

    def __init__(self) -> None:
        self.endpoints = Ledger(
            EndpointName,
            {
                # Seconds of listening at which it was first heard; declared: 0.
                "since": Column("<i8", fill=NEVER, join=np.minimum, low=0),
                "announces": Column("|u1", high=1),
                "ttls": Column("|u1", width=(32,), join=np.bitwise_or),  # a bit each
            },
            MOST_ENDPOINTS,
        )
        self._bindings = Ledger(Binding, {}, MOST_BINDINGS)
        self._macs: dict[EndpointName, list[int]] | None = None
        self._owners: dict[tuple[int, int], list[EndpointName]] | None = None

    @property
    def refused(self) -> int:
        """How often there was no room for something."""
        return self.endpoints.refused + self._bindings.refused

    # --- asking ------------------------------------------------------------------------------

    def macs(self, name: EndpointName) -> Sequence[int]:
        """Learned MAC addresses of an endpoint, ascending."""
        return self._index()[0].get(name, ())

    def owners(self, vlan: int, mac: int) -> Sequence[EndpointName]:
        """Endpoints that were learned with a MAC address, in order."""
        return self._index()[1].get((vlan, mac), ())

    def is_router(self, vlan: int, mac: int) -> bool:
        """Whether a MAC address was learned with so many addresses that it is a router's."""
        return len(self.owners(vlan, mac)) >= ROUTER

    def belongs(self, name: EndpointName, mac: int) -> bool:
        """Whether an endpoint may have a MAC address by what was learned.

        A router's virtual address is one with its siblings, and routers may stand in for each
        other.
        """
        known = self.macs(name)
        if mac in known:
            return True
        family = virtual_family(mac)
        if family and any(virtual_family(one) == family for one in known):
            return True
        return self.is_router(name.vlan, mac) and any(
            self.is_router(name.vlan, one) for one in known
        )

    def ttls(self, row: int) -> list[int]:
        """Hop limits with which the endpoint in a row was heard."""
        bits = np.unpackbits(self.endpoints["ttls"][row], bitorder="little")
        return [int(ttl) for ttl in np.flatnonzero(bits)]

    def has_ttl(self, row: int, ttl: int) -> bool:
        """Whether the endpoint in a row was heard with a hop limit."""
        return bool(self.endpoints["ttls"][row][ttl >> 3] >> (ttl & 7) & 1)

    def _index(
        self,
    ) -> tuple[dict[EndpointName, list[int]], dict[tuple[int, int], list[EndpointName]]]:
        if self._macs is None or self._owners is None:
            self._macs, self._owners = {}, {}
            for vlan, address, mac in self._bindings.names():
                name = EndpointName(vlan, address)
                self._macs.setdefault(name, []).append(mac)
                self._owners.setdefault((vlan, mac), []).append(name)
        return self._macs, self._owners

    # --- learning ----------------------------------------------------------------------------

    def add(self, name: EndpointName, second: int, since: int) -> int:
        """Find or make the row of an endpoint; `UNKNOWN` if there is no room."""
        row = self.endpoints.add(name, second)
        if row != UNKNOWN:
            earliest = self.endpoints["since"]
            earliest[row] = min(int(earliest[row]), since)
            self.endpoints["touched"][row] = second
        return row

    def bind(self, name: EndpointName, mac: int, second: int) -> None:
        """An endpoint has a MAC address."""
        binding = Binding(*name, mac)
        row = self._bindings.row(binding)
        if row == UNKNOWN:
            if len(self.macs(name)) >= MOST_MACS:
                self._bindings.refused += 1
                return
            row = self._bindings.add(binding, second)
            if row == UNKNOWN:
                return
            if self._macs is not None and self._owners is not None:
                self._macs[name] = sorted([*self._macs.get(name, ()), mac])
                owners = self._owners.get((name.vlan, mac), ())
                self._owners[name.vlan, mac] = sorted([*owners, name])
        self._bindings["touched"][row] = second

    def note_ttl(self, row: int, ttl: int) -> None:
        """The endpoint in a row was heard with a hop limit."""
        self.endpoints["ttls"][row][ttl >> 3] |= 1 << (ttl & 7)

    # --- state -------------------------------------------------------------------------------

    def state(self) -> AddressesState:
        """Everything, by name."""
        return AddressesState(self.endpoints.state(), self._bindings.state())

    @classmethod
    def of(cls, state: AddressesState) -> "Addresses":
        """Rebuild what was saved. Raises ValueError if it is damaged."""
        made = cls()
        made.endpoints.restore(state.endpoints)
        made._bindings.restore(state.bindings)
        return made

    def merge(self, other: AddressesState) -> None:
        """Add what another one learned, which must be sound."""
        self.endpoints.merge(other.endpoints)
        self._bindings.merge(other.bindings)
        self._macs = self._owners = None


@lru_cache(maxsize=65_536)
def virtual_family(mac: int) -> str:
    """Name the family of a virtual router's address (VRRP, HSRP, GLBP); empty if it is none."""
    spelled = mac.to_bytes(6, "big").hex(":")
    return next((family for family in _VIRTUAL if spelled.startswith(family)), "")
