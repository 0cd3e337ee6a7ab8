"""Hosts and points of the feeders."""

from __future__ import annotations

from plant.devices import Host

PORT = 20000

CENTRE = Host("centre", "10.20.5.10", "00:0c:29:5d:35:10")
FEEDER_1 = Host("feeder1", "10.20.6.11", "00:30:a7:06:11:0b")
FEEDER_2 = Host("feeder2", "10.20.6.12", "00:30:a7:06:11:0c")
ROGUE = Host("rogue", "10.20.5.66", "b8:27:eb:5d:c5:66")

MASTER = 1
"""The link address of the control centre."""
FEEDERS = {FEEDER_1.name: (FEEDER_1, 10), FEEDER_2.name: (FEEDER_2, 11)}
"""Each feeder and its link address."""

BREAKERS = (0, 1, 2)
"""Binary outputs, shown by the binary inputs of the same index."""
SET_POINT = 0
"""An analog output."""
MEASURED = {0: (1104, 3), 1: (212, 15), 2: (385, 20), 3: (5000, 2)}
"""Middle and span of each analog input: 0.1 kV, A, 0.1 MW, 0.01 Hz."""
COUNTERS = (0, 1)
