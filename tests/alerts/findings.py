"""Findings and names of assets for tests."""

from otids.detectors.base import Cause, Finding
from otids.traffic import SECOND, ConversationName, EndpointName

START = 1_700_000_000 * SECOND
ROGUE = EndpointName(0, "10.0.0.66")
PLC = EndpointName(0, "10.0.0.5")


class Names:
    """An inventory that knows PLC-5."""

    def name(self, endpoint: EndpointName) -> str:
        """Tell the name of PLC-5."""
        return "PLC-5" if endpoint == PLC else ""

    def mac(self, endpoint: EndpointName) -> str:
        """Tell the MAC address of PLC-5."""
        return "00:80:f4:00:00:05" if endpoint == PLC else ""

    def is_controller(self, endpoint: EndpointName) -> bool | None:
        """Tell that PLC-5 is a controller, and know nothing of others."""
        return True if endpoint == PLC else None


def write_finding(cause: Cause = ("a",), at: int = START, **changes: object) -> Finding:
    """Say that a rogue client writes a coil of PLC-5, but for `changes`."""
    fields: dict[str, object] = {
        "kind": "novelty.write-from-new-client",
        "cause": cause,
        "first_seen": at,
        "last_seen": at,
        "frames": (7,),
        "frame_count": 1,
        "count": 1,
        "detector": "novelty",
        "expected": "writes by 10.0.0.1 only",
        "observed": "write single coil",
        "score": 0.9,
        "source": ROGUE,
        "target": PLC,
        "conversation": ConversationName(ROGUE, PLC, "modbus", "tcp", 502),
        "function": "write single coil",
        "points": ("coil 3 of unit 1",),
    }
    return Finding(**(fields | changes))  # type: ignore[arg-type]
