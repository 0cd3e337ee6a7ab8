"""Counts the function codes of Modbus with PyShark. Run as a peer: CAPTURE [ek]."""

import sys
from collections import Counter

import pyshark

is_ek = sys.argv[2:] == ["ek"]
codes: Counter[str] = Counter()
with pyshark.FileCapture(sys.argv[1], keep_packets=False, use_ek=is_ek) as capture:
    for packet in capture:
        if "modbus" in packet:
            field = packet.modbus.func.code if is_ek else packet.modbus.func_code
            codes[str(field)] += 1
sys.stdout.write(f"{codes}\n")
