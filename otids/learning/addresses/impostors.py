"""Looks at who shows up at which address: owners, impostors, and those who come instead."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from msgspec.structs import replace

from otids.learning.addresses.addresses import Addresses
from otids.learning.addresses.claims import WINDOW, Claim, Claims
from otids.learning.listening import Listening
from otids.traffic import SIGHTED, EndpointName, Tick

LINK_LOCAL = (1, 255)
"""TTLs that protocols within one network are sent with; they say nothing of hops."""

_USED, _ANNOUNCEMENT = SIGHTED.index("used"), SIGHTED.index("announcement")

MayHave: TypeAlias = Callable[[EndpointName, int], bool]


@dataclass(slots=True)
class Seen:
    """What the sightings of a tick come to; places are rows of sightings."""

    claims: Claims  # as they are after the tick
    contested: dict[tuple[EndpointName, int], list[int]] = field(default_factory=dict)
    # Of those that were not contested before: the frame in which they began.
    begun: dict[tuple[EndpointName, int], int] = field(default_factory=dict)
    settled: list[Claim] = field(default_factory=list)
    announced: dict[EndpointName, list[int]] = field(default_factory=dict)
    hops: dict[tuple[EndpointName, int], list[int]] = field(default_factory=dict)
    rows: dict[EndpointName, int] = field(default_factory=dict)  # in the ledger of endpoints


def look(
    tick: Tick, addresses: Addresses, listening: Listening, claims: Claims, may_have: MayHave
) -> Seen:
    """Compare the sightings of a tick with what was learned; changes neither that nor `claims`."""
    seen = Seen(claims.copy())
    seen.claims.expire(tick.second)
    sightings, ledger = tick.tables.sightings, addresses.endpoints
    if len(sightings):
        ledger.follow(tick.names, tick.names.endpoints.size)
        known = ledger.find(sightings.endpoint, tick.names.endpoint)
        for place in np.flatnonzero((known >= 0) & (sightings.mac != 0)).tolist():
            row = int(known[place])
            if not listening.is_ready(int(ledger["since"][row])):
                continue
            name = ledger.name(row)
            seen.rows[name] = row
            if may_have(name, int(sightings.mac[place])):
                _take_owner(tick, seen, addresses, name, place)
            else:
                _take_claim(tick, seen, name, place)
    for claim in list(seen.claims):
        if claim.settles is not None and claim.settles <= tick.second:
            seen.settled.append(claim)
            seen.claims.put(replace(claim, told=tick.second))
    return seen


def _take_owner(
    tick: Tick, seen: Seen, addresses: Addresses, name: EndpointName, place: int
) -> None:
    """The owner of an address is heard: whoever claims it at the same time is an impostor."""
    for claim in seen.claims.at(name):
        if not 0 <= tick.second - claim.last <= WINDOW:
            seen.claims.drop(claim)
            continue
        if claim.owner is None:
            seen.begun[name, claim.mac] = claim.frame
        seen.claims.put(replace(claim, owner=tick.second, frame=0))
        seen.contested.setdefault((name, claim.mac), []).append(place)
    sightings, row = tick.tables.sightings, seen.rows[name]
    how, ttl = int(sightings.arp[place]), int(sightings.ttl[place])
    if how == _ANNOUNCEMENT and not addresses.endpoints["announces"][row]:
        seen.announced.setdefault(name, []).append(place)
    if how == _USED and ttl and ttl not in LINK_LOCAL and not addresses.has_ttl(row, ttl):
        seen.hops.setdefault((name, ttl), []).append(place)


def _take_claim(tick: Tick, seen: Seen, name: EndpointName, place: int) -> None:
    """A MAC address that an endpoint was not learned to have shows up at it."""
    sightings, second = tick.tables.sightings, tick.second
    mac, how = int(sightings.mac[place]), int(sightings.arp[place])
    is_used, ttl = how == _USED, int(sightings.ttl[place])
    claim = seen.claims.find(name, mac)
    if claim is None:
        claim = Claim(
            endpoint=name,
            mac=mac,
            first=second,
            last=second,
            time=int(sightings.time[place]),
            frame=int(sightings.frame[place]),
            how=how,
            claimed=not is_used,
            used=is_used,
            ttl=ttl,
        )
    else:
        claim = replace(
            claim,
            # Once it was told, that is what counts until it is told again.
            last=second if claim.told is None else claim.last,
            claimed=claim.claimed or not is_used,
            used=claim.used or is_used,
            ttl=ttl or claim.ttl,
        )
        if claim.owner is not None and 0 <= second - claim.owner <= WINDOW:
            claim = replace(claim, last=second)
            seen.contested.setdefault((name, mac), []).append(place)
    seen.claims.put(claim)
