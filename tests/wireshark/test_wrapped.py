"""Wireshark finds the same Modbus in wrapped frames as otids does, and in each as many as plain."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hotpath.frames import pcap
from wireshark import agreement
from wireshark.agreement import ours, theirs
from wireshark.tshark import TSHARK, tshark_version
from wrapping import WRAPS, gre_of_ip, read_frames, wrap_all

FRAMES = 1_500


@pytest.fixture(scope="module", autouse=True)
def tshark() -> None:
    """Skip where there is no tshark."""
    if tshark_version() is None:
        pytest.skip(f"{TSHARK} is not installed: nothing is compared with Wireshark")


@pytest.mark.parametrize("name", [*WRAPS, gre_of_ip.__name__])
def test_both_find_the_same_in_wrapped_frames(
    captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # The EtherType of TTag is another's by right, and Wireshark must be told what is meant.
    decode_as = (*agreement.DECODE_AS, "ethertype==0x8988,ttag")
    monkeypatch.setattr(agreement, "DECODE_AS", decode_as)
    frames = read_frames(captures / "attacks" / "attacks.pcap.gz")[:FRAMES]
    (tmp_path / "plain.pcap").write_bytes(pcap(frames))
    (tmp_path / "wrapped.pcap").write_bytes(pcap(wrap_all(frames, WRAPS.get(name, gre_of_ip))))
    plain, found = (Counter(ours(tmp_path / f"{one}.pcap")) for one in ("plain", "wrapped"))
    assert found == plain
    assert found.total() > FRAMES // 3
    assert Counter(theirs(tmp_path / "wrapped.pcap")) == found
