from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from audioprep.errors import ConfigError
from audioprep.io.groups import read_groups, read_parts
from audioprep.io.tables import CLIPS, FACTS, rows_to_table, write_table


def write_corpus(data: Path, clips: list[dict[str, Any]]) -> None:
    (data / "raw").mkdir(parents=True)
    (data / "audio").mkdir()
    write_table(data / "raw/clips.parquet", rows_to_table(clips, CLIPS))
    facts = [{"id": row["id"], "container": "WAV"} for row in clips]
    write_table(data / "audio/facts.parquet", rows_to_table(facts, FACTS))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [("a", {"city": "oslo", "title": "1"}), ("b", {"city": "rome", "title": "2"}), ("c", {"title": "1"})]
    write_corpus(tmp_path / "toy", [{"id": i, "group": f"g{i}", "attributes": list(kv.items())} for i, kv in rows])
    return tmp_path / "toy"


def test_without_names_all_attributes_of_few_parts_are_taken(data: Path) -> None:
    assert read_parts(data, ["c", "a", "b"], None) == {"city": ["", "oslo", "rome"], "title": ["1", "1", "2"]}
    assert read_parts(data, ["a"], None) == {}


def test_an_attribute_that_names_every_clip_is_no_part(tmp_path: Path) -> None:
    write_corpus(tmp_path, [{"id": str(n), "group": "g", "attributes": [("title", str(n))]} for n in range(51)])
    assert read_parts(tmp_path, [str(n) for n in range(51)], None) == {}


def test_a_folder_without_declared_clips_has_no_parts(tmp_path: Path) -> None:
    assert read_parts(tmp_path, ["a"], None) == {}


def test_names_are_attributes_the_group_or_a_fact(data: Path) -> None:
    found = read_parts(data, ["b", "a"], ("group", "container", "city"))
    assert found == {"group": ["gb", "ga"], "container": ["WAV", "WAV"], "city": ["rome", "oslo"]}


def test_an_unknown_name_is_refused(data: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"evaluate.groups of toy: expected one of city, container, group, title, got"
    ):
        read_parts(data, ["a"], ("citty",))


def test_groups_are_those_of_the_split(tmp_path: Path) -> None:
    write_table(tmp_path / "s.parquet", pa.table({"id": ["a", "b"], "group": ["x", "y"]}))
    assert read_groups(tmp_path / "s.parquet", ["b", "a"]) == ["y", "x"]
