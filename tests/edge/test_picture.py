"""Pictures show what is there, where it is."""

import numpy as np
import pytest

from audioprep.edge.picture import outline, spectrogram_ppm


def pixels(values_NM: np.ndarray, width: int, height: int) -> np.ndarray:
    head, data = spectrogram_ppm(np.float32(values_NM), width, height).split(b"\n", 1)
    assert head == f"P6 {width} {height} 255".encode()
    return np.frombuffer(data, np.uint8).reshape(height, width, 3).astype(int)


@pytest.mark.parametrize(("width", "height"), [(40, 16), (7, 5), (300, 200)])
def test_time_goes_right_and_frequency_goes_up(width: int, height: int) -> None:
    values_NM = np.full((80, 32), -90.0)
    values_NM[60:, :8] = -10.0  # late and low
    bright_HW = pixels(values_NM, width, height).sum(2)
    assert bright_HW[-1, -1] == bright_HW.max()
    assert bright_HW[0].max() == bright_HW[:, 0].max() == bright_HW.min()


def test_brightness_rises_with_the_level() -> None:
    bright_W = pixels(np.linspace(-80, 0, 64)[:, None] + np.zeros(4), 64, 4).sum(2)[0]
    assert (np.diff(bright_W) >= 0).all()
    assert bright_W[-1] > 4 * bright_W[0]


def test_features_that_are_all_alike_are_a_picture_too() -> None:
    assert len(np.unique(pixels(np.zeros((3, 2)), 10, 10).reshape(-1, 3), axis=0)) == 1


@pytest.mark.parametrize("num_samples", [3, 10, 1000])
def test_the_outline_touches_the_extremes(num_samples: int) -> None:
    wave_T = np.random.default_rng(num_samples).uniform(-1, 1, num_samples).astype(np.float32)
    low_W, high_W = outline(wave_T, 10)
    assert (low_W.shape, high_W.shape) == ((10,), (10,))
    assert (low_W.min(), high_W.max()) == (wave_T.min(), wave_T.max())
    assert (low_W <= high_W).all()
