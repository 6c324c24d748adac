"""From a stored recording and its decisions to features.

Shape letters: T samples, N frames, M bins.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.mel import log_mel_bands, mel_filterbank, with_top_db
from audioprep.dsp.mfcc import deltas, mfcc
from audioprep.dsp.window import fit

Rule = Mapping[str, Any]


def windowed(wave_T: np.ndarray, cut: dict[str, Any], window_samples: int) -> np.ndarray:
    """Return the decided part of a recording at its decided gain, fitted to the window.

    Args:
        wave_T: Samples [T], float32, of the stored recording.
        cut: `start` and `stop` in samples, `gain_db`, `pad`.
        window_samples: Length of the result.
    """
    part_T = wave_T[cut["start"] : cut["stop"]] * np.float32(10 ** (cut["gain_db"] / 20))
    return fit(part_T, window_samples, cut["pad"])


def feature_kernel(kind: str, rule: Rule, rate_hz: int) -> Callable[[Wave], Float32]:
    """Return the function from a windowed wave [T] to features [N, M], float32, of one kind.

    Args:
        kind: `logmel` or `mfcc`.
        rule: Its section of params.yaml, as plain values.
        rate_hz: Sampling rate of the wave.
    """
    kernels = feature_kernels({kind: rule}, rate_hz)
    return lambda wave_T: kernels(wave_T)[kind]


def feature_kernels(rules: Mapping[str, Rule], rate_hz: int) -> Callable[[Wave], dict[str, Float32]]:
    """Return the function from a windowed wave [T] to the features of several kinds, each [N, M], float32.

    Kinds that frame the wave alike share one spectrum and one logarithm of it; what comes out is, to the bit, what each
    would be alone.

    Args:
        rules: For each kind (`logmel`, `mfcc`) its section of params.yaml, as plain values.
        rate_hz: Sampling rate of the wave.
    """
    groups = defaultdict(list)
    for kind, rule in rules.items():
        groups[_framing(rule, rate_hz)].append(kind)
    passes = [(framing, _Bands(kinds, rules, rate_hz)) for framing, kinds in groups.items()]

    def features_of(wave_T: Wave) -> dict[str, Float32]:
        found = {}
        for (_, win_samples, hop_samples), bands in passes:
            decibel_MN = log_mel_bands(wave_T, bands.filters, win_samples=win_samples, hop_samples=hop_samples)
            for kind, own in bands.rows.items():
                found[kind] = _finished(kind, rules[kind], decibel_MN[own])
        return found

    return features_of


class _Bands:
    """The filterbanks of kinds that frame the wave alike, in one, and the rows of each kind in it."""

    def __init__(self, kinds: list[str], rules: Mapping[str, Rule], rate_hz: int) -> None:
        banks = [csr_array(_filters(rules[kind], rate_hz)) for kind in kinds]
        stops = np.cumsum([bank.shape[0] for bank in banks])
        self.filters = vstack(banks, format="csr")
        self.rows = {
            kind: slice(stop - bank.shape[0], stop) for kind, bank, stop in zip(kinds, banks, stops, strict=True)
        }


def _framing(rule: Rule, rate_hz: int) -> tuple[int, int, int]:
    """Return n_fft, window and hop, in samples: what decides the spectrum besides the wave."""
    return rule["n_fft"], round(rule["win_ms"] * rate_hz / 1000), round(rule["hop_ms"] * rate_hz / 1000)


def _filters(rule: Rule, rate_hz: int) -> Float32:
    fmax_hz = rule["fmax_hz"] or rate_hz / 2
    scale, norm = rule["mel_scale"], rule["mel_norm"]
    return mel_filterbank(rate_hz, rule["n_fft"], rule["n_mels"], rule["fmin_hz"], fmax_hz, scale, norm)


def _finished(kind: str, rule: Rule, decibel_MN: Float32) -> Float32:
    """Return the features [N, M] that a kind makes of its log-mel bands."""
    log_mel_NM = np.ascontiguousarray(with_top_db(decibel_MN, rule["top_db"]).T)
    if kind == "logmel":
        return log_mel_NM
    orders = [mfcc(log_mel_NM, rule["n_mfcc"])]
    for _ in range(rule["deltas"]):
        orders.append(deltas(orders[-1]))
    return np.concatenate(orders, axis=1)
