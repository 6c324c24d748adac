"""What the stages after training check before they use its checkpoints."""

import json
from pathlib import Path
from typing import Any

from audioprep.errors import ModelError
from audioprep.model.checkpoints import Checkpoint
from audioprep.model.corpus import Corpus


def read_training(checkpoints: Path) -> dict[str, Any]:
    """Return the train stage's summary.

    Raises:
        ModelError: There is none, or it is of an earlier version, which did not say by what rule it trained.
    """
    path = checkpoints / "train.json"
    try:
        training = dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise ModelError(f"{path}: expected the summary of a training, found none; run the train stage") from None
    if "rule" not in training:
        raise ModelError(f"{path}: expected the rule of the training, got none; run the train stage again")
    return training


def check_fits(corpus: Corpus, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint that was trained on other features or classes than those at hand.

    Raises:
        ModelError: It was.
    """
    for what, trained, there in (
        ("labels", checkpoint.meta["labels"], corpus.classes),
        ("features", checkpoint.meta["features"], corpus.meta),
    ):
        if trained != there:
            raise ModelError(
                f"checkpoint of fold {checkpoint.meta['fold']}: expected the {what} it was trained with, got others; "
                "run the train stage again"
            )
