"""Counts the function codes of Modbus with dpkt, as a script of ten lines would. Run as a peer."""

import struct
import sys
from collections import Counter
from pathlib import Path

import dpkt

MODBUS, MBAP = 502, struct.Struct(">HHHBB")
codes: Counter[int] = Counter()
with Path(sys.argv[1]).open("rb") as file:
    for _, frame in dpkt.pcap.Reader(file):
        tcp = getattr(dpkt.ethernet.Ethernet(frame).data, "data", None)
        if (
            isinstance(tcp, dpkt.tcp.TCP)
            and MODBUS in {tcp.sport, tcp.dport}
            and len(tcp.data) >= MBAP.size
        ):
            codes[MBAP.unpack_from(tcp.data)[4]] += 1
sys.stdout.write(f"{codes}\n")
