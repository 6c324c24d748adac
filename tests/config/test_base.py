"""Sections of params.yaml: strict, with one line for whatever does not fit."""

import re

import pytest
from pydantic import Field

from audioprep.config.base import Section, parse_section, read_yaml
from audioprep.errors import ConfigError


class _Inner(Section):
    level_db: float = 0.0


class _Outer(Section):
    count: int = 1
    inner: _Inner = _Inner()
    table: dict[str, _Inner] = Field(default_factory=dict)


def test_read_yaml_returns_plain_values(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("datasets: [demo]\ntrim:\n  pad: zeros  # comment\n")
    assert read_yaml(path) == {"datasets": ["demo"], "trim": {"pad": "zeros"}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"params\.yaml: expected a parameter file, found none; run from the project's folder$"),
        (b"a: [1", r"params\.yaml: expected YAML, got .*; mend the file$"),
        (b"a: 1\na: 2", r"params\.yaml: expected YAML, got .*duplicate key.*; mend the file$"),
        (b"\xff\xfe\xfa", r"params\.yaml: expected YAML, got .*; mend the file$"),
        (b"- 1", r"params\.yaml: expected sections, got list; mend the file$"),
        (b"", r"params\.yaml: expected sections, got NoneType; mend the file$"),
        (b"tirm: {}", r"params\.yaml: expected one of \d+ names, got 'tirm'; did you mean 'trim'\?$"),
    ],
)
def test_read_yaml_refuses_in_one_line(tmp_path, content, message):
    path = tmp_path / "params.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_yaml(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cuont": 2}, "params.yaml outer: expected one of count, inner, table, got 'cuont'; did you mean 'count'?"),
        (
            {"inner": {"level": 2}},
            "params.yaml outer.inner: expected one of level_db, got 'level'; did you mean 'level_db'?",
        ),
        (
            {"table": {"a": {"lvel_db": 2}}},
            "params.yaml outer.table.a: expected one of level_db, got 'lvel_db'; did you mean 'level_db'?",
        ),
        (
            {"count": "many"},
            (
                "params.yaml outer.count: expected a valid integer, unable to parse string as an integer, got 'many'; "
                "mend that value"
            ),
        ),
        ({"inner": {"level_db": float("inf")}}, "params.yaml outer.inner.level_db: expected a finite number, got inf;"),
        ([1], "params.yaml outer: expected a valid dictionary or instance of _Outer, got [1]; mend that value"),
    ],
)
def test_parse_section_names_key_value_and_choices(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_section(_Outer, "outer", values)


def test_an_empty_section_has_all_defaults():
    assert parse_section(_Outer, "outer", None) == _Outer()
