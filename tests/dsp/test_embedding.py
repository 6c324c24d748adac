"""Witness: the model called directly, as its documentation does it. The models are tiny, and their weights are random."""

import json
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import transformers as hf

from audioprep.dsp import embedding
from audioprep.dsp.embedding import embedding_kernel, pretrained
from audioprep.dsp.features import feature_kernels
from audioprep.errors import ModelError

RATE_HZ = 16000
COMMON = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVS = {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
STABLE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
MODELS = {
    "wav2vec2": lambda: hf.Wav2Vec2Model(hf.Wav2Vec2Config(**COMMON, **CONVS)),
    # As published: with a head, which is left out here.
    "wav2vec2-ctc": lambda: hf.Wav2Vec2ForCTC(hf.Wav2Vec2Config(**COMMON, **CONVS, **STABLE, vocab_size=32)),
    "hubert": lambda: hf.HubertModel(hf.HubertConfig(**COMMON, **CONVS)),
    "wavlm": lambda: hf.WavLMModel(hf.WavLMConfig(**COMMON, **CONVS)),
    "ast": lambda: hf.ASTModel(hf.ASTConfig(**COMMON, max_length=256)),
    "ast-classifier": lambda: hf.ASTForAudioClassification(hf.ASTConfig(**COMMON, max_length=256, time_stride=8)),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder of each model, as transformers saves it; not to be changed."""
    root = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(0)
    for name, make in MODELS.items():
        make().save_pretrained(root / name)
        extractor = hf.ASTFeatureExtractor(max_length=256) if "ast" in name else hf.Wav2Vec2FeatureExtractor()
        extractor.save_pretrained(root / name)
    return root


@pytest.fixture
def folder(folders, tmp_path):
    """Return the folder of a model that a test may change."""
    for path in (folders / "wav2vec2").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def rule(folder, layer=None, dtype="float16", sha256=None):
    return {"model": str(folder), "layer": layer, "dtype": dtype, "sha256": sha256}


def noise(num_samples=20_000, seed=0):
    return np.random.default_rng(seed).normal(scale=0.1, size=num_samples).astype(np.float32) + np.float32(0.01)


def change(folder, name, **values):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def directly(folder, wave_T, layer):
    """Return what the whole network, head and all, says of a wave in a layer [P, D]."""
    make = getattr(hf, json.loads((folder / "config.json").read_text())["architectures"][0])
    network = make.from_pretrained(folder).eval()
    network = getattr(network, network.base_model_prefix, network)
    inputs = hf.AutoFeatureExtractor.from_pretrained(folder)([wave_T], sampling_rate=RATE_HZ, return_tensors="pt")
    with torch.no_grad():
        outputs = network(**inputs, output_hidden_states=True)
    return (outputs.last_hidden_state if layer is None else outputs.hidden_states[layer])[0].numpy()


@pytest.mark.parametrize("layer", [None, 0, 1, 2])
@pytest.mark.parametrize("name", [name for name in MODELS if "ast" not in name])
def test_frames_equal_the_model_called_directly(folders, name, layer):
    frames_ND = embedding_kernel(rule(folders / name, layer), RATE_HZ)(noise())
    assert (frames_ND.dtype, frames_ND.shape) == (np.float32, (62, 16))
    np.testing.assert_allclose(frames_ND, directly(folders / name, noise(), layer), atol=1e-5)


@pytest.mark.parametrize("layer", [None, 0, 1, 2])
@pytest.mark.parametrize(("name", "stride"), [("ast", 10), ("ast-classifier", 8)])
def test_ast_frames_are_means_of_its_columns_of_patches(folders, name, stride, layer):
    frames_ND = embedding_kernel(rule(folders / name, layer), RATE_HZ)(noise())
    patches_PD = directly(folders / name, noise(), layer)[2:]  # not the class and distillation tokens
    num_rows, num_columns = 1 + (128 - 16) // 10, 1 + (256 - 16) // stride
    assert len(patches_PD) == num_rows * num_columns
    # 123 columns of the spectrogram hold sound.
    num_frames = 1 + (123 - 16) // stride
    by_hand_ND = [patches_PD[frame::num_columns].mean(axis=0) for frame in range(num_frames)]
    np.testing.assert_allclose(frames_ND, by_hand_ND, atol=1e-5)


def test_an_ast_frame_hears_what_is_at_its_time(folders):
    kernel, quiet_T = embedding_kernel(rule(folders / "ast", 0), RATE_HZ), noise()
    loud_T = quiet_T.copy()
    loud_T[10_000:11_000] *= 10  # 0.63 to 0.69 s; a frame every 100 ms sees 175 ms
    moved_N = np.abs(kernel(loud_T) - kernel(quiet_T)).max(axis=1)
    assert np.flatnonzero(moved_N > 1e-6).tolist() == [5, 6]


@pytest.mark.parametrize(("do_normalize", "is_same"), [(True, True), (False, False)])
def test_the_wave_is_normalised_as_the_folder_says(folder, do_normalize, is_same):
    change(folder, "preprocessor_config.json", do_normalize=do_normalize)
    kernel = embedding_kernel(rule(folder), RATE_HZ)
    assert np.allclose(kernel(noise()), kernel(3 * noise()), atol=1e-4) == is_same
    np.testing.assert_allclose(kernel(noise()), directly(folder, noise(), None), atol=1e-5)


def test_the_same_wave_gives_the_same_bytes_on_any_number_of_threads(folders):
    kernel, before = embedding_kernel(rule(folders / "wav2vec2"), RATE_HZ), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        first_ND = kernel(noise())
        assert torch.get_num_threads() == 2
        kernel(noise(seed=1))
        torch.set_num_threads(1)
        np.testing.assert_array_equal(kernel(noise()), first_ND)
    finally:
        torch.set_num_threads(before)


def test_a_model_is_loaded_once_for_all_shards_of_a_process(folders, monkeypatch):
    embedding._loaded.cache_clear()
    for _ in range(3):
        embedding_kernel(rule(folders / "hubert"), RATE_HZ)
    assert embedding._loaded.cache_info().misses == 1


def test_weights_as_pickle_are_read_if_they_are_but_weights(folders, folder, tmp_path):
    weights = hf.Wav2Vec2Model.from_pretrained(folder).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    ours_ND = embedding_kernel(rule(folder), RATE_HZ)(noise())
    np.testing.assert_array_equal(ours_ND, embedding_kernel(rule(folders / "wav2vec2"), RATE_HZ)(noise()))


class _Evil:
    def __reduce__(self):
        return (print, ("evil code has run",))


def test_code_in_weights_is_not_run(folder, capsys):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": _Evil()}))
    with pytest.raises(ModelError, match=r"expected a model that transformers \S+ reads, got .*; give another one"):
        embedding_kernel(rule(folder), RATE_HZ)
    assert "evil" not in capsys.readouterr().out


def test_another_model_has_another_hash(folder):
    before = pretrained(rule(folder), RATE_HZ).sha256()
    (folder / "README.md").write_text("of no effect")
    assert pretrained(rule(folder), RATE_HZ).sha256() == before
    assert pretrained(rule(folder, sha256=before), RATE_HZ).folder == folder
    change(folder, "preprocessor_config.json", do_normalize=False)
    assert pretrained(rule(folder), RATE_HZ).sha256() != before
    with pytest.raises(
        ModelError, match=rf"expected the sha256 {before[:12]}…, got .*; bring that model back, or mend "
    ):
        pretrained(rule(folder, sha256=before), RATE_HZ)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("num_samples", [8_000, 20_000, 40_960])
def test_frames_and_hop_are_known_from_the_folder(folders, name, num_samples):
    model = pretrained(rule(folders / name), RATE_HZ)
    assert model.num_frames(num_samples) == len(embedding_kernel(rule(folders / name), RATE_HZ)(noise(num_samples)))
    assert model.hop_samples == {"ast": 1600, "ast-classifier": 1280}.get(name, 320)


def test_it_stands_beside_the_other_kinds(folders):
    framing = {"n_fft": 512, "win_ms": 25.0, "hop_ms": 10.0}
    rules = {"spectrogram": {**framing, "top_db": None}, "embedding": rule(folders / "wavlm")}
    found = feature_kernels(rules, RATE_HZ)(noise())
    assert {kind: values_NM.shape for kind, values_NM in found.items()} == {
        "spectrogram": (126, 257),
        "embedding": (62, 16),
    }


def test_the_data_path_is_without_torch_until_a_model_is_loaded(folders):
    code = (
        "import sys, audioprep.steps.features, audioprep.dsp.embedding as e; "
        f"e.pretrained({rule(folders / 'ast')!r}, 16000).sha256(); print({{'torch', 'transformers'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_without_the_extra_it_is_named(folder, monkeypatch):
    monkeypatch.setattr(embedding.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"expected transformers, found none; run: pip install 'audioprep\[hf\]'"):
        pretrained(rule(folder), RATE_HZ)


@pytest.mark.parametrize("given", ["not/there", None])
def test_a_folder_that_is_not_there(given):
    message = r"features.embedding.model: expected a folder, found none at .*; nothing is downloaded here, put the model there"
    with pytest.raises(ModelError, match=message):
        pretrained({**rule(""), "model": given}, RATE_HZ)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.safetensors", "expected model.safetensors or pytorch_model.bin, found neither; give a folder"),
        ("config.json", "expected config.json, found none; give a folder that transformers saved"),
        ("preprocessor_config.json", "expected preprocessor_config.json, found none; give a folder"),
    ],
)
def test_a_folder_that_is_no_models(folder, missing, message):
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=re.escape(f"{folder}: {message}")):
        pretrained(rule(folder), RATE_HZ)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("config.json", {"model_type": "whisper"}, "audio-spectrogram-transformer, got whisper; choose another one"),
        ("preprocessor_config.json", {"sampling_rate": 8000}, "expected audio of 8000 Hz, got 16000 Hz; set resample.rate_hz=8000"),
        ("config.json", {"model_type": "audio-spectrogram-transformer"}, "got no max_length; save the model anew"),
    ],
)  # fmt: skip
def test_a_model_that_cannot_be_used(folder, name, values, message):
    change(folder, name, **values)
    with pytest.raises(ModelError, match=re.escape(message)):
        pretrained(rule(folder), RATE_HZ)


def test_a_layer_that_there_is_not(folder):
    with pytest.raises(ModelError, match=r"layer: expected 0 to 2, got 3; mend it, or leave it empty"):
        pretrained(rule(folder, layer=3), RATE_HZ)


def test_weights_of_a_smaller_model(folder):
    change(folder, "config.json", num_hidden_layers=3)
    with pytest.raises(
        ModelError, match=r"expected all weights of the model, got none for \d+, such as encoder.layers.2"
    ):
        embedding_kernel(rule(folder), RATE_HZ)


def test_weights_that_are_damaged(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match=r"expected a model that transformers \S+ reads, got .*; give another one"):
        embedding_kernel(rule(folder), RATE_HZ)


@pytest.mark.parametrize(("name", "num_samples"), [("wav2vec2", 300), ("ast", 2000), ("ast", 50_000)])
def test_a_window_that_does_not_fit(folders, name, num_samples):
    with pytest.raises(
        ModelError, match=r"expected a window of 1 to (inf|25) frames, got .* s = \d+ frames; mend window_s"
    ):
        embedding_kernel(rule(folders / name), RATE_HZ)(noise(num_samples))


def test_what_float16_cannot_hold(folder):
    network = hf.Wav2Vec2Model.from_pretrained(folder)
    with torch.no_grad():
        network.encoder.layers[1].final_layer_norm.weight.fill_(1e6)
    network.save_pretrained(folder)
    assert np.abs(embedding_kernel(rule(folder, dtype="float32"), RATE_HZ)(noise())).max() > 1e5
    with pytest.raises(
        ModelError, match=r"expected frames of finite float16, got others; set features.embedding.dtype"
    ):
        embedding_kernel(rule(folder), RATE_HZ)(noise())


def test_an_extractor_of_another_model(folders, folder):
    (folder / "preprocessor_config.json").write_bytes((folders / "ast" / "preprocessor_config.json").read_bytes())
    with pytest.raises(ModelError, match=r"expected a model that takes waves, got .*; give another one"):
        embedding_kernel(rule(folder), RATE_HZ)(noise())
