"""Capture files as a source of batches."""

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from otids import _hotpath
from otids.traffic import Array, Batch

HEAD = 1 << 20


def digest(path: Path) -> str:
    """Tell captures apart: a hash over the length and the first MiB of a file, 16 digits."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    length = path.stat().st_size
    return blake2b(length.to_bytes(8, "big") + head, digest_size=8).hexdigest()


def batches(
    hotpath: _hotpath.Hotpath, path: Path, learned: Callable[[], Mapping[str, Array]]
) -> Iterator[Batch]:
    """Yield the batches of one capture.

    `learned` is asked, between two batches, which ids stand for something learned; the long
    unused rest may then be retired. Raises `_hotpath.CaptureError` if the file cannot be read.
    """
    hotpath.open(str(path))
    try:
        while (raw := hotpath.next_batch()) is not None:
            batch = Batch.of(raw)
            yield batch
            if batch.census:
                hotpath.settle(**learned())
    finally:
        hotpath.close()
