"""Each transform has a witness that knows nothing of how it was done: the change is measured in what comes out."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audioprep.config.augment import AugmentRule
from audioprep.dsp.wave_augment import Sounds, _transforms, augmented_wave
from audioprep.errors import ShapeError

RATE_HZ = 16000
SILENT = Sounds()
NONE = {name: {"prob": 0.0} for name in AugmentRule.model_fields if name not in {"copies", "seed"}}
ALL = AugmentRule.model_validate({name: {"prob": 1.0} for name in NONE})
SECONDS_T = np.arange(2 * RATE_HZ) / RATE_HZ
TONE_T = (0.3 * np.sin(2 * np.pi * 440 * SECONDS_T)).astype(np.float32)


def only(name: str, **settings: Any) -> AugmentRule:
    """Return a rule by which one thing is done, always."""
    return AugmentRule.model_validate({**NONE, name: {"prob": 1.0, **settings}})


def changed(wave_T: np.ndarray, rule: AugmentRule, sounds: Sounds = SILENT, clip: str = "a", copy: int = 1) -> Any:
    return augmented_wave(wave_T, RATE_HZ, rule, sounds, clip, copy)


def drawn(rule: AugmentRule, name: str) -> float:
    """Return what the only transform of a rule says that it drew last."""
    (transform,) = _transforms(rule, Sounds())
    return float(transform.parameters[name])


def clicks_at(*times_s: float) -> np.ndarray:
    """Return short bursts in silence."""
    wave_T = np.zeros(2 * RATE_HZ, np.float32)
    for time_s in times_s:
        start = round(time_s * RATE_HZ)
        wave_T[start : start + 64] = np.hanning(64)
    return wave_T


def noise(seed: int = 0, num_samples: int = 2 * RATE_HZ) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(num_samples)).astype(np.float32)


def power_db(wave_T: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(wave_T, dtype=np.float64))))


def peak_hz(wave_T: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(wave_T * np.hanning(len(wave_T)), 16 * RATE_HZ))) / 16)


def centre_s(wave_T: np.ndarray, start_s: float, stop_s: float) -> float:
    """Return where the energy of a part of a wave has its middle."""
    energy_T = np.square(wave_T, dtype=np.float64)
    part = slice(round(start_s * RATE_HZ), round(stop_s * RATE_HZ))
    return float((energy_T[part] * np.arange(part.start, part.stop)).sum() / energy_T[part].sum() / RATE_HZ)


@pytest.mark.parametrize("copy", [1, 2, 3])
def test_a_stretched_tone_keeps_its_pitch_and_clicks_move_apart(copy: int) -> None:
    rule = only("time_stretch", max_factor=1.5)
    out_T = changed(TONE_T, rule, copy=copy)[: RATE_HZ + RATE_HZ // 4]
    assert peak_hz(out_T) == pytest.approx(440, abs=1)
    clicks_T = changed(clicks_at(0.3, 0.9), rule, copy=copy)
    factor = drawn(rule, "rate")
    assert 1 / 1.5 <= factor <= 1.5
    assert factor != pytest.approx(1, abs=0.01)
    middle_s = 0.6 / factor
    apart_s = centre_s(clicks_T, middle_s, 2.0) - centre_s(clicks_T, 0.0, middle_s)
    assert apart_s == pytest.approx(0.6 / factor, abs=0.03)


@pytest.mark.parametrize("copy", [1, 2, 3])
def test_a_shifted_pitch_moves_by_its_semitones_and_nothing_moves_in_time(copy: int) -> None:
    rule = only("pitch_shift", max_semitones=4.0)
    found_hz = peak_hz(changed(TONE_T, rule, copy=copy))
    semitones = drawn(rule, "num_semitones")
    assert 0.01 < abs(semitones) <= 4
    assert 12 * np.log2(found_hz / 440) == pytest.approx(semitones, abs=0.15)
    clicks_T = changed(clicks_at(0.5, 1.5), rule, copy=copy)
    assert centre_s(clicks_T, 0.0, 1.0) == pytest.approx(0.5, abs=0.03)
    assert centre_s(clicks_T, 1.0, 2.0) == pytest.approx(1.5, abs=0.03)


def test_a_shift_is_a_circle() -> None:
    wave_T = noise()
    out_T = changed(wave_T, only("shift"))
    spectra = np.fft.rfft(out_T) * np.conj(np.fft.rfft(wave_T))
    correlation_T = np.fft.irfft(spectra) / np.sum(np.square(wave_T, dtype=np.float64))
    shift = int(np.argmax(correlation_T))
    assert shift != 0
    assert correlation_T[shift] > 0.98, "but for the fade where the ends meet"
    differs = np.abs(out_T - np.roll(wave_T, shift)) > 1e-6
    assert differs.sum() <= 2 * 0.005 * RATE_HZ


def test_a_synthetic_room_has_its_reverberation_time_and_keeps_the_power() -> None:
    wave_T = clicks_at(0.1)
    out_T = changed(wave_T, only("room", rt60_s=[0.5, 0.5])).astype(np.float64)
    assert power_db(out_T) == pytest.approx(power_db(wave_T), abs=0.01)
    # Schroeder 1965: the energy still to come falls by 60 dB in a reverberation time.
    left_db = 10 * np.log10(np.cumsum(out_T[::-1] ** 2)[::-1])
    first, last = (round((0.1 + time_s) * RATE_HZ) for time_s in (0.05, 0.25))
    assert (left_db[first] - left_db[last]) / 0.2 * 0.5 == pytest.approx(60, rel=0.1)


def test_a_recorded_room_is_convolved_with_and_keeps_the_power(tmp_path: Path) -> None:
    response_T = np.zeros(4800)
    response_T[[0, 3200]] = 0.9, 0.45
    soundfile.write(tmp_path / "room.flac", response_T, RATE_HZ)
    wave_T = clicks_at(0.5)
    out_T = changed(wave_T, only("room"), Sounds((), (str(tmp_path / "room.flac"),)))
    assert power_db(out_T) == pytest.approx(power_db(wave_T), abs=0.01)
    expected_T = wave_T + 0.5 * np.roll(wave_T, 3200)
    np.testing.assert_allclose(out_T, expected_T / np.sqrt(1.25), atol=1e-3)


@pytest.mark.parametrize("snr_db", [-5.0, 20.0])
def test_a_background_is_part_of_a_file_at_its_level(tmp_path: Path, snr_db: float) -> None:
    long_T, wave_T = noise(3, 5 * RATE_HZ), noise()
    soundfile.write(tmp_path / "long.flac", long_T, RATE_HZ)
    rule = only("background", snr_db=[snr_db, snr_db])
    added_T = changed(wave_T, rule, Sounds((str(tmp_path / "long.flac"),))) - wave_T
    assert power_db(wave_T) - power_db(added_T) == pytest.approx(snr_db, abs=0.02)
    sums = np.correlate(long_T, added_T, "valid")
    start = int(np.argmax(sums))
    part_T = long_T[start : start + len(added_T)]
    assert sums[start] / np.linalg.norm(part_T) / np.linalg.norm(added_T) == pytest.approx(1, abs=1e-3)


def test_without_files_there_is_no_background() -> None:
    np.testing.assert_array_equal(changed(TONE_T, only("background")), TONE_T)


@pytest.mark.parametrize("slope_db", [-6.0, 0.0, 6.0])
def test_coloured_noise_has_its_level_and_its_slope(slope_db: float) -> None:
    rule = only("colour_noise", snr_db=[12.0, 12.0], slope_db=[slope_db, slope_db])
    added_T = changed(TONE_T, rule) - TONE_T
    assert power_db(TONE_T) - power_db(added_T) == pytest.approx(12, abs=0.05)
    power_F = np.abs(np.fft.rfft(added_T)) ** 2
    octaves_db = [10 * np.log10(power_F[2 * low_hz : 4 * low_hz].mean()) for low_hz in (1000, 2000, 4000)]
    np.testing.assert_allclose(np.diff(octaves_db), slope_db, atol=2.0)


def test_a_band_pass_removes_a_tone_out_of_its_band() -> None:
    low_T, high_T = (0.2 * np.sin(2 * np.pi * hz * SECONDS_T) for hz in (400, 6000))
    rule = only("band_pass", centre_hz=[400, 400], width=[0.8, 0.8])
    out_T = changed((low_T + high_T).astype(np.float32), rule)
    level_F = 20 * np.log10(np.abs(np.fft.rfft(out_T))[[800, 12000]] / np.abs(np.fft.rfft(low_T))[800])
    assert level_F[0] == pytest.approx(0, abs=1.5)
    assert level_F[1] < -35


@pytest.mark.parametrize("gain_db", [-9.0, 4.0])
def test_a_gain_is_a_gain(gain_db: float) -> None:
    out_T = changed(TONE_T, only("gain", range_db=[gain_db, gain_db]))
    np.testing.assert_allclose(out_T, TONE_T * 10 ** (gain_db / 20), rtol=1e-6)


@pytest.mark.parametrize("num_samples", [1, 300, 4801, 2 * RATE_HZ])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_all_of_it_keeps_length_and_silence_finite(tmp_path: Path, num_samples: int, level: float) -> None:
    for name in ("noise", "room"):
        soundfile.write(tmp_path / f"{name}.flac", noise(1, 8000), RATE_HZ)
    wave_T = noise(2, num_samples) * np.float32(level)
    before_T = wave_T.copy()
    sounds = Sounds((str(tmp_path / "noise.flac"),), (str(tmp_path / "room.flac"),))
    out_T = changed(wave_T, ALL, sounds)
    assert (out_T.shape, out_T.dtype) == ((num_samples,), np.float32)
    assert np.isfinite(out_T).all()
    assert level or not out_T.any()
    np.testing.assert_array_equal(wave_T, before_T)


def test_a_copy_depends_on_seed_clip_and_number_alone() -> None:
    wave_T = noise()
    first_T = changed(wave_T, ALL)
    for other_T in (
        changed(wave_T, ALL, clip="b"),
        changed(wave_T, ALL, copy=2),
        changed(wave_T, ALL.model_copy(update={"seed": 1})),
    ):
        assert (other_T != first_T).any()
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002 - what audiomentations draws from
    np.testing.assert_array_equal(changed(wave_T, ALL), first_T)
    after = random.random(), np.random.random()  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    assert after == (random.random(), np.random.random()), "what others draw is what it was"  # noqa: NPY002


def test_chance_decides_what_is_done() -> None:
    rule = AugmentRule.model_validate({**NONE, "gain": {"prob": 0.25, "range_db": [-6, -6]}})
    num_changed = sum(not np.array_equal(changed(TONE_T[:8], rule, copy=copy), TONE_T[:8]) for copy in range(400))
    assert num_changed == pytest.approx(100, abs=30)


def test_waves_of_several_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"augmented_wave: expected .* mono"):
        changed(np.zeros((2, 8), np.float32), ALL)
