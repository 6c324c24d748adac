import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from audioprep import cli
from audioprep.errors import ModelError
from audioprep.io.predictions import Predictions, write_predictions
from audioprep.model.compare import compare
from audioprep.model.judge import drawn_headlines, headline
from audioprep.model.metrics.ranking import average_precision

NUM_CLIPS = 120


def one_label(share_right: float, seed: int, *, group_size: int = 2) -> Predictions:
    rng = np.random.default_rng(seed)
    true_K = np.arange(NUM_CLIPS) % 3
    predicted_K = np.where(rng.random(NUM_CLIPS) < share_right, true_K, (true_K + 1) % 3)
    return Predictions(
        ids=[f"clip{row:03d}" for row in range(NUM_CLIPS)],
        folds_K=np.arange(NUM_CLIPS) // (NUM_CLIPS // 2) + 1,
        groups=[f"g{row // group_size}" for row in range(NUM_CLIPS)],
        truth_KL=true_K[:, None] == np.arange(3),
        decided_KL=predicted_K[:, None] == np.arange(3),
        scores_KL=np.eye(3, dtype=np.float32)[predicted_K],
        classes=["a", "b", "c"],
        is_multi_label=False,
    )


def several_labels(noise: float, seed: int) -> Predictions:
    truth_KL = np.random.default_rng(99).random((NUM_CLIPS, 3)) < 0.4
    scores_KL = np.clip(0.5 * truth_KL + noise * np.random.default_rng(seed).random((NUM_CLIPS, 3)), 0, 1)
    return replace(
        one_label(1.0, 0),
        truth_KL=truth_KL,
        decided_KL=scores_KL >= 0.5,
        scores_KL=scores_KL.astype(np.float32),
        is_multi_label=True,
    )


@pytest.fixture
def saved(tmp_path: Path):
    def save(name: str, predictions: Predictions) -> Path:
        (tmp_path / name).mkdir()
        write_predictions(tmp_path / name / "predictions.parquet", predictions)
        return tmp_path / name

    return save


def test_a_clear_difference_is_told(saved) -> None:
    worse, better = one_label(0.6, 1), one_label(0.95, 2)
    found = compare(saved("a", worse), saved("b", better))
    assert found.difference == pytest.approx(better.is_right_K.mean() - worse.is_right_K.mean())
    assert 0 < found.low95 < found.difference < found.high95
    only = (~worse.is_right_K & better.is_right_K).sum(), (worse.is_right_K & ~better.is_right_K).sum()
    assert (found.mcnemar["only_b"], found.mcnemar["only_a"]) == only
    assert found.mcnemar["p_value"] == pytest.approx(binomtest(int(only[0]), int(sum(only))).pvalue)
    assert found.verdict.startswith("B is better: +")
    assert compare(saved("c", better), saved("d", worse)).verdict.startswith("A is better: -")


def test_the_interval_is_as_wide_as_independent_pairs_make_it(saved) -> None:
    a, b = one_label(0.7, 1, group_size=1), one_label(0.8, 2, group_size=1)
    found = compare(saved("a", a), saved("b", b))
    gain_K = b.is_right_K.astype(float) - a.is_right_K
    half = 1.96 * gain_K.std(ddof=1) / np.sqrt(NUM_CLIPS)
    expected = (gain_K.mean() - half, gain_K.mean() + half)
    assert (found.low95, found.high95) == pytest.approx(expected, abs=0.015)


def test_a_small_difference_may_be_chance_and_few_groups_tell_nothing(saved) -> None:
    a, b = one_label(0.8, 1), one_label(0.8, 2)
    assert compare(saved("a", a), saved("b", b)).verdict.startswith("the difference may be chance: ")
    assert compare(saved("e", a), saved("f", a)).verdict == "the predictions are the same"
    few = [replace(each, groups=["x"] * 60 + ["y"] * 60) for each in (one_label(0.6, 1), one_label(0.95, 2))]
    assert compare(saved("c", few[0]), saved("d", few[1])).verdict.startswith("2 groups are too few to tell: ")


def test_several_labels_are_compared_by_average_precision(saved) -> None:
    a, b = several_labels(2.0, 1), several_labels(0.7, 2)
    # The order of the clips changes nothing.
    shuffled = b.take(np.random.default_rng(0).permutation(NUM_CLIPS))
    found = compare(saved("a", a), saved("b", shuffled) / "predictions.parquet")
    assert found.metric == "map"
    half = NUM_CLIPS // 2
    for value, run in ((found.rows[0][1], a), (found.rows[0][2], b)):
        folds = [
            average_precision(run.truth_KL[part], run.scores_KL[part]).mean()
            for part in (slice(half), slice(half, None))
        ]
        assert value == pytest.approx(np.mean(folds))
    assert found.verdict.startswith("B is better: ")
    assert [row[0] for row in found.rows] == ["map", "lwlrap", "macro_f1", "micro_f1"]


def test_what_cannot_be_compared_is_said(saved) -> None:
    whole = one_label(0.8, 1)
    a = saved("a", whole)
    fewer = saved("fewer", whole.take(np.arange(5, NUM_CLIPS)))
    with pytest.raises(
        ModelError, match=r"expected the same clips, got 5 in the first alone and 0 .*, such as clip000"
    ):
        compare(a, fewer)
    other = saved("other", replace(whole, classes=["a", "b", "d"]))
    with pytest.raises(ModelError, match=r"expected the same classes, got 3 and 3 with 2 in common"):
        compare(a, other)
    relabelled = saved("relabelled", replace(whole, truth_KL=np.roll(whole.truth_KL, 1, axis=1)))
    with pytest.raises(ModelError, match=r"expected the same labels, got others for 120 clips, such as clip000"):
        compare(a, relabelled)
    regrouped = saved("regrouped", replace(whole, groups=["g"] * NUM_CLIPS))
    with pytest.raises(ModelError, match=r"expected the same folds and groups, got others"):
        compare(a, regrouped)


def test_the_command_prints_one_table_and_one_verdict(saved, monkeypatch, capsys) -> None:
    a, b = saved("a", one_label(0.6, 1)), saved("b", one_label(0.95, 2))
    monkeypatch.setattr(sys, "argv", ["audioprep", "compare", str(a), str(b)])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert not leaving.value.code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("B is better: +")
    assert any("balanced_accuracy" in line for line in lines)
    monkeypatch.setattr(sys, "argv", ["audioprep", "compare", str(a), str(a.parent / "none")])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err.count("\n") == 1


def test_the_interval_is_of_the_headline_where_folds_differ_in_size() -> None:
    small, large = one_label(0.5, 1), one_label(0.9, 2)
    unequal = replace(small, folds_K=np.where(np.arange(NUM_CLIPS) < 12, 1, 2))
    decided_KL = np.where((unequal.folds_K == 1)[:, None], small.decided_KL, large.decided_KL)
    unequal = replace(unequal, decided_KL=decided_KL)
    drawn_B = drawn_headlines(unequal)
    assert np.median(drawn_B) == pytest.approx(headline(unequal), abs=0.02)
