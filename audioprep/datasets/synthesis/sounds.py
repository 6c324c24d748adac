"""The sounds of the demo corpus: eight kinds, drawn wide enough to be confused with each other.

Every kind is a function `(num_samples, rate_hz, voice, rng) -> [T]`, float64, of any scale.

Shape letters: T samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """What makes one source differ from the next of its class; each in 0 to 1, with the class's own meaning."""

    pitch: float
    pace: float
    tone: float


def _siren(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    sweep_hz = 0.4 * 10**voice.pace
    sweep_T = np.sin(2 * np.pi * (sweep_hz * _time_s(num_samples, rate_hz) + rng.random()))
    frequency_T = 500 * 4**voice.pitch * 2 ** (0.45 * sweep_T)
    return _harmonics(frequency_T, rate_hz, roll_off=1.0 + voice.tone)


def _whistle(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    time_T = _time_s(num_samples, rate_hz)
    vibrato_T = np.sin(2 * np.pi * (4 + 4 * voice.pace) * time_T)
    frequency_T = 700 * 3.2**voice.pitch * 2 ** (0.25 * rng.normal() * time_T / time_T[-1] + 0.03 * vibrato_T)
    tone_T = _harmonics(frequency_T, rate_hz, roll_off=2.5) * _bursts(num_samples, rate_hz, rng, 0.5 + voice.pace)
    breath_T = level(noise(num_samples, rate_hz, rng, slope=0.5))
    return level(tone_T) + 0.3 * voice.tone * breath_T


def _bird(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    time_T = _time_s(num_samples, rate_hz)
    warble_T = np.sin(2 * np.pi * (6 + 14 * voice.pace) * time_T + 6 * rng.random())
    frequency_T = 1300 * 2**voice.pitch * 2 ** ((0.1 + 0.4 * voice.tone) * warble_T)
    return _harmonics(frequency_T, rate_hz, roll_off=2.0) * _bursts(num_samples, rate_hz, rng, 2 + 4 * voice.pace)


def _buzzer(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    frequency_T = np.full(num_samples, 90 * 5**voice.pitch)
    bursts_T = _bursts(num_samples, rate_hz, rng, 0.5 + 2 * voice.pace)
    return _harmonics(frequency_T, rate_hz, roll_off=0.4 + 0.8 * voice.tone) * bursts_T


def _engine(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    time_T = _time_s(num_samples, rate_hz)
    drift_T = 1 + 0.15 * rng.normal() * time_T + 0.02 * np.cumsum(rng.normal(size=num_samples)) / np.sqrt(rate_hz)
    frequency_T = np.clip(30 * 5**voice.pitch * drift_T, 15, 400)
    motor_T = level(_harmonics(frequency_T, rate_hz, roll_off=0.6 + 0.6 * voice.tone))
    return motor_T + voice.pace * level(noise(num_samples, rate_hz, rng, slope=1.5))


def _rain(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    drops_T = rng.random(num_samples) < (20 + 300 * voice.pace) / rate_hz
    ring_T = noise(num_samples, rate_hz, rng, slope=0.0) * _decays(drops_T, rate_hz, 0.003 + 0.01 * voice.tone)
    return level(ring_T) + (0.4 + voice.pitch) * level(noise(num_samples, rate_hz, rng, slope=1.2 * voice.tone))


def _drum(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    hits_T = _beats(num_samples, rate_hz, rng, 1.5 + 4 * voice.pace)
    skin_T = _harmonics(np.full(num_samples, 70 * 5**voice.pitch), rate_hz, roll_off=2.0)
    snare_T = level(noise(num_samples, rate_hz, rng, slope=0.7))
    return _decays(hits_T, rate_hz, 0.08) * level(skin_T) + voice.tone * _decays(hits_T, rate_hz, 0.05) * snare_T


def _bell(num_samples: int, rate_hz: int, voice: Voice, rng: np.random.Generator) -> Float64:
    hits_T = _beats(num_samples, rate_hz, rng, 0.8 + 3 * voice.pace)
    partials = np.array([0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 3.76])  # hum, prime, tierce, quint, nominal and above
    time_T, total_T = _time_s(num_samples, rate_hz), np.zeros(num_samples)
    for partial in partials[220 * 5**voice.pitch * partials < rate_hz / 2]:
        ring_T = np.sin(2 * np.pi * (220 * 5**voice.pitch * partial * time_T + rng.random()))
        total_T += ring_T * _decays(hits_T, rate_hz, (0.15 + 0.5 * voice.tone) / partial) / partial**0.7
    return total_T


SOUNDS: dict[str, Callable[[int, int, Voice, np.random.Generator], Float64]] = {
    "bell": _bell,
    "bird": _bird,
    "buzzer": _buzzer,
    "drum": _drum,
    "engine": _engine,
    "rain": _rain,
    "siren": _siren,
    "whistle": _whistle,
}


def _time_s(num_samples: int, rate_hz: int) -> Float64:
    return np.arange(num_samples) / rate_hz


def level(wave_T: Float64) -> Float64:
    """Return the wave at an RMS of 1."""
    return np.asarray(wave_T / np.sqrt(np.mean(np.square(wave_T)) + 1e-12))


def _harmonics(frequency_T: Float64, rate_hz: int, roll_off: float) -> Float64:
    """Return a tone of that course with the harmonics below Nyquist, the k-th at `k ** -roll_off`."""
    phase_T = 2 * np.pi * np.cumsum(frequency_T) / rate_hz
    num_harmonics = int(min(20, rate_hz / 2 / frequency_T.max()))
    previous_T, current_T = np.zeros(phase_T.size), np.sin(phase_T)
    turn_T, total_T = 2 * np.cos(phase_T), np.zeros(phase_T.size)
    for k in range(1, num_harmonics + 1):
        total_T += current_T * k**-roll_off
        # sin((k + 1) x) = 2 cos(x) sin(k x) - sin((k - 1) x): several times cheaper than a sine
        previous_T, current_T = current_T, turn_T * current_T - previous_T
    return total_T


def noise(num_samples: int, rate_hz: int, rng: np.random.Generator, slope: float) -> Float64:
    """Return noise whose power falls as `frequency ** -slope` above 50 Hz: 0 is white, 2 is brown."""
    frequency_hz = np.fft.rfftfreq(num_samples, 1 / rate_hz)
    spectrum = np.fft.rfft(rng.normal(size=num_samples)) * np.maximum(frequency_hz, 50) ** (-slope / 2)
    return np.fft.irfft(spectrum, num_samples)


def _bursts(num_samples: int, rate_hz: int, rng: np.random.Generator, per_second: float) -> Float64:
    """Return an on-off envelope, 0 to 1, that is on for half the time."""
    swing_T = np.sin(2 * np.pi * (per_second * _time_s(num_samples, rate_hz) + rng.random()))
    return np.asarray(1 / (1 + np.exp(-12 * swing_T)))


def _beats(num_samples: int, rate_hz: int, rng: np.random.Generator, per_second: float) -> npt.NDArray[np.bool_]:
    """Return True [T] where a stroke falls: nearly regular, the first within 0.3 s."""
    gaps_s = rng.uniform(0.8, 1.2, 64) / per_second
    strokes = np.rint((np.cumsum(gaps_s) - gaps_s[0] + rng.uniform(0, 0.3)) * rate_hz).astype(np.int64)
    hits_T = np.zeros(num_samples, np.bool_)
    hits_T[strokes[strokes < num_samples]] = True
    return hits_T


def _decays(hits_T: npt.NDArray[np.bool_], rate_hz: int, decay_s: float) -> Float64:
    """Return an envelope [T] that jumps to 1 at every stroke and falls by 1/e in `decay_s`; 0 before the first."""
    index_T = np.arange(hits_T.size)
    last_T = np.maximum.accumulate(np.where(hits_T, index_T, -1))
    return np.where(last_T < 0, 0.0, np.exp((last_T - index_T) / (decay_s * rate_hz)))
