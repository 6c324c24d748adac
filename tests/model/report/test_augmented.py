from pathlib import Path

import pytest
import torch
from model.corpora import QUICK, SPLIT

from audioprep.config.training import TrainRule
from audioprep.model.checkpoints import Checkpoint, load_checkpoint
from audioprep.model.corpus import Corpus, load_corpus
from audioprep.model.report.augmented import augmented

NOTHING = QUICK.model_copy(
    update={"time_roll": False, "time_stretch": 1.0, "freq_shift_bins": 0, "freq_warp": 1.0}
    | {"freq_gain": 0.0, "mixup_prob": 0.0, "time_mask": 0.0, "freq_mask": 0.0}
)


@pytest.fixture(scope="module")
def corpus(toy: Path) -> Corpus:
    return load_corpus(toy, "logmel", SPLIT)


@pytest.fixture(scope="module")
def checkpoint(checkpoints: Path) -> Checkpoint:
    return load_checkpoint(checkpoints / "fold1.pt")


def test_clips_of_the_training_side_are_shown_one_of_each_class(corpus: Corpus, checkpoint: Checkpoint) -> None:
    clips = augmented(corpus, checkpoint, TrainRule())
    assert sorted(clip["labels"][0] for clip in clips) == ["bell", "drum", "siren"]
    fitted = {corpus.ids[row] for row in corpus.rows(1, {"train"})}
    assert {clip["id"] for clip in clips} <= fitted
    assert all(len(clip["draws"]) == 3 for clip in clips)


def test_draws_differ_and_are_the_same_each_time(corpus: Corpus, checkpoint: Checkpoint) -> None:
    rule = TrainRule(mixup_prob=1.0)
    state = torch.random.get_rng_state()
    clips = augmented(corpus, checkpoint, rule)
    assert clips == augmented(corpus, checkpoint, rule)
    assert torch.equal(state, torch.random.get_rng_state())
    assert len({draw["picture"] for clip in clips for draw in clip["draws"]}) == 9
    assert all(draw["width"] == pytest.approx(0.6) for clip in clips for draw in clip["draws"])
    for draw in clips[0]["draws"]:
        assert sum(share for _, share in draw["labels"]) == pytest.approx(1.0, abs=0.01)


def test_nothing_done_leaves_the_picture(corpus: Corpus, checkpoint: Checkpoint) -> None:
    for clip in augmented(corpus, checkpoint, NOTHING):
        assert all(draw["picture"] == clip["picture"] and draw["width"] == 1.0 for draw in clip["draws"])
        assert all(draw["labels"] == [(clip["labels"][0], 1.0)] for draw in clip["draws"])


def test_clips_of_several_labels_are_shown_too(several: Path, several_checkpoints: Path) -> None:
    checkpoint = load_checkpoint(several_checkpoints / "fold1.pt")
    assert len(augmented(load_corpus(several, "logmel", SPLIT), checkpoint, TrainRule())) == 3
