import dataclasses
from pathlib import Path

import pytest
from model.corpora import SPLIT

from audioprep.errors import ModelError
from audioprep.model.checkpoints import load_checkpoint
from audioprep.model.corpus import load_corpus
from audioprep.model.trained import check_fits, read_training


def test_a_checkpoint_of_another_class_list_is_refused(toy: Path, checkpoints: Path) -> None:
    corpus, checkpoint = load_corpus(toy, "logmel", SPLIT), load_checkpoint(checkpoints / "fold1.pt")
    check_fits(corpus, checkpoint)
    other = dataclasses.replace(corpus, classes=["bell", "cow", "siren"])
    with pytest.raises(
        ModelError, match=r"of fold 1: expected the labels it was trained with, got others; run the train"
    ):
        check_fits(other, checkpoint)


@pytest.mark.parametrize("text", [None, "{"])
def test_a_training_without_a_summary_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "train.json").write_text(text)
    with pytest.raises(ModelError, match=r"train.json: expected the summary of a training, found none; run the train"):
        read_training(tmp_path)
