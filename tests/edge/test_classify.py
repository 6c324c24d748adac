"""The command line of a bundle."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bundles import change, tone, write_bundle

from audioprep.edge.classify import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("classify") / "bundle")


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    (folder / "inner").mkdir()
    soundfile.write(folder / "a.wav", tone(300.0, 0.7), 44100)
    soundfile.write(folder / "inner/b.flac", tone(5000.0, 0.7), 44100)
    (folder / "notes.txt").write_text("no sound")
    return folder


def run(bundle: Path, *arguments: str | Path) -> None:
    main(["--model", str(bundle), *map(str, arguments)])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_and_folders_are_classified(bundle: Path, sounds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(bundle, sounds, "--top", "1")
    lines = capsys.readouterr().out.splitlines()
    assert [line.rsplit(" ", 1)[0] for line in lines] == [f"{sounds}/a.wav: low", f"{sounds}/inner/b.flac: high"]


def test_a_table_has_a_row_a_file(bundle: Path, sounds: Path, tmp_path: Path) -> None:
    run(bundle, sounds, "--csv", tmp_path / "t.csv")
    rows = rows_of(tmp_path / "t.csv")
    assert [row["labels"] for row in rows] == ["low", "high"]
    assert all(float(row["low"]) + float(row["high"]) == pytest.approx(1.0, abs=2e-4) for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_events_of_a_long_recording(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wave_T = np.concatenate([tone(300.0, 3.0)[22050:], tone(5000.0, 3.0)[22050:]])
    soundfile.write(tmp_path / "walk.wav", wave_T, 44100)
    run(bundle, tmp_path / "walk.wav", "--events", "--hop-s", "0.25", "--csv", tmp_path / "t.csv")
    rows = rows_of(tmp_path / "t.csv")
    assert [row["label"] for row in rows] == ["low", "high"]
    assert float(rows[0]["stop_s"]) == pytest.approx(3.0, abs=0.5)
    assert (rows[0]["start_s"], rows[1]["stop_s"]) == ("0.00", "6.00")
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{tmp_path}/walk.wav: 0.00 to {rows[0]['stop_s']} s low {rows[0]['probability']}"


BAD = {
    "text.wav": b"this is no audio",
    "empty.wav": b"",
    "header.wav": b"RIFF\x00\x00\x00\x00WAVE",
}


def test_what_cannot_be_used_is_reported_together_and_the_rest_is_done(
    bundle: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, data in BAD.items():
        (tmp_path / name).write_bytes(data)
    soundfile.write(tmp_path / "nan.wav", np.full(8000, np.nan, np.float32), 16000, subtype="FLOAT")
    with pytest.raises(SystemExit) as stop:
        run(bundle, tmp_path, tmp_path / "none.wav", sounds / "a.wav", "--csv", tmp_path / "t.csv")
    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert out.startswith(f"{sounds}/a.wav: low")
    *lines, last = [line for line in err.splitlines() if "--events judges all" not in line]
    assert [line.split(":")[:2] for line in lines] == [
        [status, f" {tmp_path}/{name}.wav"]
        for status, name in (
            ("empty", "empty"),
            ("decode_error", "header"),
            ("non_finite", "nan"),
            ("decode_error", "text"),
            ("missing", "none"),
        )
    ]
    assert lines[2].endswith(": NaN or infinite samples, the first at 0 s")
    assert last == "error: files: expected audio, got 5 without, see above; give files that hold audio"
    assert len(rows_of(tmp_path / "t.csv")) == 1


@pytest.mark.parametrize(("num_channels", "rate_hz"), [(8, 44100), (2, 192000), (1, 8000)])
def test_sound_of_any_kind_is_heard(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], num_channels: int, rate_hz: int
) -> None:
    wave_T = tone(300.0, 0.7, rate_hz)
    soundfile.write(tmp_path / "x.wav", np.stack([wave_T] * num_channels, axis=1), rate_hz)
    run(bundle, tmp_path / "x.wav")
    assert capsys.readouterr().out.startswith(f"{tmp_path}/x.wav: low")


def test_what_the_pipeline_would_refuse_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "x.wav", tone(300.0, 0.7)[-441:], 44100)
    run(bundle, tmp_path / "x.wav")
    assert "low" in capsys.readouterr().out
    soundfile.write(tmp_path / "x.wav", tone(300.0, 0.7)[-397:], 44100)
    opposite_T2 = np.outer(tone(300.0, 0.7), [1.0, -1.0])
    soundfile.write(tmp_path / "y.wav", opposite_T2, 44100)
    with pytest.raises(SystemExit):
        run(bundle, tmp_path / "x.wav", tmp_path / "y.wav")
    assert capsys.readouterr().err == (
        f"too_short: {tmp_path}/x.wav: 9.0 ms of sound, expected at least 10 ms\n"
        f"silent: {tmp_path}/y.wav: as one channel, no sample above -80 dB; the network was trained without silence\n"
        "error: files: expected audio, got 2 without, see above; give files that hold audio\n"
    )


def test_recordings_without_events_say_so(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(48000), 16000)
    run(bundle, tmp_path / "x.wav", "--events", "--csv", tmp_path / "t.csv")
    assert capsys.readouterr().out == f"{tmp_path}/x.wav: no events\n"
    assert rows_of(tmp_path / "t.csv") == []


def test_labels_below_their_threshold_are_marked(
    tmp_path: Path, sounds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_bundle(tmp_path / "bundle", thresholds={"low": 0.9, "high": 0.1})
    run(folder, sounds / "a.wav")
    assert "high" in capsys.readouterr().out
    run(change(folder, "decision", thresholds={"low": 1.1, "high": 1.1}), sounds / "a.wav")
    assert capsys.readouterr().out.count("(not given)") == 2


def test_a_folder_without_sound_is_one_line(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(bundle, tmp_path)
    assert (
        capsys.readouterr().err
        == f"error: empty: {tmp_path}: no audio files in the folder; give files that hold audio\n"
    )


def test_a_table_takes_the_place_of_no_sound_and_no_folder(
    bundle: Path, sounds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (sounds / "a.wav").read_bytes()
    for name in (sounds / "a.wav", tmp_path, tmp_path / "none/t.csv", tmp_path / "t.flac"):
        with pytest.raises(SystemExit) as stop:
            run(bundle, sounds / "a.wav", "--csv", name)
        assert stop.value.code == 1
        out, err = capsys.readouterr()
        assert out == "", "said before anything is heard"
        assert err.startswith("error: --csv: expected a file for a table in a folder that exists, and no sound, got ")
    assert (sounds / "a.wav").read_bytes() == before
    assert not list(tmp_path.iterdir())


def test_a_table_of_before_is_kept_where_nothing_could_be_heard(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("of before")
    with pytest.raises(SystemExit):
        run(bundle, tmp_path / "none.wav", "--csv", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "of before"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_a_run_that_is_stopped_leaves_no_table(
    bundle: Path, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("audioprep.edge.predict.Predictor.sound", stop)
    with pytest.raises(SystemExit) as ended:
        run(bundle, sounds, "--csv", tmp_path / "t.csv")
    assert (ended.value.code, capsys.readouterr().err) == (130, "stopped\n")
    assert not list(tmp_path.iterdir())


def test_without_files_the_help_says_what_to_give(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(bundle)
    assert stop.value.code == 2
    assert capsys.readouterr().err == (
        "error: expected audio files or folders, got none; name some, or say --microphone or --window; see classify.py --help\n"
    )


def test_a_bundle_has_to_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["x.wav"])
    assert "the following arguments are required: --model; see classify.py --help" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--top", "0"],
        ["--hop-s", "-1"],
        ["--threads", "x"],
        ["--threads", "100000"],
        ["--threshold", "2"],
        ["--threshold", "nan"],
        ["--smooth", "0"],
        ["--smooth", "99999999999999999999"],
        ["--quiet-db", "nan"],
        ["--quiet-db", "500"],
        ["--csv", ""],
    ],
)
def test_impossible_numbers_are_refused(bundle: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(bundle, "x.wav", *arguments)
    assert stop.value.code == 2
    assert f"argument {arguments[0]}: " in capsys.readouterr().err


def test_the_same_command_is_part_of_audioprep(bundle: Path, sounds: Path) -> None:
    command = [sys.executable, "-c", "from audioprep.cli import main; main()", "predict"]
    done = subprocess.run([*command, sounds / "a.wav", "--model", bundle], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{sounds}/a.wav: low ")
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: audioprep predict ")
