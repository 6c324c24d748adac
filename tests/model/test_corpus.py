from pathlib import Path

import numpy as np
import pytest
from model.corpora import SPLIT, write_features, write_split

from audioprep.errors import ShardError, SplitError
from audioprep.model.corpus import load_corpus


def test_clips_come_in_the_order_of_the_split(toy: Path) -> None:
    corpus = load_corpus(toy, "logmel", SPLIT)
    values_KNM = corpus.values(np.arange(60))
    assert values_KNM.shape == (60, 41, 16)
    assert corpus.ids == sorted(corpus.ids)
    loud_bins_K = values_KNM.astype(np.float32).mean(axis=1).argmax(axis=1) // 5
    np.testing.assert_array_equal(loud_bins_K, corpus.targets_K)


def test_roles_cover_every_clip_once(toy: Path) -> None:
    corpus = load_corpus(toy, "logmel", SPLIT)
    parts = [corpus.rows(2, {role}) for role in ("train", "valid", "test")]
    assert [len(part) for part in parts] == [36, 12, 12]
    assert sorted(np.concatenate(parts)) == list(range(60))


def test_unknown_fold_is_refused(toy: Path) -> None:
    with pytest.raises(
        SplitError, match=r"toy/official-5fold: expected a fold of \[1, 2, 3, 4, 5\], got 6; choose one"
    ):
        load_corpus(toy, "logmel", SPLIT).rows(6, {"test"})


def test_names_that_are_not_there_are_refused_with_the_nearest(toy: Path) -> None:
    with pytest.raises(
        SplitError, match=r"toy split: expected one of official-5fold, got 'official5'; did you mean 'off"
    ):
        load_corpus(toy, "logmel", "official5")
    with pytest.raises(ShardError, match=r"toy features: expected one of logmel, got 'logmell'; did you mean 'logmel'"):
        load_corpus(toy, "logmell", SPLIT)
    with pytest.raises(
        SplitError, match=r"official-5fold roles: expected one of test, .*, got 'training'; did you mean"
    ):
        load_corpus(toy, "logmel", SPLIT).rows(1, {"training"})


def test_normalisation_is_that_of_the_frames_themselves(toy: Path) -> None:
    corpus = load_corpus(toy, "logmel", SPLIT)
    rows = corpus.rows(1, {"train"})
    mean_M, std_M = corpus.normalisation(rows)
    frames = corpus.values(rows).astype(np.float64).reshape(-1, 16)
    np.testing.assert_allclose(mean_M, frames.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(std_M, frames.std(axis=0), rtol=1e-5)


def test_a_bin_that_never_moves_is_not_divided_by_zero(tmp_path: Path) -> None:
    ids = [f"{row}-clip" for row in range(6)]
    write_features(tmp_path / "ds/logmel", ids, np.full((6, 4, 3), -100.0))
    write_split(tmp_path / "ds/splits/s.parquet", ids, ["a", "b"] * 3, [1, 1, 2, 2, 3, 3], num_folds=3)
    corpus = load_corpus(tmp_path / "ds", "logmel", "s")
    _, std_M = corpus.normalisation(corpus.rows(1, {"train"}))
    assert np.isfinite(1 / std_M).all()


def test_clips_may_have_several_labels_or_none(tmp_path: Path) -> None:
    ids = ["0-clip", "1-clip", "2-clip"]
    write_features(tmp_path / "ds/logmel", ids, np.zeros((3, 4, 3)))
    write_split(tmp_path / "ds/splits/s.parquet", ids, ["b", ["a", "b"], []], [1, 2, 2], num_folds=2)
    corpus = load_corpus(tmp_path / "ds", "logmel", "s")
    assert corpus.is_multi_label
    assert corpus.truth(np.array([2, 1, 0])).tolist() == [[False, False], [True, True], [False, True]]


def test_one_label_each_is_no_matter_of_several(toy: Path) -> None:
    corpus = load_corpus(toy, "logmel", SPLIT)
    assert not corpus.is_multi_label
    np.testing.assert_array_equal(corpus.truth(np.arange(60)).argmax(axis=1), corpus.targets_K)


def test_clips_without_features_are_named(tmp_path: Path) -> None:
    write_features(tmp_path / "ds/logmel", ["0-clip"], np.zeros((1, 4, 3)))
    write_split(tmp_path / "ds/splits/s.parquet", ["0-clip", "1-clip"], ["a", "b"], [1, 2], num_folds=2)
    with pytest.raises(ShardError, match=r"logmel: expected 2 clips, 1 are not there \(1-clip\)"):
        load_corpus(tmp_path / "ds", "logmel", "s")
