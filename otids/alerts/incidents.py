"""Incidents: alerts that belong together, because a device has a part in all of them."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec

from otids.alerts.merging import Open
from otids.learning.plant.memory import is_group
from otids.traffic import SECOND, EndpointName

WINDOW = 120 * SECOND
"""Nanoseconds of capture time after which a device has no more part in an incident."""
MOST_DEVICES = 4_096

IncidentsState: TypeAlias = Annotated[
    # Device, incident, when that began, and when the device last had a part in it (ns).
    list[tuple[EndpointName, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")], int, int]],
    msgspec.Meta(max_length=MOST_DEVICES),
]


class Incidents:
    """Finds the incident of each alert: it is called by the id of its first alert."""

    def __init__(self, saved: Iterable[tuple[EndpointName, str, int, int]] = ()) -> None:
        # In order of the last part that a device had.
        self._parts = {device: (began, name, last) for device, name, began, last in saved}

    def join(self, alert: Open, now: int, others: Iterable[Open]) -> None:
        """Put an alert into the incident of its devices; `others` are all that are open.

        Where it brings two incidents together, they are one from then on, and bear the name of
        the older. What is info alone begins no incident, nor does it prolong one: whoever speaks
        in passing of two devices has not tied them together.
        """
        devices = [one for one in (alert.source, alert.target) if one and not is_group(one.address)]
        found = {
            self._parts[one][:2]
            for one in devices
            if one in self._parts and self._parts[one][2] + WINDOW > now
        }
        if not alert.rank:
            if found and alert.incident == alert.id:
                alert.incident_began, alert.incident = min(found)
            return
        found.add((alert.incident_began, alert.incident))
        began, name = min(found)
        for _, gone in sorted(found - {(began, name)}):
            self._rename(gone, began, name, others)
        alert.incident_began, alert.incident = began, name
        for device in devices:
            self._parts.pop(device, None)
            self._parts[device] = (began, name, now)
        while len(self._parts) > MOST_DEVICES:
            del self._parts[next(iter(self._parts))]

    def _rename(self, gone: str, began: int, name: str, others: Iterable[Open]) -> None:
        for alert in others:
            if alert.incident == gone:
                alert.incident_began, alert.incident = began, name
                alert.changed = alert.news = True
        for device, (_, incident, last) in self._parts.items():
            if incident == gone:
                self._parts[device] = (began, name, last)

    def run_back(self, now: int) -> None:
        """Time ran back to `now`: nothing waits for what has passed already."""
        self._parts = {
            device: (began, name, min(last, now))
            for device, (began, name, last) in self._parts.items()
        }

    def state(self) -> list[tuple[EndpointName, str, int, int]]:
        """All that the next alerts depend on."""
        return [(device, name, began, last) for device, (began, name, last) in self._parts.items()]
