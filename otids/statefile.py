"""Saved state on disk: plain data in msgpack, with a digest, in two generations.

A file is `MAGIC`, the digest of all that follows it (BLAKE2b, 32 bytes), the length of a header
(4 bytes, big-endian), the header (a msgpack map: `format`, `otids`, `kind`, `version`) and the
payload (msgpack). A new generation is written beside the old one and renamed over it; the old one
stays as `NAME.previous`. Reading is bounded, builds plain data only and executes nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgpack  # type: ignore[import-untyped]

from otids.detectors.base import StateError

MAGIC = b"otids\x00st"
FORMAT = 1
MAX_BYTES = 64 << 20
"""How large a state file may be; also bounds every text and array within."""
MAX_CONTAINERS = 4_000_000
"""How many lists and maps a payload may hold: an empty one takes a byte there, and 64 here."""
MAX_DEPTH = 32
MAX_HEADER = 1024

_DIGEST = 32
_PREAMBLE = len(MAGIC) + _DIGEST + 4
_CONTAINERS = frozenset((list, tuple, dict))
_KEYS = frozenset((str, bytes))
_TOO_MANY = f"more than {MAX_CONTAINERS} lists and maps"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A payload, the file that it came from, and why that is not the newest one (or empty)."""

    payload: Any
    path: Path
    note: str


def write(path: Path, kind: str, version: int, payload: object) -> None:
    """Replace the state at `path` in one step; the intact one before it stays as `.previous`.

    A function in a map of `payload` is called when its turn comes, for what is to stand there.

    Raises TypeError or ValueError for what is not plain data or too large, before it touches
    anything that was there, and OSError.
    """
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            _write_to(file, kind, version, payload)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    if _is_intact(path):
        _keep_as_previous(path)
    fresh.replace(path)
    _sync_directory(path.parent)


def read(path: Path, kind: str, version: int, *, max_bytes: int = MAX_BYTES) -> Loaded:
    """Read the state at `path`, or the generation before it if that is damaged or gone.

    Raises FileNotFoundError if there is neither, OSError, and StateError with one line for a
    damaged file without an intact previous one, and for a state of another kind or version.
    """
    before = previous(path)
    try:
        return Loaded(_read_one(path, kind, version, max_bytes), path, "")
    except FileNotFoundError:
        if not before.exists():
            raise
        reason = f"{path}: is missing"
    except _DamagedError as error:
        reason = str(error)
        if not before.exists():
            raise
    try:
        payload = _read_one(before, kind, version, max_bytes)
    except StateError as error:
        raise StateError(f"{reason}; and {error}") from None
    return Loaded(payload, before, f"{reason}; went back to {before}")


def previous(path: Path) -> Path:
    """Where the generation before the one at `path` stands."""
    return path.with_name(path.name + ".previous")


# --- writing -------------------------------------------------------------------------------------


def _write_to(file: BinaryIO, kind: str, version: int, payload: object) -> None:
    """Write piece by piece: of a large baseline no copy is held beside it."""
    digest = _Digest()
    file.write(MAGIC + digest.digest())  # of nothing yet
    size = file.tell()
    for piece in _pieces(kind, version, payload):
        size += len(piece)
        if size > MAX_BYTES:
            raise StateError(
                f"a state of {size} bytes or more is more than the {MAX_BYTES} that fit"
            )
        digest.update(piece)
        file.write(piece)
    file.seek(len(MAGIC))
    file.write(digest.digest())


def _pieces(kind: str, version: int, payload: object) -> Iterator[bytes]:
    # strict_types: subclasses of plain types, numpy's among them, go to _refuse.
    packer = msgpack.Packer(default=_refuse, strict_types=True)
    header: bytes = packer.pack(
        {
            "format": FORMAT,
            "otids": _own_version(),
            "kind": kind,
            "version": version,
        }
    )
    yield len(header).to_bytes(4, "big") + header
    yield from _packed(packer, payload, 0, _check_shape(payload))


def _packed(packer: Any, value: object, depth: int, count: list[int]) -> Iterator[bytes]:
    """Encode map by map, and what could not be read back not at all."""
    if callable(value):
        value = value()
        _check_shape(value, depth, count)
    if type(value) is not dict:
        yield packer.pack(value)
        return
    yield packer.pack_map_header(len(value))
    for key, inner in value.items():
        yield packer.pack(key)
        yield from _packed(packer, inner, depth + 1, count)


def _own_version() -> str:
    try:
        return metadata.version("otids")
    except metadata.PackageNotFoundError:  # run from a checkout
        return "unknown"


def _refuse(value: object) -> object:
    if type(value) is tuple:
        return list(value)
    raise TypeError(f"{type(value).__module__}.{type(value).__name__} is not plain data")


def _keep_as_previous(path: Path) -> None:
    """Give the file a second name, so that at every moment one stands at `path`."""
    link = path.with_name(path.name + ".link")
    with contextlib.suppress(FileNotFoundError):
        link.unlink()
    try:
        os.link(path, link)
    except OSError:  # a file system without links
        path.replace(previous(path))
        return
    link.replace(previous(path))


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading -------------------------------------------------------------------------------------


class _DamagedError(StateError):
    """The bytes are not those that were written; the generation before may be whole."""


def _is_intact(path: Path) -> bool:
    try:
        with _open(path, MAX_BYTES) as file:
            head = file.read(len(MAGIC) + _DIGEST)
            digest = hashlib.file_digest(file, _Digest)
    except (OSError, StateError):
        return False
    return head == MAGIC + digest.digest()


def _read_one(path: Path, kind: str, version: int, max_bytes: int) -> Any:
    data = _load(path, max_bytes)
    if data[: len(MAGIC)] != MAGIC:
        raise _DamagedError(f"{path}: is not a state file of otids")
    rest = memoryview(data)[len(MAGIC) + _DIGEST :]
    if len(rest) < 4 or data[len(MAGIC) : len(MAGIC) + _DIGEST] != _digest(rest):  # noqa: PLR2004
        raise _DamagedError(f"{path}: is damaged (its digest does not fit its content)")
    size = int.from_bytes(rest[:4], "big")
    try:
        if size > MAX_HEADER:
            raise ValueError("its header is too long")
        header = _decode(rest[4 : 4 + size])
        if type(header) is not dict:
            raise TypeError("its header is not a map")
    except _BROKEN as error:
        raise _DamagedError(f"{path}: is damaged ({_reason(error)})") from None
    _check_header(path, header, kind, version)
    try:
        return _decode_payload(rest[4 + size :])
    except _BROKEN as error:
        raise _DamagedError(f"{path}: is damaged ({_reason(error)})") from None


def _check_header(path: Path, header: dict[Any, Any], kind: str, version: int) -> None:
    by = f"written by otids {str(header.get('otids'))[:32]}"
    if header.get("format") != FORMAT:
        found = str(header.get("format"))[:32]
        raise StateError(f"{path}: is of file format {found}, not {FORMAT} ({by})")
    if header.get("kind") != kind:
        raise StateError(f"{path}: is a state of {str(header.get('kind'))[:64]!r}, not of {kind!r}")
    if header.get("version") != version:
        found = str(header.get("version"))[:32]
        raise StateError(f"{path}: is of version {found} of {kind!r}, not {version} ({by})")


def _load(path: Path, max_bytes: int) -> bytes:
    with _open(path, max_bytes) as file:
        return file.read(max_bytes)


def _open(path: Path, max_bytes: int) -> BufferedReader:
    """Open a regular file of at most `max_bytes`; a pipe in its place must not stop us."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _DamagedError(f"{path}: is not a regular file")
    if found.st_size > max_bytes:
        os.close(descriptor)
        raise _DamagedError(f"{path}: has {found.st_size} bytes, more than {max_bytes}")
    return os.fdopen(descriptor, "rb")


_BROKEN = (ValueError, TypeError, RecursionError, MemoryError, msgpack.exceptions.UnpackException)


def _reason(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return text.splitlines()[0][:120]


def _decode_payload(body: bytes | memoryview) -> Any:
    payload = _decode(body)
    _check_shape(payload)
    return payload


def _decode(body: bytes | memoryview) -> Any:
    """Decode one msgpack value that fills `body`. Raises one of `_BROKEN`."""
    limits: dict[str, Any] = {
        "max_buffer_size": len(body),
        "max_ext_len": 0,
        # Keys are texts or bytes, whose hashes are keyed: numbers could be made to collide.
        "strict_map_key": True,
    }
    # Skipping builds nothing, so a list that claims more entries than there are costs nothing.
    scout = msgpack.Unpacker(**limits)
    scout.feed(body)
    scout.skip()
    if scout.tell() != len(body):
        raise ValueError("something follows its end")
    count = 0

    def counted(container: Any) -> Any:
        nonlocal count
        count += 1
        if count > MAX_CONTAINERS:
            raise ValueError(_TOO_MANY)
        return container

    def refuse(code: int, _: bytes) -> None:
        raise TypeError(f"an extension of type {code}")

    unpacker = msgpack.Unpacker(**limits, list_hook=counted, object_hook=counted, ext_hook=refuse)
    unpacker.feed(body)
    return unpacker.unpack()


def _check_shape(payload: object, depth: int = 0, count: list[int] | None = None) -> list[int]:
    """Walk through the containers, level by level: keys, number and depth within the bounds.

    `payload` lies so deep, beside so many containers; return how many there are now, to go on with.
    """
    count = [0] if count is None else count
    level = [payload] if type(payload) in _CONTAINERS else []
    for _ in range(depth, MAX_DEPTH):
        count[0] += len(level)
        if count[0] > MAX_CONTAINERS:
            raise ValueError(_TOO_MANY)
        deeper: list[object] = []
        for container in level:
            inside: Iterable[object]
            if isinstance(container, dict):
                if not all(type(key) in _KEYS for key in container):
                    raise TypeError("a key of a map is neither text nor bytes")
                inside = container.values()
            else:
                inside = cast("list[object]", container)
            deeper += [value for value in inside if type(value) in _CONTAINERS]
        if not deeper:
            return count
        level = deeper
    raise ValueError(f"nested deeper than {MAX_DEPTH}")


_Digest = partial(hashlib.blake2b, digest_size=_DIGEST)


def _digest(data: bytes | memoryview) -> bytes:
    return _Digest(data).digest()
