"""Live on the command line: a line for every window, until Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from bundles import RATE_HZ, write_bundle
from stand_in_devices import Devices
from tones import low_then_high, plain_tone

from audioprep.edge.classify import main
from audioprep.edge.microphone import Playback
from audioprep.edge.record import read_record
from audioprep.edge.stream import Heard
from audioprep.edge.terminal import listen

COMMAND = (sys.executable, "-m", "audioprep.edge.launch")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "tones.wav", low_then_high(44100), 44100)
    return tmp_path / "tones.wav"


@pytest.fixture
def lines(bundle: Path, wav: Path, capsys: pytest.CaptureFixture[str]):
    def of(*arguments: str) -> list[list[str]]:
        main(["--model", str(bundle), "--microphone", str(wav), "--fast", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        return [line.split() for line in out.splitlines()]

    return of


def test_a_file_is_heard_as_if_a_microphone_heard_it(lines) -> None:
    found = lines()
    assert [line[0] for line in found] == [f"{0.5 * number:.1f}" for number in range(1, 11)]
    assert [found[number][4] for number in (0, 3, 5, 7, 9)] == ["low", "low", "high", "high", "silence"]
    assert [found[number][2] for number in (0, 7)] == ["-23.0", "-23.0"], "dB of a tone of 0.1"
    assert float(found[9][2]) < -60
    low, high = (float(found[0][place].rstrip(",")) for place in (5, 7))
    assert low + high == pytest.approx(1.0, abs=0.002)
    assert found[0][6] == "high"


def test_what_a_microphone_hears_is_recorded(lines, tmp_path: Path, wav: Path) -> None:
    said = lines("--log", str(tmp_path / "log"))
    kept = [line for line in read_record(tmp_path / "log") if line is not None]
    assert [line.get("labels", ["silence"])[0] for line in kept] == [line[4] for line in said]
    assert [f"{line['rms_db']:.1f}" for line in kept[:7]] == [line[2] for line in said[:7]]
    assert {line["source"] for line in kept} == {str(wav)}


def test_windows_come_as_often_as_asked_for(lines) -> None:
    assert [line[0] for line in lines("--hop-s", "1")] == ["1.0", "2.0", "3.0", "4.0", "5.0"]


def test_what_is_quiet_is_silence(lines) -> None:
    assert {line[4] for line in lines("--quiet-db", "-20")} == {"silence"}
    assert [line[4] for line in lines("--quiet-db", "-90", "--hop-s", "1")][:4] == ["low", "low", "high", "high"]


def test_smoothing_is_the_mean_of_windows(lines) -> None:
    plain = [float(line[line.index("low") + 1].rstrip(",")) for line in lines()[:9]]
    smooth = [float(line[line.index("low") + 1].rstrip(",")) for line in lines("--smooth", "3")[:9]]
    expected = [np.mean(plain[max(0, number - 2) : number + 1]) for number in range(9)]
    assert smooth == pytest.approx(expected, abs=0.002)
    assert smooth != pytest.approx(plain, abs=0.002)


def test_a_hop_longer_than_the_window_is_refused(bundle: Path, wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for live in (["--microphone", str(wav)], ["--events", str(wav)]):
        with pytest.raises(SystemExit, match="1"):
            main(["--model", str(bundle), "--hop-s", "1.5", *live])
        assert capsys.readouterr().err == (
            "error: --hop-s: expected at most the 1 s of the window, got 1.5; choose a shorter one\n"
        )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "got none; name some, or say --microphone or --window"),
        (["--microphone", "x.wav", "--csv", "x.csv"], "go with neither --csv nor --events"),
        (["--window", "--events"], "go with neither --csv nor --events"),
        (["x.wav", "--microphone"], "a file follows --microphone or --window"),
        (["--microphone", "--smooth", "0"], "expected a number from 1 to 1000, got 0"),
    ],
)
def test_what_does_not_go_together_is_refused(
    bundle: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--model", str(bundle), *arguments])
    assert said in capsys.readouterr().err


def test_a_microphone_is_heard_until_ctrl_c(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_ctrl_c() -> None:
        while "end_once" not in signal.getsignal(signal.SIGINT).__qualname__:
            time.sleep(0.001)  # the program does not listen yet
        os.kill(os.getpid(), signal.SIGINT)

    devices = Devices(44100, wave_T=plain_tone(5000.0, 1.2, 44100), at_the_end=press_ctrl_c)
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    before = signal.getsignal(signal.SIGINT)
    main(["--model", str(bundle), "--microphone", "USB Mic"])
    out, err = capsys.readouterr()
    assert err == ""
    assert " high " in out.splitlines()[-1]
    assert (devices.opened_hz, devices.num_open, signal.getsignal(signal.SIGINT)) == ([44100], 0, before)


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_program_with_status_0(bundle: Path, tmp_path: Path, name: signal.Signals) -> None:
    soundfile.write(tmp_path / "long.wav", plain_tone(300.0, 60.0), RATE_HZ)
    command = [*COMMAND, "--model", str(bundle), "--microphone", str(tmp_path / "long.wav"), "--hop-s", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        process.send_signal(name)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert " low " in first
    assert len(out.splitlines()) < 20


def test_a_microphone_that_is_not_there_is_one_line(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Devices())
    with pytest.raises(SystemExit, match="1"):
        main(["--model", str(bundle), "--microphone"])
    err = capsys.readouterr().err
    assert err.startswith("error: microphone: expected a connected device, got none (PortAudioError: Error querying")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_no_microphone(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["--model", str(bundle), "--microphone", "no.wav"])
    assert (
        capsys.readouterr().err
        == "error: --microphone: expected a file that holds audio, got missing: no.wav: No such file or directory; give another one\n"
    )


def test_devices_are_listed_without_a_bundle(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Devices(44100))
    with pytest.raises(SystemExit, match="0"):
        main(["--list-devices"])
    assert capsys.readouterr().out == "*  1 USB Mic, 44100 Hz\n"


def test_the_end_is_heard_however_short_it_is(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "short.wav", plain_tone(300.0, 0.4), RATE_HZ)
    main(["--model", str(bundle), "--microphone", str(tmp_path / "short.wav"), "--fast", "--top", "1"])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:2] == ["0.4", "s"]
    assert "low" in line
    assert "high" not in line


def test_what_is_too_quiet_is_no_silence_in_the_record(bundle: Path, tmp_path: Path) -> None:
    wave_T = np.concatenate([0.001 * plain_tone(300.0, 2.0), np.zeros(2 * RATE_HZ)])
    soundfile.write(tmp_path / "quiet.wav", wave_T, RATE_HZ, subtype="FLOAT")
    arguments = ["--microphone", str(tmp_path / "quiet.wav"), "--fast", "--log", str(tmp_path / "log")]
    main(["--model", str(bundle), *arguments])
    statuses = [line["status"] for line in read_record(tmp_path / "log")]
    assert statuses == ["quiet"] * statuses.count("quiet") + ["silent"] * 3


def some_windows(source: Playback) -> Iterator[Heard]:
    for number, lost_s in enumerate((0.0, 0.3, 0.5, 0.7)):
        source.lost_s = lost_s
        yield Heard(0.0, 0.5 * number, -20.0, None, np.zeros(1, np.float32))


def test_lost_sound_is_said_at_first_and_when_it_has_doubled(capsys: pytest.CaptureFixture[str]) -> None:
    source = Playback(plain_tone(300.0, 0.1), RATE_HZ)
    listen(source, some_windows(source), lambda _: "x")
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        f"lost about {lost} s of sound so far: this machine was busy" for lost in ("0.3", "0.7")
    ]
    assert len(out.splitlines()) == 4


def test_on_a_terminal_a_line_takes_the_place_of_the_one_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    source = Playback(plain_tone(300.0, 0.1), RATE_HZ)
    listen(source, some_windows(source), lambda _: "a" * 100)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.endswith("a\n")
    assert [len(line.rstrip("\n")) for line in out.split("\r\x1b[K")[1:]] == [39] * 4


def test_nothing_of_devices_and_screens_is_imported_at_the_start() -> None:
    code = "import sys, audioprep.edge.classify; print({'sounddevice', 'tkinter', 'scipy', 'soxr'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
