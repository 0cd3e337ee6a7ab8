"""Lists the licences of what a wheel carries and depends on; refuses what is not allowed.

usage: tools/licences.py [--check]
Writes the tables of docs/licences.md and hotpath/THIRD-PARTY.txt, which the wheel carries. With
--check it writes nothing, and the exit code is 1 where they are out of date. Run it with a Python
in which requirements/runtime.txt is installed.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
NOTICES = ROOT / "hotpath" / "THIRD-PARTY.txt"
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")

# What the metadata of these say in words only, read from their licence texts.
READ_BY_PEOPLE = {
    "markdown-it-py": "MIT",
    "mdurl": "MIT",
    "scipy": "BSD-3-Clause",
    "shellingham": "ISC",
    "uvloop": "MIT OR Apache-2.0",
}

PREAMBLE = """\
The extension module of otids, otids/_hotpath, contains code of the crates named below, which are
under licences of their own. Where a crate offers the Apache License 2.0, its text is the one in
otids' own LICENSE.

The extension also contains parts of Rust's standard library: Copyright The Rust Project
Developers, MIT OR Apache-2.0, with tables made from the Unicode Character Database under the
Unicode-3.0 licence (whose text stands below). The third-party parts of the standard library are
named in COPYRIGHT-library.html, which comes with the Rust toolchain.
"""


class NotAllowedError(Exception):
    """A licence is unknown, or not on the list of allowed ones."""


@dataclass(frozen=True, slots=True)
class Part:
    """A package of either language: its versions as locked, and an SPDX licence expression."""

    name: str
    versions: str
    licence: str


def permits(expression: str, allowed: set[str]) -> bool:
    """Return whether an SPDX expression can be met by allowed licences alone."""
    words = re.findall(r"[()]|[^\s()]+", expression)

    def one() -> bool:
        word = words.pop(0)
        if word == "(":
            value = either()
            words.pop(0)
            return value
        if words[:1] == ["WITH"]:
            word = f"{word} WITH {words[1]}"
            del words[:2]
        return word in allowed

    def both() -> bool:
        value = one()
        while words[:1] == ["AND"]:
            words.pop(0)
            value &= one()
        return value

    def either() -> bool:
        value = both()
        while words[:1] == ["OR"]:
            words.pop(0)
            value |= both()
        return value

    return either()


def locked_packages(lock: Path) -> dict[str, list[str]]:
    """Return the versions of each package in a lock file that Linux installs."""
    versions = defaultdict(list)
    for line in lock.read_text("utf-8").splitlines():
        if line[:1].isalnum():
            requirement = Requirement(line.removesuffix("\\").strip())
            if "win32" not in str(requirement.marker):
                version = str(requirement.specifier).removeprefix("==")
                versions[requirement.name].append(version)
    return versions


def licence_of_package(name: str) -> str:
    """Return the licence that an installed package declares."""
    metadata = importlib.metadata.metadata(name)
    declared = metadata.get("License-Expression") or metadata.get("License") or ""
    if name in READ_BY_PEOPLE:
        return READ_BY_PEOPLE[name]
    try:
        return str(canonicalize_license_expression(declared))
    except InvalidLicenseExpression:
        raise NotAllowedError(f"{name}: its metadata name no SPDX licence: {declared!r}") from None


def packages() -> list[Part]:
    """Return what pip installs beside otids."""
    locked = locked_packages(ROOT / "requirements" / "runtime.txt")
    return [
        Part(name, ", ".join(versions), licence_of_package(name))
        for name, versions in sorted(locked.items())
    ]


def cargo(*words: str) -> str:
    """Return what cargo prints, offline and as locked."""
    return subprocess.run(
        ["cargo", *words, "--locked", "--offline"],  # as make finds it
        cwd=ROOT / "hotpath",
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


def crates() -> dict[Part, Path]:
    """Return the crates whose code is in the extension (macros are expanded into it), and where."""
    found = {}
    for target in TARGETS:
        tree = ("tree", "--package", "otids-hotpath-python", "--edges", "normal")
        lines = cargo(*tree, "--target", target, "--prefix", "none").splitlines()
        linked = {tuple(line.split()[:2]) for line in lines}
        metadata = cargo("metadata", "--format-version", "1", "--filter-platform", target)
        for one in json.loads(metadata)["packages"]:
            if one["source"] and (one["name"], f"v{one['version']}") in linked:
                licence = (one["license"] or "").replace("/", " OR ")
                part = Part(one["name"], one["version"], licence)
                found[part] = Path(one["manifest_path"]).parent
    return found


def texts(folder: Path) -> Iterator[str]:
    """Yield the licence texts and notices of a crate, without that of the Apache License."""
    for path in sorted(folder.iterdir()):
        if re.match(r"(LICEN[CS]E|COPYING|COPYRIGHT|NOTICE)", path.name) and path.is_file():
            text = "\n".join(line.rstrip() for line in path.read_text("utf-8").splitlines())
            if "Version 2.0, January 2004" not in text:
                yield text.strip("\n") + "\n"


def notices(linked: dict[Part, Path]) -> str:
    """Return the notices for the crates: who they are, and each text once."""
    holders = defaultdict(list)
    for crate, folder in linked.items():
        own = list(texts(folder))
        if not own and "Apache-2.0" not in crate.licence.split():
            raise NotAllowedError(f"{crate.name}: the crate carries no licence text")
        for text in own:
            holders[text].append(f"{crate.name} {crate.versions}")
    lines = "".join(f"  {crate.name} {crate.versions}: {crate.licence}\n" for crate in linked)
    rule = "=" * 80
    parts = [f"{rule}\n{', '.join(names)}\n{rule}\n\n{text}" for text, names in holders.items()]
    return "\n".join([PREAMBLE, lines, *parts])


def page(text: str, tables: dict[str, list[Part]]) -> str:
    """Return the page with its tables made anew between their marks."""
    for name, parts in tables.items():
        rows = "".join(f"| {one.name} | {one.versions} | {one.licence} |\n" for one in parts)
        table = f"\n| {name} | version | licence |\n|---|---|---|\n{rows}\n"
        start, end = f"<!-- {name}: written by make licences -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, found, after = rest.partition(end)
        if not found:
            raise NotAllowedError(f"{PAGE}: the marks of the table {name!r} are missing")
        text = f"{before}{start}{table}{end}{after}"
    return text


def main() -> int:
    """Write the lists, or look whether they are current."""
    only_check = "--check" in sys.argv[1:]
    settings = tomllib.loads((ROOT / "hotpath" / "deny.toml").read_text("utf-8"))
    allowed = set(settings["licenses"]["allow"])
    linked = dict(sorted(crates().items(), key=lambda item: (item[0].name, item[0].versions)))
    tables = {"package": packages(), "crate": list(linked)}
    for part in [*tables["package"], *tables["crate"]]:
        if not part.licence or not permits(part.licence, allowed):
            raise NotAllowedError(f"{part.name}: {part.licence or 'no licence'} is not allowed")
    made = {PAGE: page(PAGE.read_text("utf-8"), tables), NOTICES: notices(linked)}
    stale = [one for one in made if not one.exists() or one.read_text("utf-8") != made[one]]
    for path in stale:
        if only_check:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: make licences\n")
        else:
            path.write_text(made[path], "utf-8")
    return int(only_check and bool(stale))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except NotAllowedError as error:
        sys.exit(f"licences: {error}")
