"""The user's list of assets: a CSV file that gives names, roles and zones to addresses."""

import csv
import functools
import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from otids.alerts.wording import clean
from otids.rules.files import RuleError
from otids.traffic import EndpointName

MOST_ROWS = 100_000
MOST_COLUMNS = 50
OWN = ("address", "vlan", "name", "role", "zone")
NEEDED = ("address", "name")

_MAC = re.compile(r"[0-9a-f]{2}([:-][0-9a-f]{2}){5}")
_VLAN = re.compile(r"(?:([0-9]{1,4})\.)?([0-9]{1,4})")
MOST_VLAN = 4094


@dataclass(frozen=True, slots=True)
class Listed:
    """What people say of a device."""

    name: str
    role: str = ""
    zone: str = ""
    labels: tuple[tuple[str, str], ...] = ()  # further columns


NOT_LISTED = Listed("")


@dataclass(frozen=True, slots=True)
class AssetList:
    """What people say of devices, by VLAN (None: any) and address in its usual spelling."""

    rows: Mapping[tuple[int | None, str], Listed] = field(default_factory=dict)

    def find(self, endpoint: EndpointName) -> Listed:
        """Find what is said of an endpoint; `NOT_LISTED` if nothing is."""
        if not self.rows:
            return NOT_LISTED
        address = usual(endpoint.address)
        return (
            self.rows.get((endpoint.vlan, address)) or self.rows.get((None, address)) or NOT_LISTED
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a CSV file (UTF-8, comma or semicolon) with a header.

        `address` and `name` are needed; `vlan` ("7", or "3.7" for two tags; empty: any), `role`
        and `zone` are known; what other columns say is kept as labels. Raises RuleError naming
        file, line and column.
        """
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise RuleError(f"{path}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise RuleError(f"{path}: is not UTF-8 (byte {error.start})") from None
        return cls(_read(path, text))


@functools.lru_cache(maxsize=65_536)
def usual(address: str) -> str:
    """Spell an address as Python does, so that one written otherwise is still the same."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().replace("-", ":")


def _read(path: Path, text: str) -> dict[tuple[int | None, str], Listed]:
    lines = _lines(path, text)
    header = [name.strip().lower() for name in next(lines, (1, []))[1]]
    _check_header(path, header)
    rows: dict[tuple[int | None, str], Listed] = {}
    seen: dict[tuple[int | None, str], int] = {}
    for line, cells in lines:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            raise RuleError(f"{path}:{line}: has {len(cells)} columns, the header {len(header)}")
        if len(rows) >= MOST_ROWS:
            raise RuleError(f"{path}:{line}: has more than {MOST_ROWS} rows")
        row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
        key = _key(f"{path}:{line}", row)
        if key in seen:
            raise RuleError(
                f"{path}:{line}: column address: {row['address']} is also in line {seen[key]}"
            )
        seen[key] = line
        rows[key] = _listed(row)
    return rows


def _lines(path: Path, text: str) -> Iterator[tuple[int, Sequence[str]]]:
    first = text.split("\n", 1)[0]
    delimiter = ";" if ";" in first and "," not in first else ","
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise RuleError(f"{path}:{reader.line_num}: {error}") from None


def _check_header(path: Path, header: Sequence[str]) -> None:
    for name in NEEDED:
        if name not in header:
            raise RuleError(f"{path}:1: the header has no column {name!r}")
    for place, name in enumerate(header, 1):
        if not name:
            raise RuleError(f"{path}:1: column {place} has no name")
        if name in header[: place - 1]:
            raise RuleError(f"{path}:1: column {name!r} stands twice")
    if len(header) > MOST_COLUMNS:
        raise RuleError(f"{path}:1: has more than {MOST_COLUMNS} columns")


def _key(where: str, row: Mapping[str, str]) -> tuple[int | None, str]:
    address = usual(row["address"])
    if not (_is_ip(address) or _MAC.fullmatch(address)):
        raise RuleError(
            f"{where}: column address: {clean(row['address'], 60)!r} is no IP or MAC address"
        )
    if not row["name"]:
        raise RuleError(f"{where}: column name: is empty")
    vlan = row.get("vlan", "")
    if not vlan:
        return None, address
    match = _VLAN.fullmatch(vlan)
    tags = [int(tag) for tag in match.groups() if tag] if match else []
    if not tags or not all(1 <= tag <= MOST_VLAN for tag in tags):
        raise RuleError(f"{where}: column vlan: {clean(vlan, 60)!r} is no VLAN (1–{MOST_VLAN})")
    return functools.reduce(lambda outer, inner: outer << 12 | inner, tags), address


def _is_ip(address: str) -> bool:
    try:
        return "%" not in str(ipaddress.ip_address(address))
    except ValueError:
        return False


def _listed(row: Mapping[str, str]) -> Listed:
    return Listed(
        name=clean(row["name"]),
        role=clean(row.get("role", "")),
        zone=clean(row.get("zone", "")),
        labels=tuple(
            (clean(name), clean(cell)) for name, cell in row.items() if name not in OWN and cell
        ),
    )
