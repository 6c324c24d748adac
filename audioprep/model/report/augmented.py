"""What augmentation makes of clips: some training clips as they are, their copies, and what a training step gets.

Shape letters: B clips of a batch, C channels, N frames, M bins, L classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audioprep.config.training import TrainRule
from audioprep.errors import ConfigError, ModelError, ShardError
from audioprep.model.augment import Levels, augment, centre_of, suited
from audioprep.model.checkpoints import Checkpoint
from audioprep.model.copies import copied_waves
from audioprep.model.corpus import Corpus, Ints, load_corpus
from audioprep.model.report.media import MAX_S, sound, spectrogram

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
        as a share of the clip's), and `labels` (each with its share). There is no audio of what is done to features.
    """
    fitted = _fitted(corpus, checkpoint)
    rng = np.random.default_rng(rule.seed)
    rows = rng.choice(fitted, min(_BATCH_SIZE, len(fitted)), replace=False)
    front = checkpoint.classifier.front
    levels = Levels(front.mean_M, front.std_M) if rule.mixup_domain == "power" else None
    centre = centre_M, spread_M = _centre(corpus, checkpoint)
    rule = suited(rule, corpus, fitted)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(rule.seed)
        x_BCNM = checkpoint.classifier.front(torch.from_numpy(corpus.values(rows).astype(np.float32)))
        targets_BL = torch.from_numpy(corpus.truth(rows).astype(np.float32))
        draws = [augment(x_BCNM, targets_BL, rule, rng, levels, centre) for _ in range(_NUM_DRAWS)]
    return [
        {
            "id": corpus.ids[row],
            "labels": corpus.labels[row],
            "picture": _picture((x_BCNM[place] - centre_M) / spread_M),
            "audio": "",
            "draws": [
                {
                    "picture": _picture((drawn_BCNM[place] - centre_M) / spread_M),
                    "audio": "",
                    "width": drawn_BCNM.shape[2] / x_BCNM.shape[2],
                    "labels": _shares(corpus, shares_BL[place]),
                }
                for drawn_BCNM, shares_BL in draws
            ],
        }
        for place, row in _shown(corpus, rows)
    ]


def copied(data: Path, checkpoint: Checkpoint, clip_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return clips and their first copies, of which training takes one each epoch.

    Args:
        data: The corpus's folder, `data/<ds>`.
        checkpoint: Of a fold.
        clip_ids: The clips.

    Returns:
        As `augmented`, with audio; nothing where training had no copies, or where these or the audio are not at hand.
    """
    if not checkpoint.meta.get("augment"):
        return []
    features = checkpoint.meta["features"]
    try:
        corpus = load_corpus(data, features["kind"], checkpoint.meta["split"], with_copies=True)
        waves_KV = list(copied_waves(data, features, clip_ids, _NUM_DRAWS))
    except (ConfigError, ModelError, ShardError):
        return []
    if not corpus.copies.num:
        return []
    rows = np.array([corpus.ids.index(clip) for clip in clip_ids])
    versions_KV = corpus.versions(rows)[: _NUM_DRAWS + 1].T
    rate_hz, shown_s = features["rate_hz"], min(MAX_S, features["window_s"])
    num_samples = round(shown_s * rate_hz)
    num_frames = round(checkpoint.shapes.num_frames * shown_s / features["window_s"])
    centre_M, spread_M = _centre(corpus, checkpoint)
    clips = []
    for clip_id, row, versions_V, waves_V in zip(clip_ids, rows, versions_KV, waves_KV, strict=True):
        with torch.inference_mode():
            x_VCNM = checkpoint.classifier.front(torch.from_numpy(corpus.values(versions_V).astype(np.float32)))
        shown_V = [
            {
                "picture": _picture((x_CNM[:, :num_frames] - centre_M) / spread_M),
                "audio": sound(wave_T[:num_samples], rate_hz),
            }
            for x_CNM, wave_T in zip(x_VCNM, waves_V, strict=True)
        ]
        own = {"id": clip_id, "labels": corpus.labels[row], **shown_V[0]}
        clips.append({**own, "draws": [{**shown, "width": 1.0, "labels": []} for shown in shown_V[1:]]})
    return clips


def _shown(corpus: Corpus, rows: Ints) -> list[tuple[int, int]]:
    """Return places and rows of the first clips, of different labels if it can be."""
    first = {tuple(corpus.labels[row]): (place, int(row)) for place, row in reversed([*enumerate(rows)])}
    others = [pair for pair in enumerate(map(int, rows)) if pair not in first.values()]
    return [*sorted(first.values()), *others][:_NUM_SHOWN]


def _fitted(corpus: Corpus, checkpoint: Checkpoint) -> Ints:
    return corpus.rows(int(checkpoint.meta["fold"]), set(checkpoint.meta["fit_on"]))


def _centre(corpus: Corpus, checkpoint: Checkpoint) -> Levels:
    return centre_of(checkpoint.classifier.front, *corpus.normalisation(_fitted(corpus, checkpoint)))


def _picture(x_CNM: torch.Tensor) -> str:
    return spectrogram(x_CNM[0].numpy(), _LOW, _HIGH)


def _shares(corpus: Corpus, shares_L: torch.Tensor) -> list[tuple[str, float]]:
    found = [(corpus.classes[label], float(share)) for label, share in enumerate(shares_L) if share > _MIN_SHARE]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))
