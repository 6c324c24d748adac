import numpy as np
import pytest
from scipy.signal import welch

from audioprep.dsp.degrade import part_of_noise, pink_noise, white_noise, with_noise, with_reverb
from audioprep.errors import ShapeError

RATE_HZ = 16000


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(("make", "slope_db"), [(white_noise, 0.0), (pink_noise, -3.01)])
def test_noise_has_the_power_and_the_slope_of_its_colour(make, slope_db: float) -> None:
    noise_T = make(2**18, rng())
    assert np.mean(noise_T**2) == pytest.approx(1.0)
    frequency_hz, density = welch(noise_T, RATE_HZ, nperseg=2048)
    octaves_hz = 125 * 2 ** np.arange(6)
    power_db = [10 * np.log10(density[(frequency_hz >= f) & (frequency_hz < 2 * f)].mean()) for f in octaves_hz]
    assert np.polyfit(range(6), power_db, 1)[0] == pytest.approx(slope_db, abs=0.15)


def test_noise_is_as_much_weaker_as_is_asked() -> None:
    wave_T = np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)
    for snr_db in (20.0, 0.0, -6.0):
        noise_T = with_noise(wave_T, white_noise(RATE_HZ, rng()), snr_db, power=0.5) - wave_T
        assert 10 * np.log10(np.mean(wave_T**2) / np.mean(noise_T**2)) == pytest.approx(snr_db)


def test_recorded_noise_begins_again_where_it_is_short() -> None:
    noise_T = np.array([1.0, 2.0, 4.0])
    part_T = part_of_noise(noise_T, 7, rng())
    assert np.mean(part_T**2) == pytest.approx(1.0)
    np.testing.assert_allclose(part_T[:4], part_T[3:])
    np.testing.assert_allclose(np.sort(part_T[:3] / part_T[:3].min()), noise_T)


def test_noise_that_is_mostly_silent_sounds_all_the_same() -> None:
    noise_T = np.zeros(10_000)
    noise_T[5] = 1.0
    for seed in range(5):
        assert np.isfinite(part_of_noise(noise_T, 100, np.random.default_rng(seed))).all()


def test_silence_is_no_noise() -> None:
    with pytest.raises(ShapeError, match=r"noise: expected a sound, got silence; choose other noise"):
        part_of_noise(np.zeros(10), 5, rng())


def test_an_impulse_in_a_room_falls_by_60_db_in_its_reverberation_time() -> None:
    wave_T = np.zeros(RATE_HZ)
    wave_T[100] = 1.0
    wet_T = with_reverb(wave_T, RATE_HZ, 0.5, rng())
    assert np.mean(wet_T**2) == pytest.approx(np.mean(wave_T**2))
    assert not wet_T[:99].round(9).any()
    # Schroeder's backward integral of the tail, between 5 and 35 dB below its start.
    energy_T = np.cumsum(wet_T[:100:-1] ** 2)[::-1]
    level_db = 10 * np.log10(energy_T[: RATE_HZ // 2] / energy_T[0])
    first, last = np.argmax(level_db < -5), np.argmax(level_db < -35)
    assert 2 * (last - first) / RATE_HZ == pytest.approx(0.5, rel=0.1)
    direct = wet_T[100] ** 2 / (wet_T[101:] ** 2).sum()
    assert direct == pytest.approx(1.0, rel=0.02)


def test_silence_stays_silence_and_bad_waves_are_refused() -> None:
    assert not with_reverb(np.zeros(50), RATE_HZ, 0.1, rng()).any()
    with pytest.raises(ShapeError, match=r"with_reverb: expected samples \[T\]"):
        with_reverb(np.zeros((2, 5)), RATE_HZ, 0.1, rng())
