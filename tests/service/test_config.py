"""The settings: the example is sound and complete, and mistakes name their line."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli.commands import Run, invoke

from otids.rules.files import RuleError
from otids.service.config import Config, load, seconds


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda *args: invoke(tmp_path, *args)


@pytest.fixture(scope="session")
def example(repository: Path) -> Path:
    return repository / "systemd" / "otids.toml"


def keys(value: Any, prefix: str = "") -> set[str]:
    """Every key of a table, dotted."""
    if isinstance(value, list):
        return set().union(*(keys(one, prefix) for one in value)) if value else set()
    if not isinstance(value, dict):
        return {prefix}
    return set().union(*(keys(one, f"{prefix}.{key}".strip(".")) for key, one in value.items()))


def test_the_example_loads(example: Path) -> None:
    config = load(example)
    assert config.capture.interfaces == ("eth1",)
    assert config.sink == ()
    assert config.state.folder == "/var/lib/otids"


def test_the_example_passes_the_check(example: Path, run: Run) -> None:
    ran = run("check", "-c", example, "--json")
    assert ran.code == 0, ran.out
    assert "listens to eth1" in ran.records[-1]["result"]


def test_what_is_commented_out_is_right_too(example: Path, tmp_path: Path) -> None:
    text = re.sub(r"^#(?=[a-z_]+ = |\[\[)", "", example.read_text(), flags=re.MULTILINE)
    whole = tmp_path / "otids.toml"
    whole.write_text(text)
    config = load(whole)
    assert {one.place for one in config.sink} == {"jsonlines", "syslog", "chat"}


def test_every_setting_but_those_of_sinks_is_in_the_example(example: Path) -> None:
    text = re.sub(r"^#(?=[a-z_]+ = |\[\[)", "", example.read_text(), flags=re.MULTILINE)
    named = keys(tomllib.loads(text))
    config = Config(msgspec.convert({"interfaces": ["eth1"]}, type(load(example).capture)))
    missing = keys(msgspec.to_builtins(config)) - named - {"sink"}
    assert {one for one in missing if not one.startswith("sink.")} == set()


def test_what_is_commented_out_are_the_defaults(example: Path) -> None:
    text = re.sub(r"^#(?=[a-z_]+ = |\[\[)", "", example.read_text(), flags=re.MULTILINE)
    told = tomllib.loads(text)
    defaults = msgspec.to_builtins(
        Config(msgspec.convert({"interfaces": ["eth1"]}, type(load(example).capture)))
    )
    for table in ("state", "control", "metrics", "log"):
        for key, value in told[table].items():
            assert defaults[table][key] == value, f"{table}.{key}"


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("[capture]\n", r"otids.toml:1: .*interfaces is missing"),
        ('[capture]\ninterfaces = ["a/b"]\n', r"otids.toml:2: capture.interfaces"),
        ('[capture]\ninterfaces = ["a"]\n[stat]\n', r"otids.toml:3: stat: .*did you mean 'state'"),
        (
            '[capture]\ninterfaces = ["a"]\n[state]\ncheckpoint = "5 minutes"\n',
            r"otids.toml:4: state.checkpoint",
        ),
        (
            '[capture]\ninterfaces = ["a"]\n[learning]\nuntil = "soon"\n',
            r"otids.toml:4: learning.until",
        ),
        (
            '[capture]\ninterfaces = ["a"]\n' + 2 * '[[sink]]\ntype = "jsonlines"\npath = "a"\n',
            r"otids.toml:7: sink.type",
        ),
        ('[capture]\ninterfaces = ["a"]\n[[sink]]\ntype = "pigeon"\n', r"otids.toml:"),
        ("capture = 3\n", r"otids.toml:1: capture"),
    ],
)
def test_mistakes_name_file_line_and_key(tmp_path: Path, run: Run, wrong: str, says: str) -> None:
    path = tmp_path / "otids.toml"
    path.write_text(wrong)
    with pytest.raises(RuleError, match=says):
        load(path)
    ran = run("check", "-c", path)
    assert ran.code == 2


def test_a_check_finds_what_the_settings_name(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "otids.toml"
    path.write_text('[capture]\ninterfaces = ["a"]\n[rules]\nfolders = ["/nowhere/rules"]\n')
    ran = run("check", "-c", path)
    assert ran.code == 2
    assert "/nowhere/rules: is not a directory" in " ".join(ran.out.split())
    path.write_text('[capture]\ninterfaces = ["a"]\nfilter = "nonsense"\n')
    assert run("check", "-c", path).code == 2


def test_durations_are_in_seconds() -> None:
    assert [seconds(one) for one in ("90s", "5m", "2h", "14d")] == [90, 300, 7200, 1_209_600]
