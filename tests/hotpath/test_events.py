"""What a device kept to report it later is named by type, however it is asked for."""

from pathlib import Path

from hotpath.frames import UDP, ethernet, packets, pcap, udp
from hotpath.reading import ticks
from wireshark.test_dnp3 import MASTER, OUTSTATION, link

from otids.traffic import RangeName, SymbolName

POLL = bytes((0xC1, 1, 60, 1, 6))
STATIC = bytes((0xC1, 129, 0, 0, 30, 4, 0, 0, 1, 7, 0, 8, 0))


def events(*indexes: int) -> bytes:
    """A response with a static range, and changes of these binary inputs."""
    changes = b"".join(bytes((index, 0x81)) for index in indexes)
    return STATIC + bytes((2, 1, 0x17, len(indexes))) + changes


def symbols(folder: Path, *answers: bytes) -> list[SymbolName]:
    """The symbols of responses to polls."""
    frames = []
    for place, answer in enumerate(answers):
        for delay, (source, target, fragment, asks) in enumerate(
            ((MASTER, OUTSTATION, POLL, True), (OUTSTATION, MASTER, answer, False))
        ):
            packet = udp(source, target, link(fragment, asks=asks))
            time = 1_700_000_000_000_000_000 + place * 1_000_000_000 + delay * 1_000_000
            (whole,) = packets(source, target, UDP, packet)
            frames.append((time, ethernet(source, target, whole)))
    capture = folder / "events.pcap"
    capture.write_bytes(pcap(frames))
    found = [
        tick.names.symbol(id) for tick, _ in ticks(capture) for id in tick.tables.messages.symbol
    ]
    return [symbol for symbol in found if symbol.role == "response"]


def test_events_name_types_only(tmp_path: Path) -> None:
    told = symbols(tmp_path, events(3), events(9, 4, 7), events(*range(0, 40, 2)))
    assert len(set(told)) == 1
    assert set(told[0].objects) == {
        RangeName("analog-input", 0, 2, "read", ""),
        RangeName("binary-input", 0, 0, "report", ""),
    }


def test_static_ranges_keep_their_addresses(tmp_path: Path) -> None:
    (plain,) = symbols(tmp_path, STATIC)
    assert plain.objects == (RangeName("analog-input", 0, 2, "read", ""),)
