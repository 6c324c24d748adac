"""Whatever is missing or refuses is one line."""

import os
import sys
from pathlib import Path

import pytest
from stand_in_devices import Devices, PortAudioError

from audioprep.edge.devices import microphones, open_stream
from audioprep.errors import DeviceError


def use(monkeypatch: pytest.MonkeyPatch, devices: Devices | None) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", devices)


def opened(device: str = "", rate_hz: int = 16000) -> int:
    stream, found_hz = open_stream("input", device, rate_hz, lambda *_: None)
    stream.close()
    return found_hz


def test_a_device_opens_at_the_rate_wanted_or_at_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Devices(16000, 48000))
    assert opened() == opened("1") == opened("USB Mic") == 16000
    use(monkeypatch, Devices(48000))
    assert opened() == 48000


def test_without_the_package_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, None)
    with pytest.raises(DeviceError, match=r"^sounddevice: expected this package, found none; run: pip install sound"):
        opened()


def test_without_portaudio_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(DeviceError, match=r"PortAudio, found none; run: sudo apt install libportaudio2"):
        opened()


def test_without_a_microphone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Devices())
    expected = (
        r"^microphone: expected a connected device, got none \(PortAudioError: Error querying device -1\); connect"
    )
    with pytest.raises(DeviceError, match=expected):
        opened()
    with pytest.raises(DeviceError, match=r"^microphone: expected a connected device, got none; connect one"):
        microphones()


@pytest.mark.parametrize("device", ["7", "no such"])
def test_a_device_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    use(monkeypatch, Devices(16000))
    with pytest.raises(
        DeviceError, match=rf"got '{device}' \(ValueError: No input device.*choose one of --list-devices"
    ):
        opened(device)


def test_a_device_that_refuses_every_rate_says_what_it_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = Devices(48000)
    use(monkeypatch, devices)
    monkeypatch.setattr(devices, "rates_hz", (44100,))  # its own is not among what it then takes
    monkeypatch.setattr(devices, "query_devices", Devices(48000).query_devices)
    expected = (
        r"^microphone 'USB Mic': expected it to open at 16000 or 48000 Hz, got PortAudioError: Invalid sample rate"
    )
    with pytest.raises(DeviceError, match=expected):
        opened()


def test_a_device_that_opens_and_does_not_start_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    devices, said = Devices(16000, 48000), []

    class Stuck:
        def start(self) -> None:
            raise PortAudioError("Device unavailable")

        def close(self) -> None:
            said.append("closed")

    use(monkeypatch, devices)
    monkeypatch.setattr(devices, "InputStream", lambda **settings: said.append(settings["samplerate"]) or Stuck())
    with pytest.raises(
        DeviceError, match=r"at 16000 or 48000 Hz, got PortAudioError: Device unavailable; close what else"
    ):
        opened()
    assert said == [16000, "closed", 48000, "closed"]


def test_what_portaudio_prints_while_it_tries_is_not_seen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    devices = Devices(16000)
    open_ = devices.InputStream

    def chatty(**settings: object) -> object:
        os.write(2, b"ALSA lib pcm.c: Unknown PCM\n")  # as C prints
        return open_(**settings)

    use(monkeypatch, devices)
    monkeypatch.setattr(devices, "InputStream", chatty)
    opened()
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_microphones_are_listed_with_a_star_before_the_preferred_one(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Devices(44100))
    assert microphones() == ["*  1 USB Mic, 44100 Hz"]
