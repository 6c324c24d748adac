"""One pass over the wave for several kinds: the bytes that each kind has alone, on every CPU."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audioprep.config.data import ChromaRule, DescriptorsRule, LogmelRule, MfccRule, SpectrogramRule
from audioprep.dsp import mel
from audioprep.dsp.features import feature_kernel, feature_kernels

RATE_HZ = 16000
# The defaults, which share their framing; two filterbanks of different size; two kinds that share nothing; and all kinds.
RULES = {
    "defaults": {"logmel": LogmelRule(), "mfcc": MfccRule()},
    "deltas": {"logmel": LogmelRule(n_mels=40, top_db=60.0), "mfcc": MfccRule(n_mels=80, n_mfcc=20, deltas=2)},
    "two framings": {"logmel": LogmelRule(n_fft=512), "mfcc": MfccRule(hop_ms=20.0)},
    "all kinds": {
        "descriptors": DescriptorsRule(),
        "logmel": LogmelRule(),
        "chroma": ChromaRule(),
        "spectrogram": SpectrogramRule(),
        "mfcc": MfccRule(),
    },
}


def noise(num_samples, seed=0):
    swell_T = np.linspace(0.001, 0.3, num_samples, dtype=np.float32)
    return np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32) * swell_T


def settings(name):
    return {kind: rule.model_dump(mode="json") for kind, rule in RULES[name].items()}


@pytest.mark.parametrize("num_samples", [1024, 16_123, 80_000])
@pytest.mark.parametrize("name", RULES)
def test_a_shared_pass_gives_the_bytes_of_separate_passes(name, num_samples):
    rules, wave_T = settings(name), noise(num_samples)
    shared = feature_kernels(rules, RATE_HZ)(wave_T)
    assert shared.keys() == rules.keys()
    for kind, rule in rules.items():
        alone_NM = feature_kernel(kind, rule, RATE_HZ)(wave_T)
        assert (shared[kind].dtype, shared[kind].flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(shared[kind], alone_NM)


@pytest.mark.parametrize(
    ("name", "num_spectra"), [("defaults", 1), ("deltas", 1), ("two framings", 2), ("all kinds", 2)]
)
def test_kinds_of_one_framing_share_their_spectrum(name, num_spectra, monkeypatch):
    real, made = mel._power_blocks, []
    monkeypatch.setattr(mel, "_power_blocks", lambda *arguments: made.append(1) or real(*arguments))
    feature_kernels(settings(name), RATE_HZ)(noise(8000))
    assert len(made) == num_spectra


def digest():
    """Return the hash of all kinds, in float32, of sounds with quiet and loud parts."""
    both, every = (feature_kernels(settings(name), RATE_HZ) for name in ("deltas", "all kinds"))
    found = [kernels(noise(16_000, seed)) for seed in range(10) for kernels in (both, every)]
    return hashlib.sha256(b"".join(one[kind].tobytes() for one in found for kind in sorted(one))).hexdigest()


def test_every_cpu_gives_the_same_bits():
    optional = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    if not optional:
        pytest.skip("numpy has no faster kernels for this CPU")
    here = Path(__file__).resolve().parent
    paths = f"{here}{os.pathsep}{here.parents[1]}"
    child = subprocess.run(
        [sys.executable, "-c", "import test_features; print(test_features.digest())"],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(optional), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout.strip() == digest()
