"""Work that one client takes over from another: a standby, a second historian, a new address.

The client that does more than ever is explained if another of the same service is silent, or half
so, and both together stay within the limits of both.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from otids.learning.models import normal
from otids.learning.models.features import AMOUNTS, FEATURES
from otids.learning.models.watch import Closing, Excess, Watch


class Takeovers:
    """Looks for whom a conversation could have taken over from, in one window."""

    def __init__(self, watch: Watch, closing: Closing) -> None:
        self._watch = watch
        self._closing = closing
        self._places = {row: place for place, row in enumerate(closing.rows.tolist())}
        self._clients: dict[Any, list[int]] = {}  # rows by service
        if watch.over == "conversations":
            for name in watch.ledger.names():
                self._clients.setdefault(name[1:], []).append(watch.ledger.row(name))

    def explain(self, excess: Excess, features: Sequence[int]) -> bool:
        """Whether what is too much of `features` is work that another client left."""
        ledger = self._watch.ledger
        amounts = [one for one in features if AMOUNTS[one]]
        ratios = [one for one in features if not AMOUNTS[one]]
        for other in self._clients.get(ledger.name(excess.row)[1:], ()):
            if other == excess.row or not ledger["normal"][other]:
                continue
            limits = normal.limits(ledger, np.array([other]))[0]
            said = self._measured(other)
            together = excess.measured + said
            if (
                (together[amounts] <= (excess.limits + limits)[amounts]).all()
                and (said[amounts] <= ledger["mean"][other][amounts] / 2).all()
                and (excess.measured[ratios] <= limits[ratios]).all()
                and ledger["mean"][other][amounts].any()
            ):
                return True
        return False

    def _measured(self, row: int) -> Any:
        place = self._places.get(row)
        return np.zeros(len(FEATURES)) if place is None else self._closing.measured[place]
