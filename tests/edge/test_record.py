"""A record loses at most a few lines, never grows beyond its size, and is no other file's end."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioprep.dsp.measure import to_mono
from audioprep.edge import classify, record
from audioprep.edge.predict import Ranked
from audioprep.edge.record import Record, earlier, last_bundle, read_record
from audioprep.errors import AudioError, ModelError
from audioprep.io.audio import decode

RATE_HZ = 16_000
RANKED = [("dog", 0.75), ("cat", 0.25)]
SINE_T = 0.5 * np.sin(2 * np.pi * 997 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [line for line in read_record(path) if line is not None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "heard.jsonl"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the record's clock shows."""
    now = [1000.0]
    monkeypatch.setattr(record.time, "monotonic", lambda: now[0])
    return now


def test_a_line_says_what_was_heard_and_how_loud_it_came_in(log: Path) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("microphone", SINE_T, RANKED, ["dog"], start_s=2.0)
    (line,) = lines_of(log)
    assert line | {"time": ""} == {
        "time": "",
        "source": "microphone",
        "start_s": 2.0,
        "stop_s": 3.0,
        "labels": ["dog"],
        "probability": 0.75,
        "top": dict(RANKED),
        "rms_db": pytest.approx(-9.03, abs=0.01),
        "loudness_lufs": pytest.approx(-9.03, abs=0.1),
        "true_peak_db": pytest.approx(-6.02, abs=0.01),
        "bundle": "b1",
    }
    told = datetime.fromisoformat(line["time"])
    assert told.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - told).total_seconds()) < 60


def test_of_many_classes_the_likeliest_are_kept(log: Path) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("x", SINE_T, [(f"c{n}", 0.1) for n in range(20)], [])
    assert list(lines_of(log)[0]["top"]) == ["c0", "c1", "c2", "c3", "c4"]


def test_silence_and_what_cannot_be_read_have_a_status(log: Path) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("microphone", np.zeros(RATE_HZ, np.float32))
        kept.add(Path("no.wav"), status="missing")
    silent, missing = lines_of(log)
    assert silent["status"] == "silent"
    assert silent["rms_db"] is silent["loudness_lufs"] is silent["true_peak_db"] is None
    assert (missing["status"], missing["source"]) == ("missing", "no.wav")
    assert "probability" not in missing
    assert "rms_db" not in missing


def test_names_that_are_no_text_are_kept(log: Path) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("a\udcff\n.wav", SINE_T, RANKED, ["dog"])
    assert lines_of(log)[0]["source"] == "a\udcff\n.wav"


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    with Record(None, "b1", RATE_HZ) as kept:
        kept.add("x", SINE_T, RANKED, ["dog"])
    assert list(tmp_path.iterdir()) == []


def test_lines_wait_for_one_another_but_not_long(log: Path, clock: list[float]) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        for number, (seconds, expected) in enumerate([(0, 1), (1, 1), (8, 1), (1, 4), (30, 5), (1, 5)]):
            clock[0] += seconds
            kept.add(str(number), None, RANKED, ["dog"])
            assert len(log.read_bytes().splitlines()) == expected
    assert [line["source"] for line in lines_of(log)] == ["0", "1", "2", "3", "4", "5"]


def test_lines_that_wait_are_written_when_the_program_is_stopped(log: Path) -> None:
    def hear() -> None:
        with Record(log, "b1", RATE_HZ) as kept:
            kept.add("0", None, RANKED, ["dog"])
            kept.add("1", None, RANKED, ["dog"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hear()
    assert len(lines_of(log)) == 2


@pytest.mark.parametrize("every", [1, 7, 200])
def test_a_full_file_makes_room_and_the_newest_lines_stay(log: Path, every: int) -> None:
    kept = Record(log, "b1", RATE_HZ, max_mb=0.002)
    for number in range(200):
        kept.add(f"{number:03d}", None, RANKED, ["dog"])
        if number % every == 0:
            kept.write()
    kept.write()
    assert 0 < log.stat().st_size <= 2000
    assert 1000 < earlier(log).stat().st_size <= 2000
    sources = [int(line["source"]) for line in lines_of(log)]
    assert sources == list(range(200 - len(sources), 200))
    assert len(sources) > 10
    assert sorted(path.name for path in log.parent.iterdir()) == ["heard.jsonl", "heard.jsonl.1"]


def test_a_line_that_is_larger_than_the_file_may_be_is_kept_too(log: Path) -> None:
    with Record(log, "b1", RATE_HZ, max_mb=1e-6) as kept:
        for number in range(3):
            kept.add(str(number), None, RANKED, ["dog"])
    assert [line["source"] for line in lines_of(log)] == ["1", "2"]


def test_after_a_power_cut_the_next_line_is_whole(log: Path) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("0", None, RANKED, ["dog"])
    log.write_bytes(log.read_bytes() + b'{"time": "2026-')
    assert [line and line["source"] for line in read_record(log)] == ["0", None]
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("1", None, RANKED, ["dog"])
    assert [line and line["source"] for line in read_record(log)] == ["0", None, "1"]


def test_two_programs_share_a_record_and_a_record_that_is_moved_begins_anew(log: Path) -> None:
    first, second = (Record(log, "b1", RATE_HZ) for _ in range(2))
    for number, one in enumerate((first, second, first)):
        one.add(str(number), None, RANKED, ["dog"])
        one.write()
    assert [line["source"] for line in lines_of(log)] == ["0", "1", "2"]
    log.rename(log.with_name("moved"))
    first.add("3", None, RANKED, ["dog"])
    first.write()
    assert [line["source"] for line in lines_of(log)] == ["3"]


def test_another_file_is_not_written_to(log: Path) -> None:
    log.write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises(ModelError, match=r"heard\.jsonl: expected a log of predictions or a new file, got something"):
        Record(log, "b1", RATE_HZ)
    assert log.read_bytes() == b"RIFFxxxxWAVE"


def test_a_record_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nofolder"):
        Record(tmp_path / "nofolder" / "log", "b1", RATE_HZ)


def test_a_record_that_is_not_there_is_said(log: Path) -> None:
    with pytest.raises(
        ModelError, match=r"heard\.jsonl: expected a log of predictions, found no file; write one: audio"
    ):
        read_record(log)


@pytest.mark.parametrize(
    "change",
    [
        {"time": "noon"},
        {"time": 3},
        {"bundle": None},
        {"probability": "high"},
        {"rms_db": float("nan")},
        {"loudness_lufs": [1]},
        {"labels": "dog"},
        {"labels": [["dog"]]},
    ],
)
def test_what_is_no_line_is_passed_over(log: Path, change: dict[str, Any]) -> None:
    with Record(log, "b1", RATE_HZ) as kept:
        kept.add("x", SINE_T, RANKED, ["dog"])
    (line,) = lines_of(log)
    log.write_text(json.dumps(line | change) + "\n[]\n3\nnull\n" + "x" * 200_000 + "\n" + json.dumps(line) + "\n")
    found = list(read_record(log))
    assert found[-1] == line
    assert set(map(type, found[:-1])) == {type(None)}


def test_the_last_bundle_is_that_of_the_last_whole_line(log: Path) -> None:
    log.touch()
    assert last_bundle(log) is None
    for bundle in ("b1", "b2"):
        with Record(log, bundle, RATE_HZ) as kept:
            for _ in range(500):
                kept.add("x", None, RANKED, ["dog"])
    log.write_bytes(log.read_bytes() + b'{"time": "2026-')
    assert last_bundle(log) == "b2"
    log.replace(earlier(log))
    log.touch()
    assert last_bundle(log) == "b2"


class Ear:
    """A predictor that says `dog`, and refuses silence."""

    labels, thresholds = ["dog", "cat"], None
    front = argparse.Namespace(rate_hz=RATE_HZ, window_samples=RATE_HZ, hears_first_window=True)

    def sound(self, path: Path) -> np.ndarray:
        try:
            return to_mono(decode(path.read_bytes()).wave_TC)
        except AudioError as error:
            raise AudioError(error.status, f"{path}: {error.reason}") from None

    def blocks(self, path: Path) -> Iterator[np.ndarray]:
        yield self.sound(path)

    def classify(self, wave_T: np.ndarray, path: Path) -> Ranked:
        if not wave_T.any():
            raise AudioError("silent", f"{path}: no sound")
        return RANKED

    def probability_of(self, wave_T: np.ndarray) -> np.ndarray | None:
        return np.float32([0.75, 0.25]) if wave_T.any() else None

    def ranked(self, probability_L: np.ndarray) -> Ranked:
        return list(zip(self.labels, probability_L.tolist(), strict=True))

    def given(self, ranked: Ranked) -> list[str]:
        return [ranked[0][0]]


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a sound, silence, and no sound; a bundle is not needed."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.tile(SINE_T, 3), RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "b.wav", np.concatenate([SINE_T, np.zeros(2 * RATE_HZ)]), RATE_HZ, subtype="FLOAT")
    soundfile.write(folder / "c.wav", np.zeros(RATE_HZ), RATE_HZ)
    (folder / "d.wav").write_text("text")
    bundle = argparse.Namespace(id="b1", check=lambda: None)
    monkeypatch.setattr(classify, "read_bundle", lambda _: bundle)
    monkeypatch.setattr(classify, "Predictor", lambda *_: Ear())
    return folder


def test_files_are_recorded_and_so_are_those_that_fail(sounds: Path, log: Path) -> None:
    with pytest.raises(SystemExit):
        classify.main(["--model", "x", "--log", str(log), str(sounds)])
    found = [(Path(line["source"]).name, line.get("status"), line.get("rms_db")) for line in lines_of(log)]
    assert found == [
        ("a.wav", None, pytest.approx(-9.03, abs=0.01)),
        ("b.wav", None, pytest.approx(-13.8, abs=0.01)),
        ("c.wav", "silent", None),
        ("d.wav", "decode_error", None),
    ]
    assert lines_of(log)[0]["bundle"] == "b1"


def test_windows_are_recorded_with_their_start(sounds: Path, log: Path) -> None:
    classify.main(["--model", "x", "--log", str(log), "--events", "--hop-s", "1", str(sounds / "b.wav")])
    found = [(line["start_s"], line.get("labels"), line.get("status"), line["rms_db"]) for line in lines_of(log)]
    assert found == [
        (0.0, ["dog"], None, pytest.approx(-9.03, abs=0.01)),
        (1.0, None, "silent", None),
        (2.0, None, "silent", None),
    ]


def test_the_size_of_a_record_can_be_said(sounds: Path, log: Path) -> None:
    for _ in range(20):
        classify.main(["--model", "x", "--log", str(log), "--log-mb", "0.001", str(sounds / "a.wav")])
    assert log.stat().st_size <= 1000
    with pytest.raises(SystemExit):
        classify.main(["--model", "x", "--log", str(log), "--log-mb", "0", str(sounds / "a.wav")])


def test_a_record_needs_numpy_alone() -> None:
    code = (
        "import sys; before = set(sys.modules); import audioprep.edge.record; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["audioprep", "numpy"]
