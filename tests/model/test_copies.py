"""Copies in training: an epoch takes one version of each clip, and none of a clip that is validated or tested."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model.corpora import QUICK, SMALL_MODEL, SPLIT, write_features, write_split

from audioprep.config.training import TrainRule
from audioprep.errors import ModelError, ShardError
from audioprep.io.copies import copy_id
from audioprep.model import folds, loop
from audioprep.model.batches import FeatureBatches
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.copies import copied_waves
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.folds import train_folds
from audioprep.model.loop import train_fold

CLIP_BYTES = 41 * 16 * 2
SHORT = QUICK.model_copy(update={"epochs": 3})


def write_copies(data: Path, ids: list[str], values_KNM: npt.NDArray[Any], num: int) -> None:
    """Write copies of clips, each with the number of the copy added to its values."""
    copied = [copy_id(clip, copy + 1) for clip in ids for copy in range(num)]
    louder_KNM = np.repeat(values_KNM, num, axis=0) + np.tile(np.arange(1, num + 1), len(ids))[:, None, None]
    folder = data / "augmented/logmel"
    write_features(folder, copied, louder_KNM)
    index = json.loads((folder / "_index.json").read_text())
    (folder / "_index.json").write_text(json.dumps({**index, "copies": num, "augment": {"copies": num, "seed": 0}}))


@pytest.fixture(scope="module")
def data(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus with two copies of each clip."""
    corpus = load_corpus(toy, "logmel", SPLIT)
    folder = tmp_path_factory.mktemp("copies") / "toy"
    values_KNM = corpus.values(np.arange(60))
    write_features(folder / "logmel", corpus.ids, values_KNM)
    write_copies(folder, corpus.ids, values_KNM, 2)
    for path in folder.rglob("part-*.parquet"):  # in small row groups
        pq.write_table(pq.read_table(path, partitioning=None), path, row_group_size=5, use_dictionary=False)
    (folder / "splits").mkdir()
    (folder / f"splits/{SPLIT}.parquet").write_bytes((toy / f"splits/{SPLIT}.parquet").read_bytes())
    return folder


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return load_corpus(data, "logmel", SPLIT, with_copies=True)


def test_only_who_asks_for_copies_gets_them(data: Path, corpus: Corpus) -> None:
    plain = load_corpus(data, "logmel", SPLIT)
    assert (plain.copies.num, len(plain.ids)) == (0, 60)
    assert (corpus.copies.num, len(corpus.ids)) == (2, 180)
    assert corpus.roles == plain.roles
    assert corpus.ids[:60] == plain.ids
    rows = plain.rows(1, {"train"})
    np.testing.assert_array_equal(corpus.rows(1, {"train"}), rows)
    np.testing.assert_array_equal(corpus.normalisation(rows), plain.normalisation(rows))
    versions_VK = corpus.versions(rows)
    assert versions_VK.shape == (3, len(rows))
    for version, rows_K in enumerate(versions_VK):
        np.testing.assert_array_equal(corpus.truth(rows_K), plain.truth(rows))
        np.testing.assert_array_equal(corpus.values(rows_K), (plain.values(rows) + np.float16(version)))
    np.testing.assert_array_equal(plain.versions(rows), rows[None])


@pytest.mark.parametrize("num_held", [180, 60, 20])
def test_an_epoch_takes_one_version_of_each_clip(corpus: Corpus, num_held: int) -> None:
    rows = corpus.rows(1, {"train"})
    batches = FeatureBatches(
        corpus, corpus.versions(rows), batch_size=7, memory_bytes=num_held * CLIP_BYTES, read_ahead=0
    )
    assert batches.is_held == (num_held > 3 * len(rows))
    taken = set()
    for _ in range(12):
        ids, bodies = [], []
        for batch in batches:
            ids += batch.ids
            bodies.append(batch.features)
            expected = corpus.values(np.array([corpus.ids.index(name) for name in batch.ids]))
            np.testing.assert_array_equal(batch.features.numpy(), expected.astype(np.float32))
        assert sorted(name.split("~")[0] for name in ids) == sorted(corpus.ids[row] for row in rows)
        assert len(ids) == batches.num_clips == len(rows)
        assert max(map(len, bodies)) <= 8
        taken |= set(ids)
    assert len(taken) > 0.9 * 3 * len(rows), "nearly all versions have been there by now"


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_no_copy_of_a_clip_that_is_validated_or_tested_is_trained_on(
    tmp_path_factory: pytest.TempPathFactory, draws: st.DataObject
) -> None:
    num_clips, num = draws.draw(st.integers(10, 16), "clips"), draws.draw(st.integers(1, 3), "copies")
    names = st.text("ab~1", min_size=1, max_size=4)
    ids = draws.draw(st.lists(names, min_size=num_clips, max_size=num_clips, unique=True), "ids")
    fold_of = draws.draw(st.lists(st.integers(1, 3), min_size=num_clips, max_size=num_clips), "folds")
    fold_of[:3] = 1, 2, 3
    folder = tmp_path_factory.mktemp("roles") / "toy"
    values_KNM = np.arange(num_clips)[:, None, None] * 8.0 + np.zeros((num_clips, 2, 2))
    write_features(folder / "logmel", ids, values_KNM)
    write_copies(folder, ids, values_KNM, num)
    write_split(folder / f"splits/{SPLIT}.parquet", ids, ["x"] * num_clips, fold_of, num_folds=3)
    corpus = load_corpus(folder, "logmel", SPLIT, with_copies=True)
    for fold, roles in corpus.roles.items():
        allowed = {place for place, role in enumerate(roles) if role == "train"}
        if not allowed:
            continue
        batches = FeatureBatches(corpus, corpus.versions(corpus.rows(fold, {"train"})), batch_size=4, read_ahead=0)
        # What a value was made of is written in it, whatever the ids say.
        seen = {int(value) // 8 for _ in range(4) for batch in batches for value in batch.features[:, 0, 0]}
        assert seen == allowed


def weights(corpus: Corpus, state: Path, rule: TrainRule = SHORT, stop_after: int = 0) -> dict[str, torch.Tensor]:
    epochs = []

    def on_epoch(_row: dict[str, Any]) -> None:
        epochs.append(1)
        if len(epochs) == stop_after:
            raise KeyboardInterrupt

    return train_fold(corpus, SMALL_MODEL, rule, 1, state, on_epoch).classifier.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def test_training_with_copies_can_be_interrupted(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_EVERY_S", 0.0)
    undisturbed = weights(corpus, tmp_path / "1.pt")
    with pytest.raises(KeyboardInterrupt):
        weights(corpus, tmp_path / "2.pt", stop_after=2)
    assert same(weights(corpus, tmp_path / "2.pt"), undisturbed)
    sampled = weights(corpus, tmp_path / "3.pt", SHORT.model_copy(update={"balance": "sampler"}))
    assert not same(sampled, undisturbed)


def test_copies_of_other_clips_decide_nothing(data: Path, corpus: Corpus, tmp_path: Path) -> None:
    rows = corpus.versions(corpus.rows(1, {"valid", "test"}))[1:].reshape(-1)
    assert len(rows)
    # Wherever they are read, they are now the values of one clip.
    clips_K = corpus.clips_K.copy()
    clips_K[rows] = clips_K[0]
    others = replace(corpus, clips_K=clips_K)
    assert same(weights(others, tmp_path / "1.pt"), weights(corpus, tmp_path / "2.pt"))


def test_folds_are_trained_on_copies_and_say_so(
    data: Path, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    rule = SHORT.model_copy(update={"folds": (1,), "epochs": 1})
    for name, folder in (("with", data), ("without", toy)):
        train_folds(folder, SPLIT, SMALL_MODEL, rule, tmp_path / "work", tmp_path / name)
    metas = {name: load_checkpoint(tmp_path / name / "fold1.pt").meta for name in ("with", "without")}
    assert metas["with"]["augment"] == {"copies": 2, "seed": 0}
    assert "augment" not in metas["without"]
    corpus = load_corpus(data, "logmel", SPLIT, with_copies=True)
    expected = weights(corpus, tmp_path / "state.pt", rule)
    assert same(load_checkpoint(tmp_path / "with/fold1.pt").classifier.state_dict(), expected)


def test_copies_are_in_the_fingerprint_of_a_fold(data: Path) -> None:
    before = folds._fingerprint(data, SPLIT, SMALL_MODEL, SHORT)
    index = data / "augmented/logmel/_index.json"
    text = index.read_text()
    index.write_text(text.replace('"seed": 0', '"seed": 1'))
    after = folds._fingerprint(data, SPLIT, SMALL_MODEL, SHORT)
    index.write_text(text)
    assert before != after


def test_copies_that_a_clip_lacks_are_missed(data: Path, tmp_path: Path) -> None:
    corpus = load_corpus(data, "logmel", SPLIT)
    values_KNM = corpus.values(np.arange(60))
    write_features(tmp_path / "toy/logmel", corpus.ids, values_KNM)
    write_copies(tmp_path / "toy", corpus.ids[1:], values_KNM[1:], 1)
    (tmp_path / "toy/splits").symlink_to(data / "splits")
    with pytest.raises(
        ShardError,
        match=r"augmented/logmel: expected 60 clips, 1 are not there \(000-clip~1\); run the augment and split",
    ):
        load_corpus(tmp_path / "toy", "logmel", SPLIT, with_copies=True)


def test_a_clip_that_is_not_used_cannot_be_heard(tmp_path: Path) -> None:
    for name in ("audio/shar", "cuts"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "audio/_index.json").write_text('{"shards": [{"shard": 0, "rows": 1}]}')
    (tmp_path / "cuts/cuts.000000.jsonl").write_text('{"id": "a", "custom": {"used": false}}\n')
    meta = {"kind": "logmel", "rate_hz": 16000, "window_s": 1.0}
    for clip in ("a", "b"):
        with pytest.raises(ModelError, match=rf"expected a clip that is used, got '{clip}'; choose one of its split"):
            list(copied_waves(tmp_path, meta, [clip], 1))
