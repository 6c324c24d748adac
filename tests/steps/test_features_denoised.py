"""Features of recordings that were cleared of noise: what was done travels with them."""

import shutil

import numpy as np
import pytest
from steps.small_corpus import Run, tree

from audioprep.config.data import DenoiseRule
from audioprep.dsp.denoise import gate
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import read_index
from audioprep.io.audio import decode_stored
from audioprep.io.parquet import read_features
from audioprep.io.shar import read_audio_tar, read_cuts
from audioprep.io.window_cuts import part_in_samples
from audioprep.steps.features import feature_tasks, features, shard_inputs
from audioprep.steps.inspect import describe_clip
from audioprep.steps.repair import repair
from audioprep.steps.verify import verify

RATE_HZ = 16000
RULE = DenoiseRule(mode="gate", strength=0.8)


@pytest.fixture(scope="module")
def run(prepared, tmp_path_factory):
    """Return the small corpus, its log-mels made of sounds without noise; not to be changed."""
    out = shutil.copytree(prepared.out, tmp_path_factory.mktemp("clear") / "out")
    run = Run(prepared.root, out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        features(run.layout, "logmel", run.params.features, denoise=RULE)
    return run


def test_noise_is_taken_from_the_whole_recording_before_it_is_cut(run):
    stored = read_features(run.layout.features("logmel"))
    kernel = feature_kernel("logmel", run.params.features.logmel.model_dump(mode="json"), RATE_HZ)
    cuts = {cut["id"]: cut for path in run.layout.cuts.glob("*.jsonl") for cut in read_cuts(path)}
    num_found = 0
    for path in run.layout.shar.glob("*.tar"):
        for name, sound in read_audio_tar(path):
            if name in stored.ids:
                clear_T = gate(decode_stored(sound), RATE_HZ, stationary=True, strength=0.8)
                window_T = windowed(clear_T, part_in_samples(cuts[name], RATE_HZ), 12800)
                expected_NM = kernel(window_T).astype(np.float16)
                np.testing.assert_array_equal(stored.values_KNM[stored.ids.index(name)], expected_NM)
                num_found += 1
    assert num_found == len(stored.ids) == 21


def test_shards_and_index_say_so_and_none_is_taken_for_one_with_noise(run, prepared):
    rule = {"mode": "gate", "stationary": True, "strength": 0.8}
    index, before = (read_index(one.layout.features("logmel")) for one in (run, prepared))
    assert index["denoise"] == read_features(run.layout.features("logmel")).meta["denoise"] == rule
    assert "denoise" not in before
    assert "denoise" not in read_features(prepared.layout.features("logmel")).meta
    keys = [{entry["fingerprint"] for entry in one["shards"]} for one in (index, before)]
    assert not keys[0] & keys[1]


def test_another_version_of_what_takes_noise_away_makes_other_shards(run, monkeypatch):
    def keys(rule):
        shards = list(shard_inputs(run.layout, rule))
        return [task.fingerprint for task in feature_tasks("logmel", run.params.features, shards)]

    on, off = keys(RULE), keys(DenoiseRule())
    monkeypatch.setattr("audioprep.steps.features.version", lambda library: f"another {library}")
    assert not {*on} & {*keys(RULE)}
    assert keys(DenoiseRule()) == off


def test_with_it_off_every_byte_is_as_before(run, prepared):
    features(run.layout, "mfcc", run.params.features, denoise=DenoiseRule(mode="off", strength=0.3))
    assert tree(run.layout.features("mfcc")) == tree(prepared.layout.features("mfcc"))


def test_damaged_shards_come_back_without_noise(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = shutil.copytree(run.out, tmp_path / "out", ignore=shutil.ignore_patterns(".audioprep"))
    (out / "logmel" / "part-000001.parquet").write_bytes(b"damaged")
    (line,) = repair(verify(out / "logmel"), None)
    assert "made anew, bytes equal to the index" in line
    assert tree(out / "logmel") == tree(run.layout.features("logmel"))


def test_the_picture_of_a_clip_is_of_what_its_features_are_made_of(run, tmp_path):
    assert list(describe_clip([run.layout], "rain--1", tmp_path / "rain.png"))
    assert (tmp_path / "rain.png").stat().st_size > 10_000
