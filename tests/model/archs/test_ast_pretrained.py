"""The published transformer against transformers' own, and folders that are not one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from model.corpora import write_ast
from transformers import ASTForAudioClassification

from audioprep.config.data import LogmelRule
from audioprep.config.training import ModelRule
from audioprep.errors import ModelError
from audioprep.model.checkpoints import Shapes, build, load_checkpoint, save_checkpoint, start_from
from audioprep.model.nets import Classifier

SHAPES = Shapes(96, 40, 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ast")
    write_ast(folder)
    return folder


def rule_of(folder: Path, **settings: object) -> ModelRule:
    return ModelRule.model_validate({"arch": "ast_pretrained", "init_checkpoint": str(folder), **settings})


def started(folder: Path, shapes: Shapes = SHAPES, **settings: object) -> Classifier:
    torch.manual_seed(0)
    classifier = build(rule_of(folder, **settings), shapes)
    start_from(classifier, folder, freeze=bool(settings.get("freeze")))
    return classifier.eval()


def test_the_body_is_the_published_one(folder: Path) -> None:
    x_BNM = torch.randn(2, 96, 40)
    with torch.no_grad():
        expected = ASTForAudioClassification.from_pretrained(folder).audio_spectrogram_transformer(x_BNM)
        z_BCP = started(folder).trunk.frames(x_BNM[:, None])
    assert z_BCP.shape == (2, 48, 9)
    torch.testing.assert_close(z_BCP[:, 24:].transpose(1, 2), expected.pooler_output[:, None].expand(2, 9, 24))
    patches_BQPD = expected.last_hidden_state[:, 2:].reshape(2, 3, 9, 24)
    torch.testing.assert_close(z_BCP[:, :24].transpose(1, 2), patches_BQPD.mean(dim=1))


def test_shorter_clips_have_the_positions_of_the_middle(folder: Path) -> None:
    """As a clip of the published length whose ends are not looked at."""
    whole, part = started(folder), started(folder, Shapes(36, 40, 5))
    name = "position_embeddings"
    whole_QPD = getattr(whole.trunk.body.embeddings, name)[0, 2:].reshape(3, 9, 24)
    part_QPD = getattr(part.trunk.body.embeddings, name)[0, 2:].reshape(3, 3, 24)
    assert torch.equal(part_QPD, whole_QPD[:, 3:6])
    x_BNM = torch.randn(2, 36, 40)
    with torch.no_grad():
        torch.testing.assert_close(part.trunk.frames(x_BNM[:, None]), whole.trunk.frames(x_BNM[:, None]))


@pytest.mark.parametrize(("num_frames", "num_bins"), [(196, 40), (96, 64), (50, 24)])
def test_positions_of_other_sides_are_stretched(folder: Path, num_frames: int, num_bins: int) -> None:
    classifier = started(folder, Shapes(num_frames, num_bins, 5))
    published = ASTForAudioClassification.from_pretrained(folder).audio_spectrogram_transformer.embeddings
    own_1WD = classifier.trunk.body.embeddings.position_embeddings
    assert torch.equal(own_1WD[:, :2], published.position_embeddings[:, :2])
    assert own_1WD.shape[1] == 2 + (1 + (num_frames - 16) // 10) * (1 + (num_bins - 16) // 10)
    lowest, highest = published.position_embeddings.aminmax()
    assert lowest <= own_1WD.min() <= own_1WD.max() <= highest
    assert classifier(torch.randn(2, num_frames, num_bins)).shape == (2, 5)


def test_a_checkpoint_needs_no_folder_and_can_be_gone_on_from(folder: Path, tmp_path: Path) -> None:
    first = started(folder)
    save_checkpoint(tmp_path / "own.pt", first, rule_of(tmp_path / "gone"), SHAPES, {})
    x_BNM = torch.randn(2, 96, 40)
    with torch.no_grad():
        assert torch.equal(load_checkpoint(tmp_path / "own.pt").classifier(x_BNM), first(x_BNM))
    second = build(rule_of(tmp_path / "own.pt"), Shapes(56, 40, 5))
    start_from(second, tmp_path / "own.pt")
    assert torch.equal(second.trunk.head.weight, first.trunk.head.weight)
    assert second.trunk.body.config.hidden_size == 24


def test_a_frozen_body_leaves_the_head_to_learn(folder: Path) -> None:
    frozen = started(folder, freeze=True)
    learnt = {name for name, weight in frozen.trunk.named_parameters() if weight.requires_grad}
    assert learnt == {"head.weight", "head.bias"}


def test_features_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = LogmelRule(n_fft=512, n_mels=128, fmin_hz=20.0, mel_scale="htk", mel_norm=None)
    features = {"kind": "logmel", "rate_hz": 16000, "rule": rule.model_dump(mode="json")}
    classifier = build(rule_of(folder), Shapes(96, 128, 5))
    start_from(classifier, folder, features, freeze=True)
    assert capsys.readouterr().out == ""
    assert classifier.front.std_M[0] == pytest.approx(39.686, abs=1e-3)
    other = {**features, "rate_hz": 32000}
    start_from(classifier, folder, other)
    line = capsys.readouterr().out.replace("\n", " ")
    assert (
        "expected the features that it was trained on, resample.rate_hz: 16000, got 32000; features.logmel.fmax_"
        in line
    )
    with pytest.raises(ModelError, match=r"rate_hz: 16000, got 32000; .*set them so, or model.freeze=false"):
        start_from(classifier, folder, other, freeze=True)
    with pytest.raises(ModelError, match=r"trained on, model.features: logmel, got mfcc; set them so"):
        start_from(classifier, folder, {**features, "kind": "mfcc"}, freeze=True)


def test_folders_that_are_not_one_are_refused(folder: Path, tmp_path: Path) -> None:
    rule = rule_of(tmp_path)
    with pytest.raises(
        ModelError, match=r"config.json: expected the config of an audio-spectrogram-transformer, got File"
    ):
        build(rule, SHAPES)
    (tmp_path / "config.json").write_text('{"model_type": "wav2vec2"}')
    with pytest.raises(ModelError, match=r"expected model_type audio-spectrogram-transformer, got wav2vec2; give the"):
        build(rule, SHAPES)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    classifier = build(rule, SHAPES)
    with pytest.raises(ModelError, match=r"expected config.json and model.safetensors, got OSError"):
        start_from(classifier, tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"expected config.json and model.safetensors, got \w+: .*; check them"):
        start_from(classifier, tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(
        ModelError, match=r"expected the weights of the network, got none of layers\.2\..* \(16\); check"
    ):
        start_from(classifier, tmp_path)
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "preprocessor_config.json").write_text("[]x")
    with pytest.raises(ModelError, match=r"preprocessor_config.json: expected JSON, got JSONDecodeError"):
        start_from(build(rule_of(folder), SHAPES), tmp_path, {"kind": "logmel", "rate_hz": 1, "rule": {}})


def test_another_network_does_not_take_a_folder(folder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"expected a checkpoint of this network, got a folder; name a file in it, or se"
    ):
        start_from(build(ModelRule(arch="ast"), SHAPES), folder)


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"expected the library transformers, found none; run: pip install 'audiopre"):
        build(rule_of(folder), SHAPES)


def test_other_networks_do_without_the_library() -> None:
    code = "import sys, audioprep.model.checkpoints; print('transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
