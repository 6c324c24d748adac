import dataclasses
import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from model.corpora import QUICK, SMALL_MODEL, SPLIT, write_features, write_toy_corpus
from sklearn.metrics import average_precision_score

from audioprep.config.training import ModelRule, TrainRule
from audioprep.errors import ModelError
from audioprep.io.feature_reader import FeatureShards
from audioprep.model import loop
from audioprep.model.batches import FeatureBatches
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.loop import FoldResult, learning_rate, predict, train_fold
from audioprep.model.losses import class_weights, clip_chances

SHORT = QUICK.model_copy(update={"epochs": 4})


@pytest.fixture(scope="module")
def corpus(toy: Path) -> Corpus:
    return load_corpus(toy, "logmel", SPLIT)


def train(
    corpus: Corpus,
    state: Path,
    rule: TrainRule = SHORT,
    model: ModelRule = SMALL_MODEL,
    stop_after: int = 0,
    fold: int = 1,
    told: list[dict[str, Any]] | None = None,
) -> FoldResult:
    rows = [] if told is None else told

    def on_epoch(row: dict[str, Any]) -> None:
        rows.append(row)
        if len(rows) == stop_after:
            raise KeyboardInterrupt

    return train_fold(corpus, model, rule, fold, state, on_epoch)


def weights(result: FoldResult) -> dict[str, torch.Tensor]:
    return result.classifier.state_dict()


def assert_same(first: FoldResult, second: FoldResult) -> None:
    for name, value in weights(first).items():
        assert torch.equal(value, weights(second)[name]), name


def with_values(corpus: Corpus, values_KNM: npt.NDArray[Any], root: Path) -> Corpus:
    """Return the corpus with other features, in the order of its clips."""
    write_features(root / "altered/logmel", corpus.ids, values_KNM)
    shards = FeatureShards(root / "altered/logmel")
    return dataclasses.replace(corpus, shards=shards, clips_K=shards.find(corpus.ids))


def with_labels(corpus: Corpus, rows: npt.NDArray[np.int64], label: str) -> Corpus:
    labels = [[label] if row in rows else known for row, known in enumerate(corpus.labels)]
    return dataclasses.replace(corpus, labels=labels)


def test_the_toy_is_learnt(corpus: Corpus, tmp_path: Path) -> None:
    result = train(corpus, tmp_path / "state.pt", QUICK)
    rows = corpus.rows(1, {"test"})
    scores_KL = predict(result.classifier, corpus.values(rows), num_shifts=3)
    np.testing.assert_allclose(scores_KL.sum(axis=1), 1.0, rtol=1e-5)
    assert (scores_KL.argmax(axis=1) == corpus.targets_K[rows]).mean() >= 0.9
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.num_clips == 36


@pytest.mark.parametrize("loss", ["auto", "focal"])
def test_several_labels_are_learnt(tmp_path: Path, loss: str) -> None:
    write_toy_corpus(tmp_path, several=True)
    corpus = load_corpus(tmp_path / "data/toy", "logmel", SPLIT)
    result = train(corpus, tmp_path / "state.pt", QUICK.model_copy(update={"loss": loss, "epochs": 20}))
    assert result.classifier.outputs == "sigmoid"
    rows = corpus.rows(1, {"test"})
    scores_KL = predict(result.classifier, corpus.values(rows))
    assert average_precision_score(corpus.truth(rows), scores_KL) >= 0.9


@pytest.mark.parametrize("changes", [{"loss": "bce"}, {"balance": "sampler"}, {"balance": "weights"}])
def test_other_ways_to_learn_one_label(corpus: Corpus, tmp_path: Path, changes: dict[str, str]) -> None:
    result = train(corpus, tmp_path / "state.pt", QUICK.model_copy(update=changes))
    rows = corpus.rows(1, {"test"})
    assert (predict(result.classifier, corpus.values(rows)).argmax(axis=1) == corpus.targets_K[rows]).mean() >= 0.9


def test_a_rare_class_is_drawn_as_often_as_others(corpus: Corpus) -> None:
    rows = np.concatenate([np.flatnonzero(corpus.targets_K == 0)[:2], np.flatnonzero(corpus.targets_K == 1)])
    truth_KL = corpus.truth(rows)
    chances_K = clip_chances(truth_KL, class_weights(truth_KL.sum(axis=0)))
    batches = FeatureBatches(corpus, rows, batch_size=8, chances=chances_K)
    drawn_L = sum(batch.targets.sum(0) for _ in range(50) for batch in batches)
    assert drawn_L[:2].sum() == 50 * len(rows)
    assert drawn_L[0] / drawn_L[1] == pytest.approx(1.0, abs=0.2)


def test_a_clip_normalised_by_itself_may_be_louder(corpus: Corpus, tmp_path: Path) -> None:
    model = SMALL_MODEL.model_copy(update={"normalise": "clip"})
    classifier = train(corpus, tmp_path / "state.pt", QUICK, model).classifier
    values_KNM = corpus.values(corpus.rows(1, {"test"})).astype(np.float32)
    np.testing.assert_allclose(predict(classifier, values_KNM), predict(classifier, values_KNM + 12.0), atol=1e-4)


def test_a_class_that_is_never_trained_on_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    altered = with_labels(corpus, corpus.rows(1, {"train"}), "bell")
    expected = (
        r"toy/official-5fold fold 1: expected clips of every class to train on, got none of drum, siren \(2 of 3 c"
    )
    with pytest.raises(ModelError, match=expected):
        train(altered, tmp_path / "state.pt")


def test_same_seed_same_weights_and_another_seed_others(corpus: Corpus, tmp_path: Path) -> None:
    first, second = train(corpus, tmp_path / "1.pt"), train(corpus, tmp_path / "2.pt")
    assert_same(first, second)
    third = train(corpus, tmp_path / "3.pt", SHORT.model_copy(update={"seed": 1}))
    assert not torch.equal(weights(first)["trunk.stem.weight"], weights(third)["trunk.stem.weight"])


def test_an_interrupted_training_ends_like_an_undisturbed_one(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", 0.0)
    undisturbed = train(corpus, tmp_path / "1.pt")
    with pytest.raises(KeyboardInterrupt):
        train(corpus, tmp_path / "2.pt", stop_after=2)
    told: list[dict[str, Any]] = []
    resumed = train(corpus, tmp_path / "2.pt", told=told)
    assert_same(undisturbed, resumed)
    assert told == undisturbed.history
    assert resumed.history == undisturbed.history


def test_the_state_of_another_fold_is_refused(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", 0.0)
    train(corpus, tmp_path / "1.pt", SHORT.model_copy(update={"epochs": 1}))
    with pytest.raises(ModelError, match=r"1.pt: expected the state of fold 2, got fold 1; delete it"):
        train_fold(corpus, SMALL_MODEL, SHORT, 2, tmp_path / "1.pt", lambda row: None)


def test_the_tested_fold_decides_nothing(corpus: Corpus, tmp_path: Path) -> None:
    rows = corpus.rows(1, {"test"})
    values_KNM = corpus.values(np.arange(60))
    values_KNM[rows] = 1000.0
    altered = with_labels(with_values(corpus, values_KNM, tmp_path), rows, "bell")
    assert_same(train(corpus, tmp_path / "1.pt"), train(altered, tmp_path / "2.pt"))


def test_validation_decides_no_weight_and_is_in_the_history(corpus: Corpus, tmp_path: Path) -> None:
    altered = with_labels(corpus, corpus.rows(1, {"valid"}), "bell")
    first, second = train(corpus, tmp_path / "1.pt"), train(altered, tmp_path / "2.pt")
    assert_same(first, second)
    assert first.history[-1]["valid_accuracy"] != second.history[-1]["valid_accuracy"]


def test_a_corpus_that_does_not_fit_into_memory_is_learnt_too(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Room for 20 of the 36 clips, as the front makes them: the row groups have up to 18.
    streamed = partial(FeatureBatches, memory_bytes=20 * 2 * 20 * 16 * 4)
    monkeypatch.setattr(loop, "FeatureBatches", streamed)
    result = train(corpus, tmp_path / "state.pt", QUICK)
    rows = corpus.rows(1, {"test"})
    scores_KL = predict(result.classifier, corpus.values(rows))
    assert (scores_KL.argmax(axis=1) == corpus.targets_K[rows]).mean() >= 0.9


def test_fitting_on_validation_too_uses_more_clips_and_reports_no_validation(corpus: Corpus, tmp_path: Path) -> None:
    result = train(corpus, tmp_path / "1.pt", SHORT.model_copy(update={"fit_on": ("train", "valid")}))
    assert result.num_clips == 48
    assert "valid_loss" not in result.history[-1]


def test_learning_rate_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=101, pct_start=0.2, div_factor=25.0, final_div_factor=1e9
    )
    for step in range(100):
        # OneCycleLR counts its first phase from step 0 to pct_start * total - 1.
        expected = scheduler.get_last_lr()[0]
        assert learning_rate(step, 100, 0.3, 0.2) == pytest.approx(expected, abs=0.012)
        optimizer.step()
        scheduler.step()
    assert learning_rate(0, 100, 0.3, 0.2) == pytest.approx(0.3 / 25)
    assert learning_rate(20, 100, 0.3, 0.2) == pytest.approx(0.3)
    assert learning_rate(0, 10, 0.3, 0.0) == pytest.approx(0.3)


def test_bf16_is_chosen_where_the_hardware_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert loop.resolve_precision("auto", cpu, 64) == "bf16"
    assert loop.resolve_precision("auto", cpu, 12) == "float32"  # torch would compute wrong gradients
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    assert loop.resolve_precision("auto", cpu, 64) == "float32"
    assert loop.resolve_precision("bf16", cpu, 64) == "bf16"


def test_bf16_trains(corpus: Corpus, tmp_path: Path) -> None:
    result = train(corpus, tmp_path / "1.pt", SHORT.model_copy(update={"precision": "bf16"}))
    assert result.precision == "bf16"
    assert weights(result)["trunk.stem.weight"].dtype == torch.float32


def test_a_gpu_that_is_not_there_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert loop.resolve_device("auto").type == "cpu"
    with pytest.raises(ModelError, match=r"train.device: expected a GPU for cuda, found none"):
        loop.resolve_device("cuda")


def test_powers_are_mixed(corpus: Corpus, tmp_path: Path) -> None:
    powers, decibels = (
        QUICK.model_copy(update={"mixup_prob": 0.5, "mixup_domain": name}) for name in ("power", "features")
    )
    result = train(corpus, tmp_path / "1.pt", powers)
    rows = corpus.rows(1, {"test"})
    assert (predict(result.classifier, corpus.values(rows)).argmax(axis=1) == corpus.targets_K[rows]).mean() >= 0.9
    other = train(corpus, tmp_path / "2.pt", decibels)
    assert not torch.equal(weights(result)["trunk.stem.weight"], weights(other)["trunk.stem.weight"])


def test_powers_of_what_is_no_power_cannot_be_mixed(corpus: Corpus, tmp_path: Path) -> None:
    rule = SHORT.model_copy(update={"mixup_domain": "power"})
    with pytest.raises(ModelError, match=r"mixup_domain: expected model.features=logmel .* got logmel and clip; set"):
        train(corpus, tmp_path / "1.pt", rule, SMALL_MODEL.model_copy(update={"normalise": "clip"}))
    write_features(tmp_path / "mfcc", corpus.ids, corpus.values(np.arange(60)), kind="mfcc")
    shards = FeatureShards(tmp_path / "mfcc")
    other = dataclasses.replace(corpus, shards=shards, clips_K=shards.find(corpus.ids))
    with pytest.raises(ModelError, match=r"mixup_domain: expected model.features=logmel .* got mfcc and corpus; set"):
        train(other, tmp_path / "2.pt", rule)


def test_too_few_clips_are_refused(corpus: Corpus, tmp_path: Path) -> None:
    lonely = dataclasses.replace(corpus, roles={1: ["train"] + ["test"] * 59})
    with pytest.raises(ModelError, match=r"fold 1: expected 2 clips or more to train on, got 1"):
        train(lonely, tmp_path / "1.pt")


def test_a_loss_that_is_no_number_stops_the_training(corpus: Corpus, tmp_path: Path) -> None:
    broken = with_values(corpus, np.full((60, 41, 16), np.nan), tmp_path)
    with pytest.raises(
        ModelError, match=r"fold 1: expected a finite loss, got nan in epoch 1, step 1 of 4; lower train.lr$"
    ):
        train(broken, tmp_path / "1.pt")
    assert not list(tmp_path.glob("*.pt"))


def test_what_was_learnt_before_the_loss_went_wrong_is_kept(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, make_loss = itertools.count(), loop.make_loss

    def spoilt(*rule: Any) -> Any:
        loss = make_loss(*rule)
        return lambda logits, targets: loss(logits, targets) * (np.nan if next(steps) == 6 else 1.0)

    monkeypatch.setattr(loop, "make_loss", spoilt)
    alone = dataclasses.replace(corpus, roles={1: ["test" if r == "valid" else r for r in corpus.roles[1]]})
    message = (
        r"got nan in epoch 2, step 3 of 4; lower train.lr, or with train.folds=\[1\] give what was learnt before as "
        r"model.init_checkpoint: "
    )
    with pytest.raises(ModelError, match=rf"{message}.*fold1\.last\.pt$"):
        train(alone, tmp_path / "1.pt")
    kept = load_checkpoint(tmp_path / "fold1.last.pt")
    assert all(weight.isfinite().all() for weight in kept.classifier.state_dict().values())
    model = SMALL_MODEL.model_copy(update={"init_checkpoint": str(tmp_path / "fold1.last.pt")})
    monkeypatch.setattr(loop, "make_loss", make_loss)
    assert np.isfinite(train(corpus, tmp_path / "2.pt", model=model).history[-1]["train_loss"])
    with pytest.raises(
        ModelError,
        match=r"fold1\.last\.pt: expected weights that have not seen the tested clips, those of fold 2 of official-5fold, got "
        r"those of fold 1 of official-5fold; set train.folds=\[1\] with that split, or start from another corpus$",
    ):
        train(corpus, tmp_path / "3.pt", model=model, fold=2)


def test_a_gradient_that_is_no_number_stops_before_the_weights_are_lost(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, make_loss = itertools.count(), loop.make_loss

    def spoilt(*rule: Any) -> Any:
        loss = make_loss(*rule)

        def of(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            # The square root of 0 is finite, and its slope is not.
            edge = (logits - logits).abs().sum().sqrt() if next(steps) == 2 else 0.0
            return loss(logits, targets) + edge

        return of

    monkeypatch.setattr(loop, "make_loss", spoilt)
    alone = dataclasses.replace(corpus, roles={1: ["test" if r == "valid" else r for r in corpus.roles[1]]})
    with pytest.raises(
        ModelError, match=r"expected a finite gradient, got nan in epoch 1, step 3 of 4; lower train.lr,"
    ):
        train(alone, tmp_path / "1.pt")
    kept = load_checkpoint(tmp_path / "fold1.last.pt")
    assert all(weight.isfinite().all() for weight in kept.classifier.state_dict().values())
