"""Two ways to weigh; witness: each other, and scipy's response of the sections."""

import numpy as np
import pytest
from scipy.signal import freqz_sos

from audioprep.dsp import k_recursion
from audioprep.dsp.k_weighting import _response, k_weighted, k_weighting


@pytest.mark.parametrize("rate_hz", [2000, 8000, 16000, 44100, 48000])
@pytest.mark.parametrize("duration_s", [0.001, 0.3, 1.75, 5.0])
def test_by_the_spectrum_and_recursively_is_the_same(rate_hz: int, duration_s: float) -> None:
    wave_T = np.random.default_rng(0).normal(size=max(1, round(duration_s * rate_hz))).astype(np.float32)
    np.testing.assert_allclose(k_weighted(wave_T, rate_hz), k_recursion.k_weighted(wave_T, rate_hz), atol=1e-9)


def test_the_response_is_that_of_the_sections() -> None:
    _, expected_F = freqz_sos(k_weighting(16000), np.linspace(0, np.pi, 513))
    np.testing.assert_allclose(_response(16000, 1024), expected_F, atol=1e-12)
