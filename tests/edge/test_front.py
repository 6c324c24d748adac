"""The device hears what the pipeline stored. Witness: the kernels of the pipeline, with scipy and SoX."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import LOGMEL, RATE_HZ, change, tone, write_bundle

from audioprep.config.base import Section
from audioprep.config.data import (
    ChromaRule,
    DescriptorsRule,
    EmbeddingRule,
    LogmelRule,
    LoudnessRule,
    MfccRule,
    SpectrogramRule,
)
from audioprep.dsp.decide import decide_gain, decide_part
from audioprep.dsp.denoise import denoiser
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.dsp.k_recursion import k_weighted
from audioprep.dsp.measure import measure, to_mono, to_stored
from audioprep.dsp.resample import resample
from audioprep.edge.front import Front
from audioprep.errors import AudioError, ModelError
from audioprep.io.audio import decode_stored, encode_flac
from audioprep.io.bundle import read_bundle
from audioprep.model.whole_front import whole_front


def front_of(folder: Path) -> Front:
    bundle = read_bundle(folder)
    return Front(bundle.about["audio"], bundle.about["features"], bundle.arrays())


def windows_of(front: Front, wave_TC: np.ndarray, rate_hz: int) -> list[np.ndarray]:
    return list(front.windows(front.at_rate(to_mono(wave_TC), rate_hz)))


def pipeline_features(
    wave_TC: np.ndarray, rate_in_hz: int, rule: Section, kind: str, denoise: dict[str, Any] | None = None
) -> np.ndarray:
    """What resample, loudness, trim and features do, with the FLAC on disk between them."""
    stored_T, attenuation_db = to_stored(resample(to_mono(wave_TC), rate_in_hz, RATE_HZ))
    facts: dict[str, Any] = measure(stored_T, RATE_HZ, k_weighted)
    levels = {name: facts[name] for name in ("loudness_lufs", "rms_db", "peak_db", "true_peak_db")}
    gain_db, _ = decide_gain(**levels, attenuation_db=attenuation_db, **LoudnessRule().model_dump())
    start, stop = decide_part(
        np.asarray(facts["envelope_db"], np.int8),
        facts["envelope_frame_s"],
        facts["num_samples"],
        RATE_HZ,
        mode="energy",
        threshold_db=-40.0,
        margin_s=0.1,
        window_samples=RATE_HZ,
    )
    cut = {"start": start, "stop": stop, "gain_db": gain_db, "pad": "zeros"}
    clear_T = denoiser(denoise, RATE_HZ)(decode_stored(encode_flac(stored_T, RATE_HZ)))
    window_T = windowed(clear_T, cut, RATE_HZ)
    settings = rule.model_dump(mode="json")
    values_NM = feature_kernel(kind, settings, RATE_HZ)(window_T)
    return values_NM.astype(np.float16 if settings["dtype"] == "float16" else np.float32).astype(np.float32)


def sound(rate_hz: int, duration_s: float = 1.5) -> np.ndarray:
    """Noise that swells, with a tone in it, at rest for a while before and after: [T, 2]."""
    rng = np.random.default_rng(0)
    num_samples = round(duration_s * rate_hz)
    swell_T = np.sin(np.pi * np.arange(num_samples) / num_samples)[:, None]
    noise_TC = 0.05 * rng.standard_normal((num_samples, 2)) * swell_T
    tone_T = 0.2 * swell_T[:, 0] * np.sin(2 * np.pi * 700 * np.arange(num_samples) / rate_hz)
    rest_TC = np.zeros((rate_hz // 4, 2))
    return np.concatenate([rest_TC, noise_TC + tone_T[:, None], rest_TC]).astype(np.float32)


@pytest.mark.parametrize(
    ("kind", "rule", "atol"),
    [
        ("logmel", LogmelRule(dtype="float32"), 1e-3),
        ("logmel", LogmelRule(dtype="float32", top_db=60.0, mel_norm=None, mel_scale="htk"), 1e-3),
        ("mfcc", MfccRule(dtype="float32", deltas=2), 1e-3),
        ("spectrogram", SpectrogramRule(dtype="float32"), 1e-3),
        ("chroma", ChromaRule(dtype="float32"), 1e-4),
        ("descriptors", DescriptorsRule(dtype="float32"), 0.05),  # its frequencies are of thousands of Hz
    ],
)
def test_features_of_stored_sound_are_the_pipelines(kind: str, rule: Section, atol: float, tmp_path: Path) -> None:
    wave_TC = sound(RATE_HZ)
    (ours_NM,) = windows_of(front_of(write_bundle(tmp_path / kind, rule, kind)), wave_TC, RATE_HZ)
    theirs_NM = pipeline_features(wave_TC, RATE_HZ, rule, kind)
    assert (ours_NM.dtype, ours_NM.shape) == (np.float32, theirs_NM.shape)
    np.testing.assert_allclose(ours_NM, theirs_NM, atol=atol)


def test_features_are_as_coarse_as_they_are_stored(tmp_path: Path) -> None:
    (ours_NM,) = windows_of(front_of(write_bundle(tmp_path / "bundle", LogmelRule())), sound(RATE_HZ), RATE_HZ)
    np.testing.assert_array_equal(ours_NM, ours_NM.astype(np.float16))
    assert (ours_NM == pipeline_features(sound(RATE_HZ), RATE_HZ, LogmelRule(), "logmel")).mean() > 0.999


@pytest.mark.parametrize("rate_hz", [8000, 22050, 44100, 48000, 192000])
def test_sound_of_other_rates_differs_by_what_16_bits_hide(rate_hz: int, tmp_path: Path) -> None:
    wave_TC = sound(rate_hz)
    rule = LogmelRule(dtype="float32")
    (ours_NM,) = windows_of(front_of(write_bundle(tmp_path / "bundle", rule)), wave_TC, rate_hz)
    theirs_NM = pipeline_features(wave_TC, rate_hz, rule, "logmel")
    loud = theirs_NM > theirs_NM.max() - 60
    assert loud.mean() > 0.4
    assert np.abs(ours_NM - theirs_NM)[loud].max() < 0.05


@pytest.mark.parametrize("duration_s", [0.02, 0.2, 0.7, 3.0])
def test_short_and_long_sound_is_cut_and_filled_alike(duration_s: float, tmp_path: Path) -> None:
    rule = LogmelRule(dtype="float32")
    wave_TC = tone(800.0, duration_s, RATE_HZ)[:, None]
    (ours_NM,) = windows_of(front_of(write_bundle(tmp_path / "bundle", rule)), wave_TC, RATE_HZ)
    theirs_NM = pipeline_features(wave_TC, RATE_HZ, rule, "logmel")
    # Of a pure tone the other bins hold what float32 leaves over.
    audible = theirs_NM > theirs_NM.max() - 60
    np.testing.assert_allclose(ours_NM[audible], theirs_NM[audible], atol=1e-3)
    np.testing.assert_allclose(ours_NM, theirs_NM, atol=0.1)


def test_all_windows_of_long_sound_where_the_pipeline_made_them(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    wave_TC = np.concatenate([tone(300.0, 1.0), tone(5000.0, 2.0)])[22050:, None]
    (first,) = windows_of(front_of(folder), wave_TC, 44100)
    windows = windows_of(front_of(change(folder, "audio", hop_s=0.5)), wave_TC, 44100)
    assert len(windows) == 6, "at 0, 0.5, 1, 1.5, 2 and 2.5 s of 3.5"
    np.testing.assert_array_equal(windows[0], first)


def test_silence_is_refused_where_the_network_was_trained_without_it(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle")
    silence_T = np.zeros(RATE_HZ, np.float32)
    with pytest.raises(
        AudioError, match=r"^silent: as one channel, no sample above -80 dB; the network was trained without"
    ):
        list(front_of(folder).windows(silence_T))
    trim = read_bundle(folder).about["audio"]["trim"] | {"exclude": []}
    (values_NM,) = front_of(change(folder, "audio", trim=trim)).windows(silence_T)
    assert (values_NM == -100).all()


NOISE = {"mode": "gate", "stationary": True, "strength": 0.9}


def test_noise_is_taken_away_where_audioprep_is(tmp_path: Path) -> None:
    wave_TC = tone(800.0, 1.0, RATE_HZ)[:, None]
    wave_TC += 0.01 * np.random.default_rng(0).standard_normal(wave_TC.shape).astype(np.float32)
    folder = change(write_bundle(tmp_path / "bundle"), "features", denoise=NOISE)
    with pytest.raises(ModelError, match=r"expected features that numpy can make, got noise reduction; classify on"):
        front_of(folder)
    front = whole_front(read_bundle(folder))
    assert front
    expected_NM = pipeline_features(wave_TC, RATE_HZ, LOGMEL, "logmel", NOISE)
    np.testing.assert_allclose(windows_of(front, wave_TC, RATE_HZ)[0], expected_NM, atol=0.1)
    assert np.abs(expected_NM - pipeline_features(wave_TC, RATE_HZ, LOGMEL, "logmel")).max() > 5


def test_embeddings_ask_for_their_model(tmp_path: Path) -> None:
    rule = EmbeddingRule(model="pretrained/not-here", sha256="0" * 64)
    folder = write_bundle(tmp_path / "bundle", rule, "embedding")
    with pytest.raises(ModelError, match=r"expected features that numpy can make, got embedding features; classify on"):
        front_of(folder)
    with pytest.raises(ModelError, match=r"embedding.model: expected a folder, found none at pretrained/not-here"):
        whole_front(read_bundle(folder))


def test_a_bundle_that_numpy_can_use_needs_no_other_front(tmp_path: Path) -> None:
    assert whole_front(read_bundle(write_bundle(tmp_path / "bundle"))) is None
