"""Live interfaces as a source of batches: one comes every second, also on a silent wire."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from otids import _hotpath
from otids.capture.bpf import compile_filter
from otids.traffic import Array, Batch


@dataclass(frozen=True, slots=True)
class Listening:
    """What is listened to, and how. `filter` is in the language of pcap-filter(7)."""

    interfaces: tuple[str, ...]
    filter: str = ""
    promiscuous: bool = True
    ring_bytes: int = 32 << 20  # for each interface
    recent_bytes: int = 64 << 20  # of frames that are kept for evidence


def batches(
    hotpath: _hotpath.Hotpath, listening: Listening, learned: Callable[[], Mapping[str, Array]]
) -> Generator[Batch, None, None]:
    """Yield batches until the iterator is closed; frames are counted from 1.

    `learned` is asked, between two batches, which ids stand for something learned; the long
    unused rest may then be retired. Raises `_hotpath.CaptureError` if an interface cannot be
    listened to at the beginning (later on it is waited for), or if the filter is wrong.
    """
    hotpath.listen(
        list(listening.interfaces),
        promiscuous=listening.promiscuous,
        ring_bytes=listening.ring_bytes,
        program=program(listening.filter),
        recent_bytes=listening.recent_bytes,
    )
    try:
        while (raw := hotpath.next_batch()) is not None:
            batch = Batch.of(raw)
            yield batch
            if batch.census:
                hotpath.settle(**learned())
    finally:
        hotpath.close()


def program(text: str) -> list[tuple[int, int, int, int]]:
    """Compile a filter; the empty one lets everything pass. Raises `_hotpath.CaptureError`."""
    try:
        return compile_filter(text) if text.strip() else []
    except ValueError as error:
        raise _hotpath.CaptureError(f"filter {text!r}: {error}") from error


def cut_recent(
    hotpath: _hotpath.Hotpath, name: str, cuts: Sequence[tuple[str, list[int], int, str]]
) -> list[tuple[int, list[int]]]:
    """Cut frames that are still in memory into files, as `_hotpath.cut_evidence` does."""
    return hotpath.cut_recent(name, list(cuts))
