"""The hot path: decodes captured frames into columns, in a thread without the GIL."""

from collections.abc import Sequence
from os import PathLike
from typing import Any, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "ACCESSES",
    "ACTIVITIES",
    "CONNECTION_STATES",
    "ENCAPSULATIONS",
    "NOTICE_KINDS",
    "NO_SUBFUNCTION",
    "PROTOCOLS",
    "ROLES",
    "SIGHTED",
    "STAGES",
    "VALUE_KINDS",
    "Batch",
    "CaptureError",
    "Hotpath",
    "__version__",
    "cut_evidence",
    "function_name",
    "measure",
    "object_name",
    "status_name",
]

__version__: str
NO_SUBFUNCTION: int
ROLES: list[str]
ACTIVITIES: list[str]
ACCESSES: list[str]
SIGHTED: list[str]
STAGES: list[str]
NOTICE_KINDS: list[str]
VALUE_KINDS: list[str]
CONNECTION_STATES: list[str]
ENCAPSULATIONS: list[str]
PROTOCOLS: list[str]

def function_name(protocol: str, function: int, subfunction: int) -> str | None: ...
def status_name(protocol: str, status: int) -> str | None: ...
def object_name(protocol: str, kind: int) -> str | None: ...
def cut_evidence(
    path: str, cuts: list[tuple[str, list[int], int, str]]
) -> list[tuple[int, list[int]]]: ...
def measure(
    path: str | PathLike[str], stage: str, *, loops: int = 2
) -> tuple[int, list[float]]: ...

@final
class Batch:
    @property
    def session(self) -> int: ...
    @property
    def until(self) -> int: ...
    @property
    def census(self) -> bool: ...
    @property
    def tables(self) -> dict[str, dict[str, npt.NDArray[Any]]]: ...
    @property
    def marks(self) -> dict[str, npt.NDArray[Any]]: ...
    @property
    def defined(self) -> dict[str, dict[str, npt.NDArray[Any]]]: ...
    @property
    def retired(self) -> dict[str, npt.NDArray[np.uint32]]: ...
    @property
    def records(self) -> bytes: ...
    @property
    def health(self) -> dict[str, Any]: ...

@final
class Hotpath:
    def __new__(
        cls,
        *,
        batch_frames: int = 65_536,
        records: bool = False,
        protocols: Sequence[str] | None = None,
        memory: int = ...,
    ) -> Hotpath: ...
    def resize(self, memory: int, recent_bytes: int) -> None: ...
    def open(self, path: str | PathLike[str]) -> None: ...
    def listen(
        self,
        interfaces: list[str],
        *,
        promiscuous: bool = True,
        ring_bytes: int = ...,
        program: list[tuple[int, int, int, int]] = ...,
        recent_bytes: int = ...,
    ) -> None: ...
    def pin(self, frames: list[int], context: int) -> int: ...
    def cut_recent(
        self, name: str, cuts: list[tuple[str, list[int], int, str]]
    ) -> list[tuple[int, list[int]]]: ...
    def next_batch(self) -> Batch | None: ...
    def settle(
        self,
        *,
        endpoints: npt.NDArray[np.uint32],
        conversations: npt.NDArray[np.uint32],
        symbols: npt.NDArray[np.uint32],
        points: npt.NDArray[np.uint32],
    ) -> None: ...
    def close(self) -> None: ...

class CaptureError(ValueError): ...
