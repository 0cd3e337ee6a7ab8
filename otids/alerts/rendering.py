"""An open alert put into words: one revision of the public record."""

import re
from collections.abc import Mapping
from typing import Protocol

from otids.alerts.alert import SEVERITIES, Alert, Corroboration, Party
from otids.alerts.catalogue import Entry
from otids.alerts.merging import SEVERAL, Open
from otids.alerts.wording import clean, fill, spell_count, spell_list, spell_points
from otids.traffic import EndpointName

MOST_TITLE = 200
MOST_IN_TITLE = 3
"""Points of a title; all of them are in the record."""
MOST_ALSO = 5
MOST_EXPLANATION = 2000
MOST_STEP = 600
MOST_PATH = 1000
MOST_JOINED = 1000
"""Characters of what several detectors say, one after the other."""

_IPV4 = re.compile(r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b")


class AssetNames(Protocol):
    """What is known of the devices behind endpoints; an empty text for what is not."""

    def name(self, endpoint: EndpointName) -> str:
        """Tell the name that people gave the device."""

    def mac(self, endpoint: EndpointName) -> str:
        """Tell the MAC address that the endpoint used last."""


def render(
    alert: Open, entry: Entry, assets: AssetNames, *, status: str, capture: str, sensor: str
) -> Alert:
    """Word an open alert as its current revision."""
    values = _values(alert, assets)
    points = spell_points(alert.points.seen, limit=MOST_IN_TITLE)
    title = fill(entry.many if alert.storm else entry.title, {**values, "points": points})
    explanation = fill(entry.explanation, values)
    if alert.storm:
        explanation = (
            "Many alerts of this kind were raised within a minute, so that all further ones are "
            f"told together here. {explanation}"
        )
    return Alert(
        id=alert.id,
        revision=alert.revision,
        status=status,
        kind=alert.kind,
        severity=SEVERITIES[alert.rank],
        title=clean(title, MOST_TITLE),
        explanation=clean(explanation, MOST_EXPLANATION),
        expected=_name_devices(_expected(alert), assets),
        observed=_name_devices(_observed(alert), assets),
        first_seen=alert.first_seen,
        last_seen=alert.last_seen,
        count=alert.count,
        frames=alert.frames,
        frame_count=alert.frame_count,
        capture=clean(capture, MOST_PATH),
        source=_party(alert.source, assets),
        target=_party(alert.target, assets),
        conversation=_conversation(alert),
        protocol=_protocol(alert),
        function=spell_list(alert.functions),
        points=alert.points.top(),
        members=alert.members.top(),
        detector=alert.detector,
        score=alert.score,
        attack=entry.attack,
        response={
            who: tuple(clean(fill(step, values), MOST_STEP) for step in steps)
            for who, steps in entry.response.items()
        },
        evidence=f"{alert.id}.pcapng",
        completeness=alert.completeness,
        sensor=clean(sensor),
        cause=alert.cause,
        accepts=tuple(alert.accepts),
        baseline=tuple(alert.baseline),
        incident=alert.incident,
        corroboration=tuple(
            Corroboration(
                one.detector,
                clean(kind),
                _name_devices(one.expected, assets),
                _name_devices(one.observed, assets),
            )
            for kind, one in alert.voices.items()
        ),
    )


def _values(alert: Open, assets: AssetNames) -> Mapping[str, str]:
    """Spell the fields of templates; what findings do not have in common is "several"."""
    several = alert.findings > 1
    devices = "several devices" if several else ""
    conversations = "several conversations" if several else ""
    return {
        "source": _label(alert.source, assets) or devices,
        "target": _label(alert.target, assets) or devices,
        "conversation": _conversation(alert) or conversations,
        "protocol": _protocol(alert),
        "service": _service(alert),
        "function": spell_list(alert.functions),
        "points": spell_points(alert.points.seen),
        "expected": _name_devices(_expected(alert), assets),
        "observed": _name_devices(_observed(alert), assets),
        "count": spell_count(alert.count),
        "members": spell_list(list(alert.members.seen), more=alert.members.more),
    }


def _expected(alert: Open) -> str:
    """What should have been; where several detectors say so together, what each of them says."""
    if alert.kind == SEVERAL:
        every = dict.fromkeys(one.expected for one in alert.voices.values())
        return clean("; ".join(every), MOST_JOINED)
    return alert.expected


def _observed(alert: Open) -> str:
    """What was observed: the words of the finding that speaks, and what else there is of it."""
    if alert.kind == SEVERAL:
        every = dict.fromkeys(one.observed for one in alert.voices.values())
        return clean("; ".join(every), MOST_JOINED)
    more = alert.findings - 1
    if alert.storm and more:
        return f"{alert.observed}, and {spell_count(more)} more like it"
    also = _also(alert)
    if more and also:
        listed = spell_points(also, limit=MOST_ALSO, more=alert.members.more)
        return f"{alert.observed}; also {listed}"
    return alert.observed


def _also(alert: Open) -> list[str]:
    """Members of which the finding that speaks says nothing; a point only without its value."""
    seen = alert.members.seen
    passed = {member.partition(" = ")[0] for member in seen if " = " in member}
    passed.update(alert.said)
    return [one for one in seen if one not in passed]


def _name_devices(text: str, assets: AssetNames) -> str:
    """Put the plant's own names for devices in the place of their addresses."""
    return _IPV4.sub(lambda found: clean(assets.name(EndpointName(0, found[0]))) or found[0], text)


def _conversation(alert: Open) -> str:
    return clean(str(alert.conversation)) if alert.conversation else ""


def _protocol(alert: Open) -> str:
    return clean(alert.conversation.protocol) if alert.conversation else ""


def _service(alert: Open) -> str:
    """Name what is spoken, and on which port."""
    if alert.conversation is None:
        return ""
    port = f"/{alert.conversation.port}" if alert.conversation.port else ""
    return clean(f"{alert.conversation.protocol}{port}")


def _party(endpoint: EndpointName | None, assets: AssetNames) -> Party | None:
    if endpoint is None:
        return None
    return Party(
        address=clean(endpoint.address),
        mac=clean(assets.mac(endpoint)),
        asset=clean(assets.name(endpoint)),
    )


def _label(endpoint: EndpointName | None, assets: AssetNames) -> str:
    """Name a device in a sentence; unlike in a record, its VLAN belongs to it."""
    if endpoint is None:
        return ""
    name = clean(assets.name(endpoint))
    address = clean(str(endpoint))
    return f"{name} ({address})" if name else address
