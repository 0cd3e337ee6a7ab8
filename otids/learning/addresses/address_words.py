"""Says in words who has, claims, or took over an address."""

from collections.abc import Sequence

from otids.learning.addresses.claims import SETTLED, Claim
from otids.learning.addresses.vendors import spell_mac, vendor
from otids.learning.words import spell_list
from otids.traffic import SIGHTED, EndpointName

_HOW = {
    "used": "sends in the name of {}",
    "request": "asks by ARP in the name of {}",
    "reply": "answers by ARP for {}",
    "unasked": "claims {} by ARP answers that nobody asked for",
    "announcement": "announces {} by ARP as its own",
}


def spell_device(mac: int, owners: Sequence[EndpointName] = ()) -> str:
    """A device by its MAC address, its maker, and what else is known of it."""
    made = vendor(mac)
    spelled = f"{spell_mac(mac)} ({made})" if made else spell_mac(mac)
    if not owners:
        return f"MAC {spelled}, which no known device has,"
    if len(owners) == 1:
        return f"MAC {spelled}, which is that of {owners[0]},"
    return (
        f"MAC {spelled}, which has {len(owners)} other addresses ({spell_list(map(str, owners))}),"
    )


def spell_owner(name: EndpointName, macs: Sequence[int]) -> str:
    """Which MAC addresses an endpoint was learned with."""
    spelled = [f"{spell_mac(mac)}{f' ({made})' if (made := vendor(mac)) else ''}" for mac in macs]
    noun = "MAC address" if len(spelled) == 1 else "MAC addresses"
    return f"{name} has the {noun} {spell_list(spelled)}"


def spell_contest(
    claim: Claim,
    owners: Sequence[EndpointName],
    ttls: Sequence[int],
    others: Sequence[EndpointName],
) -> str:
    """Somebody stands in for an endpoint that is still there. `ttls` are the endpoint's own."""
    said = f"{spell_device(claim.mac, owners)} {_spell_how(claim)}"
    if claim.used and SIGHTED[claim.how] != "used":
        said += " and sends in its name"
    elif claim.claimed and SIGHTED[claim.how] == "used":
        said += " and claims it by ARP"
    said += f", while the real {claim.endpoint} is still there"
    near = [ttl for ttl in ttls if 0 < ttl - claim.ttl <= 2]  # noqa: PLR2004
    if claim.used and near:
        said += f"; its frames arrive with TTL {claim.ttl} instead of {near[0]}: it passes them on"
    if others:
        said += f"; it stands in for {spell_list(map(str, others))} too"
    return said


def spell_move(claim: Claim, owners: Sequence[EndpointName]) -> str:
    """A MAC address took the place of an endpoint's own."""
    did = f"has the address {claim.endpoint} now" if claim.used else _spell_how(claim)
    since = f"for {SETTLED} s nothing came from its own any more"
    return f"{spell_device(claim.mac, owners)} {did}; {since}"


def _spell_how(claim: Claim) -> str:
    return _HOW[SIGHTED[claim.how]].format(claim.endpoint)


def spell_hops(name: EndpointName, ttl: int, usual: Sequence[int]) -> str:
    """An endpoint's frames arrive with another TTL."""
    nearest = min(usual, key=lambda one: abs(one - ttl))
    hops = nearest - ttl
    said = f"frames of {name} arrive with TTL {ttl}"
    if 0 < hops <= 8:  # noqa: PLR2004
        return f"{said}: they pass {hops} more router{'s' if hops > 1 else ''} than before"
    if -8 <= hops < 0:  # noqa: PLR2004
        return f"{said}: they pass {-hops} router{'s' if hops < -1 else ''} less than before"
    return f"{said}: another system, or another program, sends in its name"


def whose(vlan: int, mac: int, owners: Sequence[EndpointName]) -> EndpointName:
    """Who a MAC address is: the one endpoint that has it, else the MAC address itself."""
    return owners[0] if len(owners) == 1 else EndpointName(vlan, spell_mac(mac))
