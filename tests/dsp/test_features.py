"""One pass over the wave for several kinds: the bytes that each kind has alone, on every CPU."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from audioprep.config.data import LogmelRule, MfccRule
from audioprep.dsp import mel
from audioprep.dsp.features import feature_kernel, feature_kernels

RATE_HZ = 16000
# The defaults, which share their framing; two filterbanks of different size; and two kinds that share nothing.
RULES = {
    "defaults": (LogmelRule(), MfccRule()),
    "deltas": (LogmelRule(n_mels=40, top_db=60.0), MfccRule(n_mels=80, n_mfcc=20, deltas=2)),
    "two framings": (LogmelRule(n_fft=512), MfccRule(hop_ms=20.0)),
}


def noise(num_samples, seed=0):
    swell_T = np.linspace(0.001, 0.3, num_samples, dtype=np.float32)
    return np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32) * swell_T


def settings(name):
    logmel, mfcc = RULES[name]
    return {"logmel": logmel.model_dump(mode="json"), "mfcc": mfcc.model_dump(mode="json")}


@pytest.mark.parametrize("num_samples", [1024, 16_123, 80_000])
@pytest.mark.parametrize("name", RULES)
def test_a_shared_pass_gives_the_bytes_of_separate_passes(name, num_samples):
    rules, wave_T = settings(name), noise(num_samples)
    shared = feature_kernels(rules, RATE_HZ)(wave_T)
    assert list(shared) == ["logmel", "mfcc"]
    for kind, rule in rules.items():
        alone_NM = feature_kernel(kind, rule, RATE_HZ)(wave_T)
        assert (shared[kind].dtype, shared[kind].flags.c_contiguous) == (np.float32, True)
        np.testing.assert_array_equal(shared[kind], alone_NM)


@pytest.mark.parametrize(("name", "num_spectra"), [("defaults", 1), ("deltas", 1), ("two framings", 2)])
def test_kinds_of_one_framing_share_their_spectrum(name, num_spectra, monkeypatch):
    real, made = mel._power_blocks, []
    monkeypatch.setattr(mel, "_power_blocks", lambda *arguments: made.append(1) or real(*arguments))
    feature_kernels(settings(name), RATE_HZ)(noise(8000))
    assert len(made) == num_spectra


def digest():
    """Return the hash of both kinds, in float32, of sounds with quiet and loud parts."""
    kernels = feature_kernels(settings("deltas"), RATE_HZ)
    found = [kernels(noise(16_000, seed)) for seed in range(10)]
    return hashlib.sha256(b"".join(one[kind].tobytes() for one in found for kind in one)).hexdigest()


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
