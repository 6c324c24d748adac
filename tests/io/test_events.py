from pathlib import Path

from lhotse import SupervisionSet

from audioprep.io.events import Event, write_events

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
