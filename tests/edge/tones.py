"""Sounds that the bundle of `bundles.py` tells apart, as a microphone gives them."""

import numpy as np
from bundles import RATE_HZ


def plain_tone(frequency_hz: float, duration_s: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Return a tone [T], float32, without silence before it."""
    time_T = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.1 * np.sin(2 * np.pi * frequency_hz * time_T)).astype(np.float32)


def low_then_high(rate_hz: int = RATE_HZ) -> np.ndarray:
    """Return two seconds of a low tone, two of a high one, and one of silence [T]."""
    parts = (plain_tone(300.0, 2.0, rate_hz), plain_tone(5000.0, 2.0, rate_hz), np.zeros(rate_hz, np.float32))
    return np.concatenate(parts)
