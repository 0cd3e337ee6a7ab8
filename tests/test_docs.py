"""What README and docs say is so: commands parse, links lead somewhere, kinds and titles exist."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from cli.commands import Ran, invoke

from otids.cli import COMMANDS, app

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "replay" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_KIND = re.compile(r"^\| `([a-z0-9.-]+)` \|", re.MULTILINE)
_BADGE = re.compile(r"^ (?:CRITICAL|HIGH|MEDIUM|LOW|INFO)  ")


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page that are in a language."""
    return [text for tag, text in _BLOCK.findall(page.read_text("utf-8")) if tag == language]


def shell_lines() -> Iterator[tuple[str, list[str]]]:
    """Yield every call of otids in blocks of shell: where it stands, and its words."""
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in re.split(r" && ", line.strip()):
                    words = shlex.split(part, comments=True)
                    if "|" in words:
                        words = words[: words.index("|")]
                    if words and Path(words[0]).name == "otids":
                        yield f"{page.name}: {line.strip()}", words[1:]


CALLS = dict(shell_lines())


def command(words: list[str]) -> tuple[Any, list[str]]:
    """Find the command that words call, and its arguments."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("otids", [], resilient_parsing=True)
    while hasattr(group, "commands") and words and not words[0].startswith("-"):
        _, found, words = group.resolve_command(context, words)
        context = found.make_context(found.name, [], parent=context, resilient_parsing=True)
        group = found
    return group, words


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def test_there_is_something_to_look_at() -> None:
    assert len(CALLS) > len(COMMANDS)
    assert {words[0] for words in CALLS.values()} >= COMMANDS.keys()


@pytest.mark.parametrize("where", CALLS)
def test_commands_parse(where: str) -> None:
    found, words = command(list(CALLS[where]))
    if found.name == "otids":  # no command, options only
        assert words == ["--version"]
        return
    found.make_context(found.name, words)


def test_unknown_options_do_not_parse() -> None:
    found, words = command(["replay", "--no-such-option", "a.pcap"])
    with pytest.raises(typer.TyperException):
        found.make_context(found.name, words)


def test_every_command_that_is_named_exists() -> None:
    for page in PAGES:
        for name in re.findall(r"`otids ([a-z][a-z-]*)", page.read_text("utf-8")):
            assert name in COMMANDS, f"{page.name}: otids {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text("utf-8")):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "README.md"
    listed = {link.partition("#")[0] for link in _LINK.findall(index.read_text("utf-8"))}
    pages = {str(page.relative_to(index.parent)) for page in index.parent.rglob("*.md")}
    assert listed >= pages - {index.name}


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    """Return the alert catalogue that otids brings."""
    return {
        kind: entry
        for path in (ROOT / "rules" / "catalogue").glob("*.toml")
        for kind, entry in tomllib.loads(path.read_text("utf-8")).items()
    }


def test_the_table_of_kinds_is_the_catalogue(catalogue: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "reading-an-alert.md").read_text("utf-8")
    section = page.partition("\n## The kinds\n")[2].partition("\n## ")[0]
    rows = {}
    for line in section.splitlines():
        if _KIND.match(line):
            kind, severity, _, attack = (cell.strip() for cell in line.strip("|").split("|"))
            rows[kind.strip("`")] = severity, attack
    assert rows.keys() == catalogue.keys()
    for kind, (severity, attack) in rows.items():
        entry = catalogue[kind]
        assert severity == entry["severity"], kind
        if kind != "policy.custom":
            assert attack.split() == entry.get("attack", []), kind


def test_packaged_rules_are_all_in_their_table() -> None:
    rules = tomllib.loads((ROOT / "rules" / "policies" / "modbus.toml").read_text("utf-8"))["rule"]
    page = (ROOT / "docs" / "policies.md").read_text("utf-8")
    assert set(_KIND.findall(page)) >= {f"policy.{rule['id']}" for rule in rules}


def test_fields_of_the_alert_record_are_those_of_a_record(
    demo: tuple[Path, Ran], tmp_path: Path
) -> None:
    told = invoke(tmp_path, "alerts", "--state", demo[0], "--json").records
    explained = invoke(tmp_path, "explain", "--state", demo[0], told[0]["id"], "--json").records[0]
    page = (ROOT / "docs" / "alert-record.md").read_text("utf-8")
    rows = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", page, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([a-z_]+)`", row)]
    assert named == list(explained)
    assert named[: len(told[0])] == list(told[0])


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ran]:
    """Run what `make demo` runs, and return its state and what it did."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    line = re.search(r"^DEMO = otids (.*)$", makefile, re.MULTILINE)
    assert line is not None
    home = tmp_path_factory.mktemp("demo")
    words = [
        str(ROOT / word) if word.startswith("replay/") else word for word in shlex.split(line[1])
    ]
    state = home / "state"
    ran = invoke(home, *words, "--state", state, COLUMNS="80")
    assert ran.code == 0, ran.err
    return state, ran


def titles(output: str) -> list[str]:
    """Return the titles of alerts in what people see of a replay, with lines put together."""
    found: list[str] = []
    inside = False
    for line in output.splitlines():
        if _BADGE.match(line):
            found.append(_BADGE.sub("", line))
            inside = True
        elif inside and line.startswith(" "):
            found[-1] += f" {line.strip()}"
        else:
            inside = False
    return [" ".join(one.split()) for one in found]


def stripped(line: str) -> str:
    """Return a line without what differs from run to run: its id stands first."""
    return re.sub(r"^[0-9a-f]{4,16} ", "", line)


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "docs" / "reading-an-alert.md"])
def test_alerts_that_are_shown_are_those_of_the_demo(page: Path, demo: tuple[Path, Ran]) -> None:
    shown = [one for block in blocks(page, "text") for one in titles(block)]
    assert shown
    assert set(shown) <= set(titles(demo[1].out))


def test_what_the_readme_shows_is_what_the_demo_prints(demo: tuple[Path, Ran]) -> None:
    (block,) = (one for one in blocks(ROOT / "README.md", "text") if titles(one))
    said = {stripped(line) for line in demo[1].out.splitlines()}
    for line in block.splitlines():
        if line != "…" and not line.startswith("next"):
            assert stripped(line) in said, line
