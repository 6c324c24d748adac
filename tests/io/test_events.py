from pathlib import Path

import pytest
from lhotse import SupervisionSegment, SupervisionSet

from audioprep.errors import ShardError
from audioprep.io.events import Event, read_events, write_events

EVENTS = {"b": [Event(1.0, 1.5, "dog")], "a": [Event(0.3, 0.1 + 0.2 + 0.3, "bird & bee"), Event(0.0, 0.25, "dog")]}


def test_lhotse_reads_the_events(tmp_path: Path) -> None:
    write_events(tmp_path / "events.jsonl.gz", EVENTS)
    found = SupervisionSet.from_file(tmp_path / "events.jsonl.gz")
    assert [(s.id, s.recording_id, s.start, s.end, s.custom["labels"]) for s in found] == [
        ("a-0", "a", 0.0, 0.25, ["dog"]),
        ("a-1", "a", 0.3, 0.6, ["bird & bee"]),
        ("b-0", "b", 1.0, 1.5, ["dog"]),
    ]


def test_the_same_events_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_events(tmp_path / name, dict(reversed(EVENTS.items())) if name == "two.jsonl.gz" else EVENTS)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()


def test_no_events_are_an_empty_set(tmp_path: Path) -> None:
    write_events(tmp_path / "events.jsonl.gz", {"a": []})
    # from_file makes None of an empty file.
    assert not list(SupervisionSet.from_jsonl_lazy(tmp_path / "events.jsonl.gz"))


def test_events_come_back(tmp_path: Path) -> None:
    write_events(tmp_path / "events.jsonl.gz", EVENTS)
    found = read_events(tmp_path / "events.jsonl.gz")
    assert {name: [event.label for event in own] for name, own in found.items()} == {
        name: [event.label for event in sorted(own)] for name, own in EVENTS.items()
    }
    assert found["b"] == EVENTS["b"]


@pytest.mark.parametrize("name", ["truth.jsonl", "truth.jsonl.gz"])
def test_sets_that_lhotse_writes_are_read(tmp_path: Path, name: str) -> None:
    one = SupervisionSegment("1", "a", 1.0, 0.5, text="dog")
    two = SupervisionSegment("2", "a", 0.5, 0.25, custom={"labels": ["bird", "cat"]})
    SupervisionSet.from_segments([one, two]).to_file(tmp_path / name)
    assert read_events(tmp_path / name) == {
        "a": [Event(0.5, 0.75, "bird"), Event(0.5, 0.75, "cat"), Event(1.0, 1.5, "dog")]
    }


@pytest.mark.parametrize("text", ["no json", '{"recording_id": "a", "start": 1, "text": "x"}', "[1]", '{"start": 1}'])
def test_what_is_no_such_set_is_said_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.jsonl").write_text(text)
    with pytest.raises(
        ShardError, match=r"truth\.jsonl: expected lhotse supervisions with recording_id, start, duration"
    ):
        read_events(tmp_path / "truth.jsonl")
    with pytest.raises(ShardError, match=r"none\.jsonl: expected lhotse supervisions .*, got FileNotFoundError"):
        read_events(tmp_path / "none.jsonl")
