"""What augmentation makes of clips, to be seen: some training clips as they are, and as a training step gets them.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

from typing import Any

import numpy as np
import torch

from audioprep.config.training import TrainRule
from audioprep.model.augment import augment
from audioprep.model.checkpoints import Checkpoint
from audioprep.model.corpus import Corpus, Ints
from audioprep.model.report.media import spectrogram

# A batch of so many clips, from which others are mixed in; the first of them are shown, each so often.
_BATCH_SIZE = 16
_NUM_SHOWN = 3
_NUM_DRAWS = 3
# Standard deviations from the mean of the training clips that a picture spans.
_LOW, _HIGH = -2.5, 2.5
# A smaller share of another class cannot be heard.
_MIN_SHARE = 0.005


def augmented(corpus: Corpus, checkpoint: Checkpoint, rule: TrainRule) -> list[dict[str, Any]]:
    """Return training clips of one fold, and what augmentation makes of them.

    Args:
        corpus: The clips.
        checkpoint: Of the fold.
        rule: What training did to them.

    Returns:
        For each clip its `id`, `labels`, `picture`, `audio`, and `draws`: `picture` and `audio` each, `width` (its length,
        as a share of the clip's), and `labels` (each with its share, where clips are mixed). There is no audio of what is
        done to features.
    """
    rows = corpus.rows(int(checkpoint.meta["fold"]), set(checkpoint.meta["fit_on"]))
    rng = np.random.default_rng(rule.seed)
    rows = rng.choice(rows, min(_BATCH_SIZE, len(rows)), replace=False)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(rule.seed)
        x_BCNM = checkpoint.classifier.front(torch.from_numpy(corpus.values(rows).astype(np.float32)))
        targets_BL = torch.from_numpy(corpus.truth(rows).astype(np.float32))
        draws = [augment(x_BCNM, targets_BL, rule, rng) for _ in range(_NUM_DRAWS)]
    return [
        {
            "id": corpus.ids[row],
            "labels": corpus.labels[row],
            "picture": _picture(x_BCNM[place]),
            "audio": "",
            "draws": [
                {
                    "picture": _picture(drawn_BCNM[place]),
                    "audio": "",
                    "width": drawn_BCNM.shape[2] / x_BCNM.shape[2],
                    "labels": _shares(corpus, shares_BL[place]),
                }
                for drawn_BCNM, shares_BL in draws
            ],
        }
        for place, row in _shown(corpus, rows)
    ]


def _shown(corpus: Corpus, rows: Ints) -> list[tuple[int, int]]:
    """Return places and rows of the first clips, of different labels if it can be."""
    first = {tuple(corpus.labels[row]): (place, int(row)) for place, row in reversed([*enumerate(rows)])}
    others = [pair for pair in enumerate(map(int, rows)) if pair not in first.values()]
    return [*sorted(first.values()), *others][:_NUM_SHOWN]


def _picture(x_CNM: torch.Tensor) -> str:
    return spectrogram(x_CNM[0].numpy(), _LOW, _HIGH)


def _shares(corpus: Corpus, shares_L: torch.Tensor) -> list[tuple[str, float]]:
    found = [(corpus.classes[label], float(share)) for label, share in enumerate(shares_L) if share > _MIN_SHARE]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))
