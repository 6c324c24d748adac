"""Every kind through the stages: what the shards say is what the kernels make of the stored audio."""

import json
import shutil

import numpy as np
import pytest
import torch
import transformers as hf
from steps.small_corpus import Run, tree

from audioprep.dsp.descriptors import DESCRIPTORS
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import read_index
from audioprep.errors import ModelError
from audioprep.io.audio import decode_stored
from audioprep.io.feature_writer import decoded, read_table
from audioprep.io.lhotse_features import cuts_with_features
from audioprep.io.shar import read_audio_tar, read_cuts
from audioprep.io.window_cuts import part_in_samples
from audioprep.steps import features as features_step
from audioprep.steps.inspect import describe_shard
from audioprep.steps.repair import repair
from audioprep.steps.verify import verify

SPECTRAL = ("spectrogram", "chroma", "descriptors")
# Frames and bins of 0.8 s at 16 kHz.
SHAPES = {"spectrogram": (81, 513), "chroma": (81, 12), "descriptors": (81, len(DESCRIPTORS)), "embedding": (39, 16)}


@pytest.fixture
def run(prepared, tmp_path):
    """Return the small corpus with audio and cuts, and no features yet."""
    for name in ("audio", "cuts"):
        shutil.copytree(prepared.out / name, tmp_path / name)
    return Run(prepared.root, tmp_path)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """Return the folder of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("pretrained") / "tiny"
    torch.manual_seed(0)
    sides = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    convs = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    hf.Wav2Vec2Model(hf.Wav2Vec2Config(**sides, **convs)).save_pretrained(folder)
    hf.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def with_features(run, **changes):
    values = run.params.model_dump()
    run.params = run.params.model_validate({**values, "features": {**values["features"], **changes}})
    return run


def stored(run, kind):
    """Return the features of shard 0 by clip, and what the shard says of itself."""
    table = read_table(run.layout.features(kind) / "part-000000.parquet")
    meta = json.loads(table.schema.metadata[b"audioprep"])
    return dict(zip(table["id"].to_pylist(), decoded(table, meta), strict=True)), meta


def by_kernel(run, kind, rule):
    """Return the same from the stored audio, clip by clip."""
    cuts = {cut["id"]: cut for cut in read_cuts(run.layout.cuts / "cuts.000000.jsonl") if cut["custom"]["used"]}
    kernel = feature_kernel(kind, rule, 16000)
    return {
        clip: kernel(windowed(decode_stored(sound), part_in_samples(cuts[clip], 16000), 12800))
        for clip, sound in read_audio_tar(run.layout.shar / "recording.000000.tar")
        if clip in cuts
    }


def same(ours, theirs, dtype):
    assert ours.keys() == theirs.keys()
    for clip, values_NM in ours.items():
        np.testing.assert_array_equal(values_NM, theirs[clip].astype(dtype))


@pytest.mark.parametrize("kind", SPECTRAL)
def test_shards_hold_what_the_kernel_makes(run, kind):
    with_features(run, kinds=[kind]).features(kind)
    features, meta = stored(run, kind)
    assert (meta["num_frames"], meta["num_bins"]) == SHAPES[kind]
    same(features, by_kernel(run, kind, meta["rule"]), meta["rule"]["dtype"])
    assert any(line.startswith(f"  {kind}: fixed_size_list") for line in describe_shard(run.layout.features(kind) / "part-000000.parquet"))  # fmt: skip


def test_kinds_together_have_the_bytes_of_each_alone(run, prepared, monkeypatch):
    kinds = ("logmel", *SPECTRAL)
    with_features(run, kinds=kinds)
    passes, real = [], features_step.feature_kernels
    monkeypatch.setattr(
        features_step, "feature_kernels", lambda rules, hz: passes.append(tuple(rules)) or real(rules, hz)
    )
    for kind in kinds:
        run.features(kind)
    assert passes == [kinds] * 4
    together = {kind: tree(run.layout.features(kind)) for kind in kinds}
    assert together["logmel"] == tree(prepared.layout.features("logmel"))
    for kind in SPECTRAL:
        shutil.rmtree(run.layout.features(kind))
        with_features(run, kinds=[kind]).features(kind)
        assert tree(run.layout.features(kind)) == together[kind]


def test_an_embedding_is_its_models_frames(run, pretrained, monkeypatch):
    with_features(run, kinds=["logmel", "embedding"], embedding={"model": str(pretrained), "layer": 1})
    run.features("embedding")
    features, meta = stored(run, "embedding")
    assert (meta["num_frames"], meta["num_bins"], meta["hop_samples"]) == (*SHAPES["embedding"], 320)
    same(features, by_kernel(run, "embedding", meta["rule"]), np.float16)
    assert not (run.layout.work / "logmel").exists(), "an embedding is made by itself"
    before = tree(run.layout.features("embedding"))
    shutil.rmtree(run.layout.features("embedding"))
    monkeypatch.setenv("AUDIOPREP_WORKERS", "2")
    run.features("embedding")
    assert tree(run.layout.features("embedding")) == before


def test_other_kinds_have_nothing_to_do_with_the_model(run, prepared):
    with_features(run, kinds=["logmel", "embedding"], embedding={"model": "not/there"})
    run.features("logmel")
    assert tree(run.layout.features("logmel")) == tree(prepared.layout.features("logmel"))
    with pytest.raises(ModelError, match=r"features.embedding.model: expected a folder, found none at not/there"):
        run.features("embedding")


def test_another_model_makes_all_shards_anew(run, pretrained, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pretrained, folder)
    with_features(run, kinds=["embedding"], embedding={"model": str(folder)})
    run.features("embedding")
    log = run.layout.log / "embedding.jsonl"
    index = read_index(run.layout.features("embedding"))
    log.unlink()
    run.features("embedding")
    assert not log.exists() or "computed" not in log.read_text()
    network = hf.Wav2Vec2Model.from_pretrained(folder)
    with torch.no_grad():
        network.encoder.layer_norm.weight.mul_(2.0)
    network.save_pretrained(folder)
    run.features("embedding")
    assert log.read_text().count('"computed"') == 4
    again = read_index(run.layout.features("embedding"))
    assert again["rule"]["sha256"] != index["rule"]["sha256"]


def test_an_embedding_is_verified_repaired_and_handed_on(run, pretrained):
    with_features(run, kinds=["embedding"], embedding={"model": str(pretrained)})
    run.features("embedding")
    data = run.layout.data
    before, _ = stored(run, "embedding")
    cuts = {cut.id: cut for cut in cuts_with_features(data, "embedding")}
    for clip, values_NM in before.items():
        np.testing.assert_array_equal(cuts[clip].load_features(), values_NM)
        assert cuts[clip].duration == pytest.approx(39 * 0.02)
    part = run.layout.features("embedding") / "part-000000.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:-1] + b"!")
    assert list(repair(verify(data / "embedding"), None)) == [
        f"{part.parent}: repaired: 1 of 5 files made anew, bytes equal to the index"
    ]
    assert part.read_bytes() == whole
