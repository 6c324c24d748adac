"""What is played is what was given, at the loudspeaker's rate."""

import sys

import numpy as np
import pytest
from bundles import RATE_HZ
from stand_in_devices import Devices
from tones import plain_tone

from audioprep.edge.loudspeaker import Loudspeaker
from audioprep.errors import DeviceError


def played(monkeypatch: pytest.MonkeyPatch, devices: Devices, wave_T: np.ndarray) -> np.ndarray:
    """Return what a loudspeaker plays, from its first sound on."""
    monkeypatch.setitem(sys.modules, "sounddevice", devices)
    loudspeaker = Loudspeaker()
    loudspeaker.play(wave_T, RATE_HZ)
    while loudspeaker.is_playing:
        pass
    loudspeaker.stop()
    assert devices.num_open == 0
    heard_T = np.float32(devices.played)
    return heard_T[np.flatnonzero(heard_T)[0] :]


def test_sound_is_played_once_and_then_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    wave_T = plain_tone(300.0, 0.35)[1:]
    heard_T = played(monkeypatch, Devices(RATE_HZ), wave_T)
    np.testing.assert_array_equal(heard_T[: len(wave_T)], wave_T)
    assert not heard_T[len(wave_T) :].any()


def test_a_loudspeaker_of_another_rate_plays_the_same_tone(monkeypatch: pytest.MonkeyPatch) -> None:
    heard_T = played(monkeypatch, Devices(48000), plain_tone(300.0, 0.5))
    middle_T = heard_T[4800:][:9600]
    spectrum_F = np.abs(np.fft.rfft(middle_T)) / 4800
    assert (spectrum_F.argmax() * 5, spectrum_F.max()) == (300, pytest.approx(0.1, rel=1e-3))


def test_what_is_stopped_is_not_played_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Devices(RATE_HZ))
    loudspeaker = Loudspeaker()
    loudspeaker.play(plain_tone(300.0, 5.0), RATE_HZ)
    assert loudspeaker.is_playing
    loudspeaker.stop()
    assert not loudspeaker.is_playing


def test_without_a_loudspeaker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", Devices())
    with pytest.raises(DeviceError, match=r"^loudspeaker: expected a connected device, got none"):
        Loudspeaker().play(plain_tone(300.0, 0.1), RATE_HZ)
