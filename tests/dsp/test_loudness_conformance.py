"""What a loudness meter must read, by EBU Tech 3341 and ITU-R BS.2217: their signals, synthesised from their descriptions.

Their tones are in two channels, and each is -23 dBFS where the reading is -23 LUFS: two channels of one power are 3.01 LU louder
than one. A recording here is one channel of weight 1, so it reads 3.01 LU below what the documents say, and all expected
values are theirs less that. Cases 6 (surround), 7 and 8 (recorded programmes) and 9 to 14 (momentary and short-term loudness)
do not apply.
"""

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import sosfreqz

from audioprep.dsp.k_weighting import k_weighting
from audioprep.dsp.loudness import integrated_lufs, true_peak_db
from audioprep.dsp.resample import resample

ONE_CHANNEL_LU = -10 * np.log10(2)
RATES_HZ = [48000, 44100, 16000]
# Tech 3341, table 1: level in dBFS and seconds of each part of a 1 kHz tone, and the reading for two channels.
PARTS = {
    "1": ([(-23.0, 20.0)], -23.0),
    "2": ([(-33.0, 20.0)], -33.0),
    "3": ([(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)], -23.0),
    "4": ([(-72.0, 10.0), (-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0), (-72.0, 10.0)], -23.0),
    "5": ([(-26.0, 20.0), (-20.0, 20.1), (-26.0, 20.0)], -23.0),
}
# Tech 3341, cases 15 to 19: samples per period, phase in degrees, amplitude, and the reading in dBTP.
TONES = {"15": (4, 0.0, 0.5, -6.0), "16": (4, 45.0, 0.5, -6.0), "17": (6, 60.0, 0.5, -6.0), "18": (8, 67.5, 0.5, -6.0)}
TONES |= {"19": (4, 45.0, 1.41, 3.0)}
BELOW_DB, ABOVE_DB = 0.4, 0.2


def tone(frequency_hz, rate_hz, seconds, level_db):
    """Return a sine whose amplitude is `level_db` below full scale."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return 10 ** (level_db / 20) * np.sin(2 * np.pi * frequency_hz * time_s)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("case", PARTS)
def test_gated_loudness(case, rate_hz):
    parts, two_channels_lufs = PARTS[case]
    wave_T = np.concatenate([tone(1000.0, rate_hz, seconds, level_db) for level_db, seconds in parts])
    assert integrated_lufs(wave_T, rate_hz) == pytest.approx(two_channels_lufs + ONE_CHANNEL_LU, abs=0.1)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("frequency_hz", [25.0, 100.0, 500.0, 1000.0, 2000.0])
@pytest.mark.parametrize("expected_lufs", [-23.0, -24.0])
def test_tones_of_one_loudness(frequency_hz, expected_lufs, rate_hz):
    """BS.2217: tones whose levels undo the K curve, which is taken from the 48 kHz filters here, whatever the rate."""
    _, gain = sosfreqz(k_weighting(48000), [frequency_hz], fs=48000)
    # A sine of amplitude 1 has a mean square of 1/2; the standard's offset is -0.691.
    level_db = expected_lufs + 0.691 + 10 * np.log10(2) - 20 * np.log10(abs(gain[0]))
    wave_T = tone(frequency_hz, rate_hz, 20.0, level_db)
    assert integrated_lufs(wave_T, rate_hz) == pytest.approx(expected_lufs, abs=0.1)


def test_a_tone_of_10_khz():
    """BS.2217 has it at 48 kHz; at 44.1 kHz the bilinear transform is still that close."""
    _, gain = sosfreqz(k_weighting(48000), [10_000.0], fs=48000)
    level_db = -23.0 + 0.691 + 10 * np.log10(2) - 20 * np.log10(abs(gain[0]))
    for rate_hz in (48000, 44100):
        assert integrated_lufs(tone(10_000.0, rate_hz, 20.0, level_db), rate_hz) == pytest.approx(-23.0, abs=0.1)


def faded(wave_T, fade_samples=2000):
    """Return a wave with soft ends: a tone that starts at once has components at all frequencies, and another peak."""
    ramp_T = np.sin(np.pi / 2 * np.arange(fade_samples) / fade_samples) ** 2
    return wave_T * np.concatenate([ramp_T, np.ones(len(wave_T) - 2 * fade_samples), ramp_T[::-1]])


@pytest.mark.parametrize("case", TONES)
def test_true_peak_of_tones(case):
    period_samples, phase_deg, amplitude, expected_db = TONES[case]
    phase_T = 2 * np.pi * np.arange(20_000) / period_samples + np.deg2rad(phase_deg)
    read_db = true_peak_db(faded(amplitude * np.sin(phase_T)))
    assert expected_db - BELOW_DB <= read_db <= expected_db + ABOVE_DB


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
def test_true_peak_wherever_it_lies(quarter):
    """As cases 20 to 23: a tone at half of full scale that swells to 0 dBTP once, 0 to 3 quarters after a sample."""
    time_T = np.arange(-10_000, 10_000) + quarter / 4
    swell_T = 0.5 + 0.5 * np.exp(-np.square(time_T / 40.0))
    read_db = true_peak_db(faded(swell_T * np.cos(2 * np.pi * time_T / 6)))
    assert -BELOW_DB <= read_db <= ABOVE_DB


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_coloured_noise_reads_as_in_pyloudnorm(rate_hz, seed):
    """Noise that falls by 0 to 9 dB an octave, in bursts: both gates and the whole K curve take part."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=8 * rate_hz))
    spectrum /= np.maximum(np.fft.rfftfreq(8 * rate_hz, 1 / rate_hz), 20.0) ** (0.5 * seed)
    wave_T = np.fft.irfft(spectrum) * np.repeat(10.0 ** rng.uniform(-2.5, 0, 16), rate_hz // 2)
    wave_T *= 0.5 / np.abs(wave_T).max()
    theirs = pyloudnorm.Meter(rate_hz).integrated_loudness(wave_T)
    assert integrated_lufs(wave_T, rate_hz) == pytest.approx(theirs, abs=0.1)


@pytest.mark.real
def test_recordings_read_as_in_pyloudnorm(shared_data):
    """Both at the rate of the files and at 16 kHz, where the stages measure; pyloudnorm has no word for what is all gated."""
    meters = {rate_hz: pyloudnorm.Meter(rate_hz) for rate_hz in (44100, 16000)}
    for path in sorted((shared_data / "esc10" / "audio").glob("*.ogg"))[::10]:
        wave_T, file_rate_hz = soundfile.read(path, dtype="float32")
        for rate_hz, meter in meters.items():
            at_rate_T = resample(wave_T, file_rate_hz, rate_hz)
            theirs, ours = meter.integrated_loudness(at_rate_T), integrated_lufs(at_rate_T, rate_hz)
            if ours is None:
                assert not np.isfinite(theirs), path.name
            else:
                assert ours == pytest.approx(theirs, abs=0.1), (path.name, rate_hz)
