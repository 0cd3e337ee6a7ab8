"""What is known of a device, and its public record."""

import ipaddress
from dataclasses import dataclass
from typing import Any

from otids.alerts.alert import rfc3339
from otids.traffic import EndpointName


@dataclass(frozen=True, slots=True)
class Mac:
    """A MAC address that an endpoint used, or that ARP said it has (`told`). Times in ns."""

    address: str
    vendor: str  # empty where the address is made up by its owner, or its prefix is not registered
    told: bool
    first_seen: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class Fact:
    """What a device said of itself, and where that was heard last."""

    key: str
    value: str
    heard_at: int  # ns
    frame: int


@dataclass(frozen=True, slots=True)
class Asset:
    """A device as one of its endpoints shows it. Times in ns.

    Several endpoints are not put together into one device by their MAC address, because a
    router's stands for everything behind it; `note` says how many share it.
    """

    endpoint: EndpointName
    name: str
    role: str
    zone: str
    labels: tuple[tuple[str, str], ...]  # further columns of the user's list
    macs: tuple[Mac, ...]  # the one used last first
    first_seen: int
    last_seen: int
    roles: tuple[str, ...]
    facts: tuple[Fact, ...]
    note: str

    def record(self) -> dict[str, Any]:
        """The public JSON record, in stable key order."""
        return {
            "address": self.endpoint.address,
            "vlan": self.endpoint.vlan,
            "name": self.name,
            "role": self.role,
            "zone": self.zone,
            "labels": dict(self.labels),
            "macs": [
                {
                    "address": mac.address,
                    "vendor": mac.vendor,
                    "told": mac.told,
                    "first_seen": rfc3339(mac.first_seen),
                    "last_seen": rfc3339(mac.last_seen),
                }
                for mac in self.macs
            ],
            "first_seen": rfc3339(self.first_seen),
            "last_seen": rfc3339(self.last_seen),
            "roles": list(self.roles),
            "facts": [
                {
                    "key": fact.key,
                    "value": fact.value,
                    "heard_at": rfc3339(fact.heard_at),
                    "frame": fact.frame,
                }
                for fact in self.facts
            ],
            "note": self.note,
        }


def numeric_order(endpoint: EndpointName) -> tuple[int, int, int, str]:
    """Sort key: IPv4 by number, then IPv6, then MAC addresses; then the VLAN."""
    try:
        ip = ipaddress.ip_address(endpoint.address)
    except ValueError:
        return 7, 0, endpoint.vlan, endpoint.address
    return ip.version, int(ip), endpoint.vlan, ""
