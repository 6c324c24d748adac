import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from model.corpora import SMALL_MODEL
from steps.small_corpus import Run, write_corpus

from audioprep.config.training import RobustnessRule
from audioprep.errors import ConfigError, ModelError
from audioprep.model.checkpoints import Shapes, build, standardise
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.loop import predict
from audioprep.model.robustness import ScoredFold, degraded_scores


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus with its audio."""
    root = tmp_path_factory.mktemp("robust")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        Run(write_corpus(root / "sounds"), root / "data/small").all()
    return root / "data/small"


@pytest.fixture(scope="module")
def corpus(data: Path) -> Corpus:
    return load_corpus(data, "logmel", "grouped-3fold")


@pytest.fixture(scope="module")
def tests(corpus: Corpus) -> list[ScoredFold]:
    """Two folds with networks that nobody has trained."""
    folds = []
    for fold in (1, 2):
        torch.manual_seed(fold)
        classifier = build(SMALL_MODEL, Shapes(corpus.shards.num_frames, corpus.shards.num_bins, 3)).eval()
        standardise(classifier, *corpus.normalisation(corpus.rows(fold, {"train"})))
        folds.append(ScoredFold(classifier, corpus.rows(fold, {"test"})))
    return folds


def test_nearly_no_noise_gives_the_scores_of_the_stored_features(
    data: Path, corpus: Corpus, tests: list[ScoredFold]
) -> None:
    rule = RobustnessRule(snr_db=(200.0, -10.0), noises=("white", "pink", "small"), reverb_s=(0.5,))
    found = degraded_scores(data, corpus, tests, rule, 2)
    noises = [f"{name} noise, {snr_db} dB" for name in rule.noises for snr_db in (200, -10)]
    assert [*found] == [*noises, "reverb, 0.5 s"]
    for number, test in enumerate(tests):
        clean_KL = predict(test.classifier, corpus.values(test.rows_K), num_shifts=2)
        for name, scores in found.items():
            assert scores[number].shape == clean_KL.shape
            assert (np.abs(scores[number] - clean_KL).max() < 1e-4) == ("200 dB" in name), name


def test_the_same_seed_is_the_same_noise(data: Path, corpus: Corpus, tests: list[ScoredFold]) -> None:
    runs = [
        degraded_scores(data, corpus, tests[:1], RobustnessRule(snr_db=(0.0,), noises=("white",), seed=seed), 1)
        for seed in (3, 3, 4)
    ]
    scores = [run["white noise, 0 dB"][0] for run in runs]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


def test_noise_may_be_one_label_of_a_corpus(data: Path, corpus: Corpus, tests: list[ScoredFold]) -> None:
    label = corpus.classes[0]
    noises = ("small", f"small/{label}")
    found = degraded_scores(data, corpus, tests[:1], RobustnessRule(snr_db=(0.0,), noises=noises), 1)
    whole, part = (found[f"{name} noise, 0 dB"][0] for name in noises)
    assert (whole != part).any()
    rule = RobustnessRule(snr_db=(0.0,), noises=("small/cow",))
    with pytest.raises(ConfigError, match=r"robustness.noises: expected clips of 'small/cow' that sound, got none"):
        degraded_scores(data, corpus, tests[:1], rule, 1)


def test_no_such_noise_is_said(data: Path, corpus: Corpus, tests: list[ScoredFold]) -> None:
    rule = RobustnessRule(snr_db=(0.0,), noises=("musan",))
    with pytest.raises(
        ConfigError,
        match=r"robustness.noises: expected white, pink or a prepared corpus, got 'musan', .* run `audioprep prepare musan`",
    ):
        degraded_scores(data, corpus, tests, rule, 1)


def test_without_audio_there_is_no_such_test(
    data: Path, corpus: Corpus, tests: list[ScoredFold], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"robustness: expected the audio and cuts of .*bare, found none; get them by"):
        degraded_scores(tmp_path / "bare", corpus, tests, RobustnessRule(reverb_s=(0.5,)), 1)
    other = replace(corpus, ids=["unknown", *corpus.ids[1:]])
    tested = [ScoredFold(tests[0].classifier, np.array([0, 1]))]
    with pytest.raises(ModelError, match=r"expected the audio of 2 clips in .*small, got that of 1; run the resample"):
        degraded_scores(data, other, tested, RobustnessRule(reverb_s=(0.5,)), 1)


def test_noise_of_another_rate_or_without_a_sound_is_refused(
    data: Path, corpus: Corpus, tests: list[ScoredFold], tmp_path: Path
) -> None:
    shutil.copytree(data, tmp_path / "noise")
    index = tmp_path / "noise/audio/_index.json"
    index.write_text(index.read_text().replace('"rate_hz": 16000', '"rate_hz": 8000'))
    rule = RobustnessRule(snr_db=(0.0,), noises=("noise",))
    with pytest.raises(
        ConfigError, match=r"noises: expected audio of 16000 Hz, got 8000 Hz of 'noise'; prepare it again"
    ):
        degraded_scores(tmp_path / "small", corpus, tests, rule, 1)
    index.write_text(index.read_text().replace('"rate_hz": 8000', '"rate_hz": 16000'))
    for path in (tmp_path / "noise/cuts").glob("*.jsonl"):
        path.write_text(path.read_text().replace('"used": true', '"used": false'))
    with pytest.raises(ConfigError, match=r"noises: expected clips of 'noise' that sound, got none; choose others"):
        degraded_scores(tmp_path / "small", corpus, tests, rule, 1)


def test_features_that_cannot_be_made_again_are_said(data: Path, corpus: Corpus, tests: list[ScoredFold]) -> None:
    shards = SimpleNamespace(meta={**corpus.meta, "kind": "embedding"})
    with pytest.raises(ModelError, match=r"expected features of a kind of logmel, mfcc, .*, got embedding"):
        degraded_scores(data, replace(corpus, shards=shards), tests, RobustnessRule(reverb_s=(0.5,)), 1)
