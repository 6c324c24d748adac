"""What a bundle knows of the sound that it was trained on: `audioprep monitor` compares with it what a device hears.

Shape letters: K clips, L classes.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.dsp.decide import SILENT_PEAK_DB
from audioprep.dsp.temperature import scale
from audioprep.edge.record import FULL_SCALE_DB
from audioprep.errors import ModelError
from audioprep.io.predictions import read_predictions
from audioprep.io.tables import read_table
from audioprep.model.checkpoints import Checkpoint
from audioprep.model.corpus import Corpus, Ints
from audioprep.model.windows import recording_ids

# Of the sound before any gain; what was turned down so that it fits into 16 bits is turned up again.
_LEVELS = ("loudness_lufs", "rms_db", "true_peak_db")
_DECILES = np.linspace(0.0, 1.0, 11)


def training_facts(
    data: Path, results: Path, corpus: Corpus, checkpoint: Checkpoint, temperature: float | None
) -> dict[str, Any]:
    """Return what a bundle says of its training.

    Levels and classes are those of the recordings that the weights were fitted on, confidence is that of the recordings of
    the tested fold, which they were not. Levels are left out where the audio was not measured on this machine.

    Args:
        data: The corpus's folder, `data/<ds>`.
        results: What the evaluate stage wrote, with `predictions.parquet`.
        corpus: The clips.
        checkpoint: The fold that is exported.
        temperature: What probabilities are divided by on the device, if by anything.

    Raises:
        ModelError: The evaluation has no clip of the fold.
        ShardError: Its predictions, or the facts, are damaged or missing.
    """
    fold = int(checkpoint.meta["fold"])
    rows_K = corpus.rows(fold, checkpoint.meta["fit_on"])
    recordings = recording_ids(corpus, rows_K)
    first = dict(zip(reversed(recordings), reversed(rows_K.tolist()), strict=True))
    path = data / "audio" / "facts.parquet"
    return {
        "num_clips": len(first),
        **_classes(corpus, np.array(sorted(first.values()), np.int64)),
        "confidence": _confidence(results, fold, checkpoint.classifier.outputs, temperature),
        **(_levels(path, first) if path.is_file() else {}),
    }


def _classes(corpus: Corpus, rows_K: Ints) -> dict[str, Any]:
    """Return the share that each class has of all labels, where to have none counts as one too."""
    truth_KL = corpus.truth(rows_K)
    count_L, num_without = truth_KL.sum(axis=0), int((~truth_KL.any(axis=1)).sum())
    share_L = count_L / (count_L.sum() + num_without)
    shares = {label: round(float(share), 4) for label, share in zip(corpus.classes, share_L, strict=True)}
    return {"class_shares": shares, "without_label": round(num_without / (int(count_L.sum()) + num_without), 4)}


def _confidence(results: Path, fold: int, outputs: Any, temperature: float | None) -> dict[str, Any]:
    """Return the distribution of the largest probability of each clip, as the device has it."""
    predictions = read_predictions(results)
    scores_KL: npt.NDArray[np.floating[Any]] = predictions.scores_KL[predictions.folds_K == fold]
    if not len(scores_KL):
        raise ModelError(f"{results}: expected predictions of fold {fold}, got none; run the evaluate stage again")
    if temperature is not None:
        scores_KL = scale(scores_KL, outputs, temperature)
    return _distribution(scores_KL.max(axis=1), 4)


def _levels(path: Path, recordings: Collection[str]) -> dict[str, Any]:
    table = read_table(path, ["id", "attenuation_db", "peak_db", *_LEVELS])
    is_wanted_K = np.isin(np.array(table["id"].to_pylist(), str), np.array(list(recordings), str))
    if not is_wanted_K.any():
        return {}
    columns = {name: table[name].to_numpy().astype(np.float64)[is_wanted_K] for name in table.column_names[1:]}
    levels = {name: columns[name] + np.nan_to_num(columns["attenuation_db"]) for name in _LEVELS}
    facts = {name: _distribution(values_K, 2) for name, values_K in levels.items() if np.isfinite(values_K).any()}
    peak_K = np.nan_to_num(columns["peak_db"], nan=-np.inf)
    return {
        **facts,
        "silent": round(float((peak_K < SILENT_PEAK_DB).mean()), 4),
        "over_full_scale": round(float((levels["true_peak_db"] > FULL_SCALE_DB).mean()), 4),
    }


def _distribution(values_K: npt.NDArray[np.floating[Any]], digits: int) -> dict[str, Any]:
    """Return how many values there are, NaN left out, and their deciles: the least, nine between, and the largest."""
    known_K = values_K[np.isfinite(values_K)].astype(np.float64)
    return {"num_clips": len(known_K), "deciles": np.round(np.quantile(known_K, _DECILES), digits).tolist()}
