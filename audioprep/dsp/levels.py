"""Plain levels of a recording: RMS, peak, DC offset, clipping, and the envelope that trimming reads.

Shape letters: T samples, E envelope frames.
"""

import numpy as np
import numpy.typing as npt

from audioprep.dsp.arrays import Float64, Int8, Wave, check_mono, check_positive

ENVELOPE_FLOOR_DB = -120
_CLIPPED_LEVEL = 0.999  # full scale of 16-bit audio is 32767 / 32768; leave room for a decoder's rounding
_CLIPPED_RUN_SAMPLES = 3  # a sine touches its own maximum once or twice; a flat top is longer


def rms_db(wave_T: Wave) -> float | None:
    """Return the root mean square of a recording, dB re full scale (a full-scale square wave is 0 dB).

    Args:
        wave_T: Samples [T], float, full scale = 1.0.

    Returns:
        The level, dB; None for digital silence.

    Raises:
        ShapeError: `wave_T` is not a mono wave.
    """
    check_mono("rms_db", wave_T)
    return power_db(float(np.mean(np.square(wave_T, dtype=np.float64))))


def peak_db(wave_T: Wave) -> float | None:
    """Return the largest absolute sample, dB re full scale.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.

    Returns:
        The level, dB; None for digital silence.

    Raises:
        ShapeError: `wave_T` is not a mono wave.
    """
    check_mono("peak_db", wave_T)
    return amplitude_db(max(float(wave_T.max()), -float(wave_T.min())))


def amplitude_db(amplitude: float) -> float | None:
    """Return an amplitude in dB re 1.0; None for zero."""
    return 20.0 * float(np.log10(amplitude)) if amplitude > 0 else None


def power_db(power: float) -> float | None:
    """Return a power in dB re 1.0; None for zero."""
    return 10.0 * float(np.log10(power)) if power > 0 else None


def dc_offset(wave_T: Wave) -> float:
    """Return the mean of the samples, full scale = 1.0.

    Args:
        wave_T: Samples [T], float.

    Raises:
        ShapeError: `wave_T` is not a mono wave.
    """
    check_mono("dc_offset", wave_T)
    return float(np.mean(wave_T, dtype=np.float64))


def clipped_fraction(wave_T: Wave) -> float:
    """Return the share of samples on flat tops at full scale.

    A flat top is a run of at least three samples that all equal the recording's largest value, where that is 0.999 or
    more, or its smallest, where that is -0.999 or less. Measure before resampling, which rounds the tops.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.

    Returns:
        Fraction of the T samples, 0 to 1.

    Raises:
        ShapeError: `wave_T` is not a mono wave.
    """
    check_mono("clipped_fraction", wave_T)
    highest, lowest = wave_T.max(), wave_T.min()
    clipped_samples = 0
    if highest >= _CLIPPED_LEVEL:
        clipped_samples += _samples_in_runs(np.flatnonzero(wave_T == highest))
    if lowest <= -_CLIPPED_LEVEL:
        clipped_samples += _samples_in_runs(np.flatnonzero(wave_T == lowest))
    return clipped_samples / wave_T.size


def envelope_db(wave_T: Wave, frame_samples: int) -> Int8:
    """Return the RMS of each frame in whole decibels: coarse, but all that trimming needs.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        frame_samples: Length of a frame, samples; frames do not overlap, and the last may be shorter.

    Returns:
        Levels [E], int8, dB re full scale, -120 (silence) to 0, `E = ceil(T / frame_samples)`.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or `frame_samples` is not positive.
    """
    check_mono("envelope_db", wave_T)
    check_positive("envelope_db", frame_samples=frame_samples)
    return energy_envelope_db(frame_energy(wave_T, frame_samples), wave_T.size, frame_samples)


def frame_energy(wave_T: Wave, frame_samples: int) -> Float64:
    """Return the sum of squares of each frame: of samples in steps of 16 bits it is exact, in whatever order it is summed.

    Args:
        wave_T: Samples [T], float, full scale = 1.0.
        frame_samples: Length of a frame, samples; frames do not overlap, and the last may be shorter.

    Returns:
        Energies [E], float64, `E = ceil(T / frame_samples)`.

    Raises:
        ShapeError: `wave_T` is not a mono wave, or `frame_samples` is not positive.
    """
    check_mono("frame_energy", wave_T)
    check_positive("frame_energy", frame_samples=frame_samples)
    energy_E: Float64 = np.add.reduceat(np.square(wave_T, dtype=np.float64), np.arange(0, wave_T.size, frame_samples))
    return energy_E


def energy_envelope_db(energy_E: Float64, num_samples: int, frame_samples: int) -> Int8:
    """Return the envelope that belongs to the energies of `frame_energy`, as `envelope_db` does."""
    samples_E = np.full(energy_E.size, frame_samples)
    samples_E[-1] = num_samples - frame_samples * (energy_E.size - 1)
    decibel_E: Float64 = 10.0 * np.log10(np.maximum(energy_E / samples_E, 10.0 ** (ENVELOPE_FLOOR_DB / 10.0)))
    return np.rint(np.minimum(decibel_E, 0.0)).astype(np.int8)


def _samples_in_runs(places: npt.NDArray[np.intp]) -> int:
    """Return how many of the places, in rising order, stand in runs of at least three."""
    run_ends = np.append(np.flatnonzero(np.diff(places) != 1) + 1, places.size)
    run_samples = np.diff(run_ends, prepend=0)
    return int(run_samples[run_samples >= _CLIPPED_RUN_SAMPLES].sum())
