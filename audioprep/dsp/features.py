"""From a stored recording and its decisions to features.

Shape letters: T samples, N frames, M bins, F bins of the spectrum.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import numpy as np
from scipy.sparse import csr_array, eye_array, vstack

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.chroma import chroma, chroma_filterbank
from audioprep.dsp.decibel import levels_db
from audioprep.dsp.deltas import with_deltas
from audioprep.dsp.descriptors import ONSET_MELS, descriptors
from audioprep.dsp.mel import band_powers, mel_filterbank
from audioprep.dsp.mfcc import mfcc
from audioprep.dsp.window import fit

Rule = Mapping[str, Any]
# The one kind that comes from a pretrained network and not from the spectrum.
EMBEDDING = "embedding"


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
        kind: One of `features.kinds`, such as `logmel`.
        rule: Its section of params.yaml, as plain values.
        rate_hz: Sampling rate of the wave.

    Raises:
        ModelError: An embedding's pretrained model cannot be used.
    """
    kernels = feature_kernels({kind: rule}, rate_hz)
    return lambda wave_T: kernels(wave_T)[kind]


def feature_kernels(rules: Mapping[str, Rule], rate_hz: int) -> Callable[[Wave], dict[str, Float32]]:
    """Return the function from a windowed wave [T] to the features of several kinds, each [N, M], float32.

    Kinds that frame the wave alike share one spectrum; what comes out is, to the bit, what each would be alone.

    Args:
        rules: For each kind (`logmel`, `mfcc`, ...) its section of params.yaml, as plain values.
        rate_hz: Sampling rate of the wave.

    Raises:
        ModelError: An embedding's pretrained model cannot be used.
    """
    groups = defaultdict(list)
    for kind, rule in rules.items():
        if kind != EMBEDDING:
            groups[_framing(rule, rate_hz)].append(kind)
    passes = [(framing, _Bands(kinds, rules, rate_hz)) for framing, kinds in groups.items()]
    embed = _embedding(rules[EMBEDDING], rate_hz) if EMBEDDING in rules else None

    def features_of(wave_T: Wave) -> dict[str, Float32]:
        found = {}
        for (_, win_samples, hop_samples), bands in passes:
            power_MN = band_powers(wave_T, bands.filters, win_samples=win_samples, hop_samples=hop_samples)
            for kind, own in bands.rows.items():
                found[kind] = _KINDS[kind].finish(power_MN[own], rules[kind], rate_hz)
        if embed is not None:
            found[EMBEDDING] = embed(wave_T)
        return found

    return features_of


def filterbank(kind: str, rule: Rule, rate_hz: int) -> Float32:
    """Return what a kind takes of the power spectrum, as a dense filterbank [M, F], float32."""
    return np.asarray(csr_array(_KINDS[kind].filters(rule, rate_hz)).toarray(), np.float32)


class _Bands:
    """The filterbanks of kinds that frame the wave alike, in one, and the rows of each kind in it."""

    def __init__(self, kinds: list[str], rules: Mapping[str, Rule], rate_hz: int) -> None:
        banks = [csr_array(_KINDS[kind].filters(rules[kind], rate_hz)) for kind in kinds]
        stops = np.cumsum([bank.shape[0] for bank in banks])
        self.filters = vstack(banks, format="csr")
        self.rows = {
            kind: slice(stop - bank.shape[0], stop) for kind, bank, stop in zip(kinds, banks, stops, strict=True)
        }


def _framing(rule: Rule, rate_hz: int) -> tuple[int, int, int]:
    """Return n_fft, window and hop, in samples: what decides the spectrum besides the wave."""
    return rule["n_fft"], round(rule["win_ms"] * rate_hz / 1000), round(rule["hop_ms"] * rate_hz / 1000)


def _mel_filters(rule: Rule, rate_hz: int) -> Float32:
    fmax_hz = rule["fmax_hz"] or rate_hz / 2
    scale, norm = rule["mel_scale"], rule["mel_norm"]
    return mel_filterbank(rate_hz, rule["n_fft"], rule["n_mels"], rule["fmin_hz"], fmax_hz, scale, norm)


def _levels(power_MN: Float32, rule: Rule, _rate_hz: int) -> Float32:
    return levels_db(power_MN, rule["top_db"])


def _mfcc(power_MN: Float32, rule: Rule, _rate_hz: int) -> Float32:
    return with_deltas(mfcc(levels_db(power_MN, rule["top_db"]), rule["n_mfcc"]), rule["deltas"])


def _every_bin(rule: Rule, _rate_hz: int) -> csr_array:
    return eye_array(rule["n_fft"] // 2 + 1, dtype=np.float32, format="csr")


def _chroma_filters(rule: Rule, rate_hz: int) -> Float32:
    return chroma_filterbank(rate_hz, rule["n_fft"], rule["tuning"])


def _chroma(power_MN: Float32, _rule: Rule, _rate_hz: int) -> Float32:
    return chroma(power_MN)


def _every_bin_and_mels(rule: Rule, rate_hz: int) -> csr_array:
    mel_MF = mel_filterbank(rate_hz, rule["n_fft"], ONSET_MELS, 0.0, rate_hz / 2, "slaney", "slaney")
    return cast("csr_array", vstack([_every_bin(rule, rate_hz), csr_array(mel_MF)], format="csr"))


def _descriptors(power_MN: Float32, rule: Rule, rate_hz: int) -> Float32:
    _, _, hop_samples = _framing(rule, rate_hz)
    power_FN, mel_MN = power_MN[:-ONSET_MELS], power_MN[-ONSET_MELS:]
    return descriptors(power_FN, mel_MN, rate_hz=rate_hz, hop_samples=hop_samples, rolloff=rule["rolloff"])


def _embedding(rule: Rule, rate_hz: int) -> Callable[[Wave], Float32]:
    # Imported here: it brings torch, which nothing else on the data path wants.
    from audioprep.dsp.embedding import embedding_kernel

    return embedding_kernel(rule, rate_hz)


class _Kind(NamedTuple):
    """A kind that comes from the spectrum.

    Attributes:
        filters: Return what it takes of the power spectrum, as a filterbank [M, F].
        finish: Return its features [N, M'] from these powers [M, N].
    """

    filters: Callable[[Rule, int], Float32 | csr_array]
    finish: Callable[[Float32, Rule, int], Float32]


_KINDS = {
    "logmel": _Kind(_mel_filters, _levels),
    "mfcc": _Kind(_mel_filters, _mfcc),
    "spectrogram": _Kind(_every_bin, _levels),
    "chroma": _Kind(_chroma_filters, _chroma),
    "descriptors": _Kind(_every_bin_and_mels, _descriptors),
}
