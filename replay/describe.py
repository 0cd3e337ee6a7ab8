"""Print the table of captures that stands in README.md, counted from the files."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
FILE_HEADER = 24
RECORD_HEADER = struct.Struct("<IIII")


def count(capture: bytes) -> tuple[int, float]:
    """Count frames, and seconds from first to last, of a little-endian pcap in us."""
    frames, first, last, at = 0, 0.0, 0.0, FILE_HEADER
    while at < len(capture):
        seconds, micros, size, _ = RECORD_HEADER.unpack_from(capture, at)
        last = seconds + micros / 1e6
        first = first if frames else last
        frames += 1
        at += RECORD_HEADER.size + size
    return frames, last - first


def main() -> None:
    """Print one row a capture."""
    print("| capture | frames | seconds | bytes | sha256 |")
    print("|---|--:|--:|--:|---|")
    for path in sorted(FOLDER.glob("captures/*/*.pcap.gz")):
        packed = path.read_bytes()
        frames, seconds = count(gzip.decompress(packed))
        digest = hashlib.sha256(packed).hexdigest()
        name = path.relative_to(FOLDER / "captures")
        print(f"| `{name}` | {frames} | {seconds:.1f} | {len(packed)} | `{digest}` |")


if __name__ == "__main__":
    main()
