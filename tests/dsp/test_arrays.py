"""The checks that every kernel shares, tried through all of them."""

import numpy as np
import pytest

from audioprep.dsp.arrays import check_mono, check_positive
from audioprep.dsp.levels import clipped_fraction, dc_offset, envelope_db, peak_db, rms_db
from audioprep.dsp.loudness import integrated_lufs, true_peak_db
from audioprep.dsp.mel import log_mel, mel_filterbank, power_spectrogram
from audioprep.dsp.resample import resample
from audioprep.dsp.window import fit
from audioprep.errors import ShapeError

FILTERS = mel_filterbank(16000, 512, 40, 0.0, 8000.0)
KERNELS = {
    "rms_db": rms_db,
    "peak_db": peak_db,
    "dc_offset": dc_offset,
    "clipped_fraction": clipped_fraction,
    "envelope_db": lambda wave: envelope_db(wave, 160),
    "integrated_lufs": lambda wave: integrated_lufs(wave, 16000),
    "true_peak_db": true_peak_db,
    "power_spectrogram": lambda wave: power_spectrogram(wave, 512, 400, 160),
    "log_mel": lambda wave: log_mel(wave, FILTERS, win_samples=400, hop_samples=160),
    "resample": lambda wave: resample(wave, 8000, 16000),
    "fit": lambda wave: fit(wave, 100),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("shape", [(0,), (100, 2), ()])
def test_every_kernel_refuses_what_is_not_a_mono_wave(name, shape):
    with pytest.raises(ShapeError, match=r"expected samples \[T\] with T > 0, got shape"):
        KERNELS[name](np.zeros(shape, np.float32))


@pytest.mark.parametrize("name", KERNELS)
def test_every_kernel_refuses_integers(name):
    with pytest.raises(ShapeError, match=r"expected float samples, full scale 1\.0, got int16"):
        KERNELS[name](np.zeros(8000, np.int16))


@pytest.mark.parametrize("name", KERNELS)
def test_no_kernel_changes_its_input(name):
    wave_T = np.random.default_rng(0).normal(scale=0.1, size=8000).astype(np.float32)
    before_T = wave_T.copy()
    KERNELS[name](wave_T)
    np.testing.assert_array_equal(wave_T, before_T)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, -1.0])
def test_constants_stay_finite(name, value):
    result = KERNELS[name](np.full(8000, value, np.float32))
    assert result is None or np.isfinite(result).all()


def test_messages_name_the_kernel_and_the_value():
    check_mono("here", np.zeros(1))
    check_positive("here", rate_hz=1)
    with pytest.raises(ShapeError, match=r"^here: expected rate_hz > 0, got 0; mend that value$"):
        check_positive("here", num_samples=3, rate_hz=0)
