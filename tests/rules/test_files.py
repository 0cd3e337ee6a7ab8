"""Files that people edit: what is right is typed, and each mistake is one clear line."""

import re
import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otids.resources import data_folder
from otids.rules.files import Document, Keys, RuleError, load_toml, toml_files


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    """A table in a row."""

    function: int | str | list[int | str] = 0
    severity: Literal["low", "high"] = "low"


class Row(msgspec.Struct, forbid_unknown_fields=True):
    """A row with tables in it."""

    id: str
    match: Inner | None = None
    unless: Inner | list[Inner] | None = None


class File(msgspec.Struct, forbid_unknown_fields=True):
    """A file of rows."""

    rule: list[Row] = []
    names: dict[str, list[str]] = {}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plant.toml"


def complaint(path: Path, text: str, kind: type[Any] = File) -> str:
    path.write_text(text)
    with pytest.raises(RuleError) as caught:
        load_toml(path, kind)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}:")
    return message.removeprefix(f"{path}:")


GOOD = """# rules of the plant
[names]
"hmi one" = ["10.0.0.9"]

[[rule]]
id = "first"

[[rule]]
id = "second"
match = { function = [
    5, # coil
    0x06,
] }
unless = [{ function = 1 }, { severity = "high" }]
"""


def test_what_is_right_is_typed(path: Path) -> None:
    path.write_text(GOOD)
    file = load_toml(path, File)
    assert file.names == {"hmi one": ["10.0.0.9"]}
    assert [row.id for row in file.rule] == ["first", "second"]
    assert file.rule[1].match == Inner([5, 6])


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("names",), 2),
        (("names", "hmi one"), 3),
        (("names", "hmi one", 0), 3),
        (("rule", 0), 5),
        (("rule", 0, "id"), 6),
        (("rule", 0, "title"), 5),
        (("rule", 1), 8),
        (("rule", 1, "match", "function"), 10),
        (("rule", 1, "match", "function", 1), 12),
        (("rule", 1, "unless", 1, "severity"), 14),
        (("nowhere",), 1),
    ],
)
def test_says_where_a_key_stands(path: Path, keys: Keys, line: int) -> None:
    path.write_text(GOOD)
    assert Document(path, File).line(keys) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "2: is not TOML: Invalid value"),
        ('a = "\n', "1: is not TOML: Illegal character '\\n'"),
        ('\n\na = """x\n', "4: is not TOML: Unterminated string"),
        ("[x]\n[x]\n", "2: is not TOML: Cannot declare ('x',) twice"),
        ("rule = 5", "1: rule = 5: expected array, got int"),
        ("[[rule]]\nid = 7", "2: rule.id = 7: expected str, got int"),
        ('[[rule]]\nid = "a"\n\n[[rule]]\n', "4: rule: the key id is missing"),
        (
            '[[rule]]\nid = "a"\n[rule.match]\n\nfonction = 7',
            "5: rule.match.fonction = 7: unknown key; did you mean 'function'?",
        ),
        (
            '[[rule]]\nid = "a"\nmatch.function = [\n1,\n1.5]',
            "5: rule.match.function = 1.5: expected int | str, got float",
        ),
        (
            '[[rule]]\nid = "a"\n[[rule.unless]]\n[[rule.unless]]\nxyz = true',
            "5: rule.unless.xyz = true: unknown key; known are function, severity",
        ),
        (
            '[[rule]]\nid = "a"\nmatch.severity = "hi"',
            "3: rule.match.severity = 'hi': invalid enum value 'hi'",
        ),
        ('"a\\nb" = 1', "1: a\\nb = 1: unknown key; known are names, rule"),
        ("[names]\nx = [1]", "1: names: expected str, got int"),
    ],
)
def test_each_mistake_is_one_line(path: Path, text: str, message: str) -> None:
    assert complaint(path, text) == message


def test_what_is_no_text_or_too_much(path: Path) -> None:
    path.write_bytes(b"a = 1\nb = '\xff'\n")
    with pytest.raises(RuleError, match="2: is not UTF-8"):
        load_toml(path, File)
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(RuleError, match="more than 1048576 bytes"):
        load_toml(path, File)
    with pytest.raises(RuleError, match="No such file"):
        load_toml(path.with_name("missing.toml"), File)
    with pytest.raises(RuleError, match="Is a directory"):
        load_toml(path.parent, File)
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(RuleError, match="nested too deeply"):
        load_toml(path, File)


def test_windows_line_ends_count_once(path: Path) -> None:
    path.write_bytes(b"[[rule]]\r\nid = 'a'\r\nx = 1\r\n")
    with pytest.raises(RuleError, match=r"3: rule\.x = 1"):
        load_toml(path, File)


def test_files_of_directories_in_order(tmp_path: Path) -> None:
    for name in ("b.toml", "a.toml", ".hidden.toml", "notes.txt"):
        (tmp_path / name).touch()
    operator = tmp_path / "operator"
    operator.mkdir()
    (operator / "0.toml").touch()
    names = [path.name for path in toml_files([tmp_path, operator])]
    assert names == ["a.toml", "b.toml", "0.toml"]
    with pytest.raises(RuleError, match="is not a directory"):
        toml_files([tmp_path / "missing"])


def test_the_packaged_rules_are_there() -> None:
    assert (data_folder("rules") / "policies").is_dir()


words = st.text("ab", min_size=1, max_size=2)
values = st.recursive(
    st.integers().map(str) | st.sampled_from(['"a # b"', "'x = ['", '"""\n]\n"""', "true"]),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: f"[ # c\n{', '.join(parts)}\n]")
        | st.dictionaries(words, inner, max_size=2).map(
            lambda table: f"{{ {', '.join(f'{key} = {one}' for key, one in table.items())} }}"
        )
    ),
    max_leaves=4,
)
pairs = st.dictionaries(words, values, max_size=3).map(
    lambda table: "".join(f"{key} = {one}\n" for key, one in table.items())
)
documents = st.tuples(
    pairs,
    st.lists(
        st.tuples(st.sampled_from(["[[x]]", "[[x.y]]", "[z]", '["q.r".s]']), pairs), max_size=4
    ),
).map(lambda parts: parts[0] + "\n".join(f"{head}\n{body}" for head, body in parts[1]))


def paths_of(data: Any, path: Keys = ()) -> list[Keys]:
    inside = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    return [path, *(one for key, value in inside for one in paths_of(value, (*path, key)))]


@given(text=documents)
@settings(suppress_health_check=list(HealthCheck), deadline=None)
def test_every_key_of_a_valid_text_is_found_where_it_stands(path: Path, text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    path.write_text(text)
    document = Document(path, dict)
    lines = text.split("\n")
    for keys in paths_of(data)[1:]:
        line = lines[document.line(keys) - 1]
        key = keys[-1]
        if isinstance(key, str):
            assert re.search(rf"\b{re.escape(key)}\b", line), (keys, line)


@given(text=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_a_document_or_one_line(path: Path, text: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    try:
        load_toml(path, File)
    except RuleError as error:
        assert "\n" not in str(error)  # noqa: PT017
