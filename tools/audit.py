"""Asks for known vulnerabilities of every locked package and crate.

usage: tools/audit.py
Exit code: 0 nothing is known against any, 1 something is, 3 a source of advisories did not answer
for all of them. What was not asked is never reported as clean.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
IGNORED = ROOT / "requirements" / "ignored.toml"
FOUND, NOT_ASKED = 1, 3


def say(line: str) -> None:
    """Print a line about the audit, in order with what the tools print."""
    sys.stdout.write(f"audit: {line}\n")
    sys.stdout.flush()


def pinned() -> dict[str, set[str]]:
    """Return every version of a package that a lock file names, for whichever Python."""
    versions = defaultdict(set)
    for lock in LOCKS:
        for name, version in re.findall(
            r"^([\w.-]+)==([^\s;]+)", lock.read_text("utf-8"), re.MULTILINE
        ):
            versions[name].add(version)
    return versions


def ask_about(pins: list[str]) -> list[dict[str, Any]]:
    """Ask PyPI about pinned packages, each named once; raises ValueError if it gives no answer."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pins))
        file.flush()
        words = ["--disable-pip", "--no-deps", "--format", "json", "--aliases", "on"]
        command = [sys.executable, "-m", "pip_audit", *words, "--requirement", file.name]
        # Of packages that it could not ask about, it says that nothing was found: not to be shown.
        done = subprocess.run(command, capture_output=True, check=False, text=True)
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except ValueError:
        sys.stderr.write(done.stderr)
        raise


def audit_python() -> int:
    """Report the advisories about Python packages."""
    ignored = tomllib.loads(IGNORED.read_text("utf-8"))
    left = {name: sorted(versions) for name, versions in pinned().items()}
    answers: list[dict[str, Any]] = []
    silent = False
    try:
        # One version of each at a time: a list of requirements may name a package only once.
        while any(left.values()):
            answers += ask_about([f"{name}=={some.pop()}" for name, some in left.items() if some])
    except ValueError:
        silent = True
        say("NOT ASKED: Python packages: pip-audit gave no answer")
    skipped = [one for one in answers if "skip_reason" in one]
    found = [(one, vuln) for one in answers for vuln in one.get("vulns", ())]
    told = {vuln["id"]: {vuln["id"], *vuln["aliases"]} & ignored.keys() for _, vuln in found}
    for name in ignored.keys() - {known for names in told.values() for known in names}:
        say(f"{IGNORED.relative_to(ROOT)}: {name} is about nothing that is locked")
    bad = [(one, vuln) for one, vuln in found if not told[vuln["id"]]]
    for one, vuln in bad:
        fixed = ", ".join(vuln["fix_versions"]) or "no version"
        say(f"FOUND: {one['name']} {one['version']}: {vuln['id']}, mended in {fixed}")
    asked = len(answers) - len(skipped)
    say(f"Python packages: {asked} of {len(answers)} asked about, {len(bad)} findings")
    if skipped:
        names = ", ".join(sorted({one["name"] for one in skipped})) if asked else "any of them"
        say(f"NOT ASKED: this package index has no advisories about {names}")
    return FOUND if bad else NOT_ASKED if skipped or silent else 0


def deny(*words: str) -> bool:
    """Run cargo-deny; return whether it was content."""
    command = ["cargo-deny", "--locked", *words]
    return subprocess.run(command, cwd=ROOT / "hotpath", check=False).returncode == 0


def audit_rust() -> int:
    """Report the advisories about crates, and crates of a wrong licence or source."""
    results = [0 if deny("check", "bans", "licenses", "sources") else FOUND]
    if deny("fetch", "db", "index"):
        results.append(0 if deny("--offline", "check", "advisories") else FOUND)
    else:
        say("NOT ASKED: crates: the RustSec database, or the index of crates, could not be fetched")
        results.append(NOT_ASKED)
    return FOUND if FOUND in results else max(results)


def main() -> int:
    """Audit both languages, whatever the first one gives."""
    results = [audit_python(), audit_rust()]
    if FOUND in results:
        say("FAILED: something was found, see above")
        return FOUND
    if NOT_ASKED in results:
        say("INCOMPLETE: nothing was found, but not everything could be asked about, see above")
        return NOT_ASKED
    say("nothing is known against anything that is locked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
