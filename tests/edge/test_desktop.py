"""The window on a virtual screen, with a file in the place of the microphone."""

import gc
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from bundles import RATE_HZ, write_bundle
from PIL import ImageGrab
from stand_in_devices import Devices
from tones import low_then_high, plain_tone

from audioprep.edge.classify import main
from audioprep.edge.loudspeaker import Loudspeaker
from audioprep.edge.microphone import Playback
from audioprep.edge.predict import Predictor
from audioprep.edge.record import read_record
from audioprep.edge.stream import hear
from audioprep.errors import DeviceError
from audioprep.io.bundle import read_bundle

tk = pytest.importorskip("tkinter", reason="this Python has no tkinter (apt install python3-tk)")

BAR = (0xB8, 0x48, 0x3E)  # the colour of the class that is given
MOST_S = 20.0  # a test waits so long before it fails


@pytest.fixture(scope="module")
def screen() -> Iterator[str]:
    """Start a virtual screen and return its name."""
    if shutil.which("Xvfb") is None:
        pytest.skip("no virtual screen (apt install xvfb)")
    read_end, write_end = os.pipe()
    command = ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL) as server:
        os.close(write_end)
        with os.fdopen(read_end) as number:
            name = number.readline().strip()
        assert name, "Xvfb did not start"
        yield f":{name}"
        server.terminate()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def predictor(bundle: Path) -> Predictor:
    return Predictor(read_bundle(bundle))


class Window:
    """A window under test; what it shows is read from the screen's widgets."""

    def __init__(self, predictor: Predictor, wave_T: np.ndarray, **playback: Any) -> None:
        from audioprep.edge.desktop import Desktop

        self.root = tk.Tk()
        self.loudspeaker = Loudspeaker()
        hearing = partial(hear, predictor, hop_s=0.5, min_level_db=-60.0, live=True)
        self.desktop = Desktop(
            self.root,
            predictor,
            lambda: Playback(wave_T, RATE_HZ, **playback),
            hearing,
            lambda _path, heard: iter(heard),
            self.loudspeaker,
        )
        self.wait(self.root.winfo_viewable)

    def wait(self, condition: Callable[[], object]) -> None:
        until_s = time.monotonic() + MOST_S
        while not condition():
            assert time.monotonic() < until_s, f"shown: {self.texts()}, {self.status()}"
            self.root.update()
            time.sleep(0.01)

    def texts(self) -> list[str]:
        canvas = self.desktop.display.canvas
        return [canvas.itemcget(item, "text") for item in canvas.find_all() if canvas.type(item) == "text"]

    def status(self) -> str:
        return str(self.desktop._status.cget("text"))

    def press(self, name: str) -> None:
        button = getattr(self.desktop, f"_{name}")
        self.wait(lambda: button.cget("state") == "normal")
        button.invoke()

    def pixels(self, width: int, height: int) -> np.ndarray:
        """Return what is on the screen [height, width, 3] when the window has this size."""
        self.root.geometry(f"{width}x{height}+0+0")
        self.wait(lambda: (self.root.winfo_width(), self.root.winfo_height()) == (width, height))
        until_s = time.monotonic() + 0.3
        self.wait(lambda: time.monotonic() > until_s)
        image = ImageGrab.grab(bbox=(0, 0, width, height), xdisplay=os.environ["DISPLAY"])
        if folder := os.environ.get("SCREENSHOTS"):
            image.save(Path(folder, f"{width}x{height}.png"))
        return np.asarray(image).astype(int)


@pytest.fixture
def window(screen: str, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Window]]:
    """Return what opens a window; it is closed after the test."""
    monkeypatch.setenv("DISPLAY", screen)
    opened: list[Window] = []

    def open_(wave_T: np.ndarray, **playback: Any) -> Window:
        opened.append(Window(predictor, wave_T, **playback))
        return opened[-1]

    yield open_
    for each in opened:
        each.desktop.close()
        each.desktop._look()
    opened.clear()
    gc.collect()  # Tk's pictures must not be collected later, in another thread


@pytest.mark.parametrize(("frequency_hz", "label"), [(300.0, "low"), (5000.0, "high")])
def test_what_the_microphone_hears_is_shown_with_its_score(window, frequency_hz: float, label: str) -> None:
    shown = window(plain_tone(frequency_hz, 2.0), real_time=False)
    assert shown.texts() == ["Record, or open a file"]
    shown.press("record")
    shown.wait(lambda: shown.status() == "recorded, 2.0 s")
    best, best_score, second, second_score = shown.texts()
    assert (best, {best, second}) == (label, {"low", "high"})
    assert int(best_score.rstrip("%")) > 90
    assert int(second_score.rstrip("%")) < 10


def test_what_is_shown_follows_the_sound(window) -> None:
    shown = window(low_then_high()[RATE_HZ:])
    shown.press("record")
    for label in ("low", "high", "silence"):
        shown.wait(lambda label=label: shown.texts()[0] == label)
    shown.wait(lambda: shown.status() == "recorded, 4.0 s")


def test_stop_ends_a_recording_and_a_new_one_takes_its_place(window) -> None:
    shown = window(plain_tone(300.0, 60.0))
    for _ in range(2):
        shown.press("record")
        shown.wait(lambda: shown.texts()[0] == "low")
        assert shown.desktop._record.cget("text") == "■ Stop"
        assert shown.desktop._play.cget("state") == shown.desktop._open.cget("state") == "disabled"
        shown.press("record")
        shown.wait(lambda: shown.status().startswith("recorded, "))
        assert float(shown.status().split()[1]) < 10
        assert shown.desktop._record.cget("text") == "● Record"


def test_of_a_long_recording_the_end_is_kept(window, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = window(np.concatenate([plain_tone(5000.0, 3.0), plain_tone(300.0, 2.0)]), real_time=False)
    monkeypatch.setattr("audioprep.edge.desktop._KEPT_S", 2.0)
    shown.press("record")
    shown.wait(lambda: shown.status() == "recorded, 2.0 s")
    np.testing.assert_array_equal(np.concatenate(shown.desktop._blocks), plain_tone(300.0, 2.0))


@pytest.mark.parametrize(("duration_s", "share"), [(0.7, 0.7), (2.5, 1.0)])
def test_a_file_is_opened_and_shown_as_a_whole(window, tmp_path: Path, duration_s: float, share: float) -> None:
    soundfile.write(tmp_path / "recording.wav", plain_tone(5000.0, duration_s, 44100), 44100)
    shown = window(plain_tone(300.0, 1.0))
    shown.desktop.open(tmp_path / "recording.wav")
    shown.wait(lambda: shown.texts()[0] == "high")
    shown.wait(lambda: shown.desktop._worker is None)
    assert shown.status() == f"recording.wav, {duration_s} s"
    whole = shown.desktop.display._boxes()[2]
    assert shown.desktop.display._picture.width() == pytest.approx(share * (whole.right - whole.left), abs=1)


def test_a_recording_is_not_disturbed_by_a_click_that_comes_too_early(window, tmp_path: Path) -> None:
    shown = window(plain_tone(300.0, 60.0))
    shown.desktop.record_or_stop()
    worker = shown.desktop._worker
    assert shown.desktop._open.cget("state") == "disabled"
    shown.desktop.open(tmp_path / "none.wav")
    assert shown.desktop._worker is worker
    shown.desktop.record_or_stop()
    shown.wait(lambda: shown.status().startswith("recorded, ") or shown.desktop._worker is None)


def test_a_record_that_cannot_be_written_is_said_in_the_window(window, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = window(plain_tone(300.0, 2.0), real_time=False)

    def full(_: object) -> None:
        raise OSError(28, "No space left on device", "heard.jsonl")

    monkeypatch.setattr(shown.desktop, "_hearing", full)
    shown.press("record")
    shown.wait(lambda: shown.texts()[0].startswith("heard.jsonl: expected to read or write it, got No space left"))


def test_a_file_that_cannot_be_used_is_said_in_the_window(window, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no audio")
    shown = window(plain_tone(300.0, 1.0), real_time=False)
    shown.desktop.open(tmp_path / "text.wav")
    shown.wait(lambda: shown.texts()[0].startswith("decode_error: "))
    shown.press("record")
    shown.wait(lambda: shown.texts()[0] == "low")


def test_a_microphone_that_is_missing_is_said_in_the_window(window, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = window(plain_tone(300.0, 1.0))

    def refuse() -> None:
        raise DeviceError("microphone: expected a connected device, got none; connect one")

    monkeypatch.setattr(shown.desktop, "_open_source", refuse)
    shown.press("record")
    shown.wait(lambda: shown.texts() == ["microphone: expected a connected device, got none; connect one"])
    assert shown.desktop._record.cget("text") == "● Record"


def test_a_recording_is_played(window, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(RATE_HZ)
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    shown = window(plain_tone(300.0, 1.0), real_time=False)
    assert shown.desktop._play.cget("state") == "disabled"
    shown.press("record")
    shown.wait(lambda: shown.status() == "recorded, 1.0 s")
    shown.press("play")
    shown.wait(lambda: not shown.loudspeaker.is_playing)
    shown.wait(lambda: devices.num_open == 0)  # given back without a click
    shown.loudspeaker.stop()
    played_T = np.float32(devices.played)
    first = np.flatnonzero(played_T)[0] - 1
    np.testing.assert_array_equal(played_T[first:][:RATE_HZ], plain_tone(300.0, 1.0))


def test_without_sounddevice_play_says_so(window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    shown = window(plain_tone(300.0, 1.0), real_time=False)
    shown.press("record")
    shown.wait(lambda: shown.status() == "recorded, 1.0 s")
    shown.press("play")
    shown.wait(lambda: shown.texts()[0].startswith("sounddevice: expected this package, found none; run: pip"))


@pytest.mark.parametrize(("width", "height"), [(480, 320), (1200, 760)])
def test_the_picture_is_there_at_every_size(window, width: int, height: int) -> None:
    shown = window(low_then_high()[: RATE_HZ * 5 // 2], real_time=False)
    shown.press("record")
    shown.wait(lambda: shown.status() == "recorded, 2.5 s")
    image = shown.pixels(width, height)
    canvas = shown.desktop.display.canvas
    (picture,) = (canvas.coords(item) for item in canvas.find_all() if canvas.type(item) == "image")
    left, top = int(picture[0]), int(picture[1]) + canvas.winfo_y()
    size = (shown.desktop.display._picture.width(), shown.desktop.display._picture.height())
    bright = image[top : top + size[1], left : left + size[0]].sum(2)
    half, middle = size[0] // 2, size[1] // 2
    # The last second: half of a low tone, then half of a high one.
    assert bright[middle:, : half - 20].max(0).mean() > 2 * bright[:middle, : half - 20].max(0).mean()
    assert bright[:middle, half + 20 :].max(0).mean() > 2 * bright[middle:, half + 20 :].max(0).mean()
    assert size[0] > width * 0.9
    # Two bars, of lengths in the ratio of the scores, and nothing that sticks out of the window.
    scores = [int(text.rstrip("%")) for text in shown.texts()[1::2]]
    boxes = [canvas.coords(item) for item in canvas.find_all() if canvas.type(item) == "rectangle"][-4:]
    lengths = [box[2] - box[0] for box in boxes]
    assert [100 * lengths[1] / lengths[0], 100 * lengths[3] / lengths[2]] == pytest.approx(scores, abs=1)
    assert canvas.bbox("all")[2] <= width
    assert canvas.bbox("all")[3] <= canvas.winfo_height()


def run(bundle: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "audioprep.edge.launch", "--model", str(bundle), *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"} | variables
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_program_shows_and_records_a_file_until_ctrl_c(screen: str, bundle: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "low.wav", plain_tone(300.0, 1.0), RATE_HZ)
    arguments = ("--window", str(tmp_path / "low.wav"), "--log", str(tmp_path / "log"))
    with run(bundle, *arguments, DISPLAY=screen) as process:
        until_s = time.monotonic() + MOST_S
        while not (np.asarray(ImageGrab.grab(xdisplay=screen)) == BAR).all(2).any():
            assert time.monotonic() < until_s, "expected the bar of a class on the screen"
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=MOST_S) == ("", "")
    assert process.returncode == 0
    (line,) = read_record(tmp_path / "log")
    assert (line["source"], line["labels"]) == (str(tmp_path / "low.wav"), ["low"])


def test_without_a_screen_one_line_says_so(bundle: Path) -> None:
    with run(bundle, "--window") as process:
        out, err = process.communicate(timeout=MOST_S)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("error: window: expected a screen, got none (no display name and no $DISPLAY environment")
    assert err.count("\n") == 1


def test_without_tkinter_one_line_says_so(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tkinter", None)
    for name in ("desktop", "display"):
        monkeypatch.delitem(sys.modules, f"audioprep.edge.{name}", raising=False)
    with pytest.raises(SystemExit, match="1"):
        main(["--model", str(bundle), "--window"])
    err = capsys.readouterr().err
    assert err.startswith("error: window: expected Python with tkinter, got none (")
    assert err.endswith("; run: sudo apt install python3-tk\n")
    assert err.count("\n") == 1
