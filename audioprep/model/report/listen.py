"""The clips that were wrong with the most confidence, to be heard and seen next to clips of what they were taken for.

Shape letters: K clips, L classes, N frames, M bins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.dsp.denoise import denoiser
from audioprep.errors import ModelError, ShardError
from audioprep.io.predictions import Predictions
from audioprep.model.corpus import Corpus
from audioprep.model.report.media import MAX_S, sound, spectrogram
from audioprep.model.robustness import WindowedClip, read_clips, shard_numbers

# Sound is most of the page's bytes: so many clips, each with another one beside it.
_NUM_WRONG = 8
# Of a clip's loudest frame and bin; what is below is dark.
_RANGE_DB = 80.0

Pair = tuple[int, int]


def listen(data: Path, corpus: Corpus, predictions: Predictions) -> dict[str, Any]:
    """Return the clips that were given a label that they do not have, the surest first.

    Args:
        data: The corpus's folder, `data/<ds>`.
        corpus: Its clips, with their features.
        predictions: Of all folds.

    Returns:
        `pairs`: `wrong` (a clip), `label` (which it was given), `score`, and `like` (the clip with that label that was
        given it with the most alike scores; None if there is none); a clip has its id, fold, labels, score, picture and
        audio. `shown_s`: how much of each clip. `why_silent`: why there is no sound, or nothing.
    """
    found = _most_wrong(predictions)
    pairs = list(zip(found, _most_alike(predictions, found), strict=True))
    rows = sorted({row for (wrong, _), like in pairs for row in (wrong, like) if row is not None})
    clips, why_silent = _clips(data, corpus, predictions, rows)
    return {
        "why_silent": why_silent,
        "shown_s": min(MAX_S, corpus.meta["window_s"]),
        "pairs": [
            {
                "label": predictions.classes[label],
                "score": float(predictions.scores_KL[wrong, label]),
                "wrong": clips[wrong],
                "like": None if like is None else clips[like],
                "like_score": None if like is None else float(predictions.scores_KL[like, label]),
            }
            for (wrong, label), like in pairs
        ],
    }


def _most_wrong(predictions: Predictions) -> list[Pair]:
    """Return clips and the labels that they were given most wrongly, one of each clip."""
    is_wrong_KL = predictions.decided_KL & ~predictions.truth_KL
    scores_KL = np.where(is_wrong_KL, predictions.scores_KL, -1.0)
    label_K = scores_KL.argmax(axis=1)
    rows = np.flatnonzero(is_wrong_KL.any(axis=1))
    ordered = sorted(rows.tolist(), key=lambda row: (-float(scores_KL[row, label_K[row]]), predictions.ids[row]))
    return [(row, int(label_K[row])) for row in ordered[:_NUM_WRONG]]


def _most_alike(predictions: Predictions, wrong: Sequence[Pair]) -> list[int | None]:
    """Return for each wrong clip one that has the label rightly, and the scores most like its own; no clip twice if it can be."""
    taken: set[int] = set()
    found: list[int | None] = []
    for row, label in wrong:
        right = np.flatnonzero(predictions.decided_KL[:, label] & predictions.truth_KL[:, label])
        distance = np.square(predictions.scores_KL[right] - predictions.scores_KL[row]).sum(axis=1)
        ranked = [int(right[place]) for place in np.argsort(distance, kind="stable")[: _NUM_WRONG + 1]]
        like = next((other for other in ranked if other not in taken), ranked[0] if ranked else None)
        taken |= set() if like is None else {like}
        found.append(like)
    return found


def _clips(
    data: Path, corpus: Corpus, predictions: Predictions, rows: Sequence[int]
) -> tuple[dict[int, dict[str, Any]], str]:
    """Return what the page shows of some clips, by their rows, and why it has no sound of them, if so."""
    if not rows:
        return {}, ""
    meta, place = corpus.meta, _shown(corpus)
    places = np.array([place[predictions.ids[row]] for row in rows])
    heard, why_silent = _heard(data, [corpus.ids[number] for number in places], meta)
    values_KNM = corpus.values(places)
    shown_s = min(MAX_S, meta["window_s"])
    num_frames = round(values_KNM.shape[1] * shown_s / meta["window_s"])
    clips = {}
    for row, number, values_NM in zip(rows, places, values_KNM[:, :num_frames], strict=True):
        clip = corpus.ids[number]
        labels = [predictions.classes[label] for label in np.flatnonzero(predictions.truth_KL[row])]
        clips[row] = {
            "id": clip,
            "fold": int(predictions.folds_K[row]),
            "labels": labels,
            "picture": _picture(values_NM, meta["kind"]),
            "audio": sound(heard[clip].window_T[: round(shown_s * meta["rate_hz"])], meta["rate_hz"]) if heard else "",
        }
    return clips, why_silent


def _shown(corpus: Corpus) -> dict[str, int]:
    """Return where each clip is by its id, and where clips are windows, the first of each recording by that one's."""
    place: dict[str, int] = {}
    for number, name in enumerate(corpus.recordings or corpus.ids):
        place.setdefault(name, number)
    return place


def _heard(data: Path, wanted: Sequence[str], meta: dict[str, Any]) -> tuple[dict[str, WindowedClip], str]:
    """Return the sound of clips. Where features alone are at hand, as after a restore of them, the page has none."""
    found: dict[str, WindowedClip] = {}
    try:
        clear = denoiser(meta.get("denoise"), meta["rate_hz"])
        for clips in read_clips(data, shard_numbers(data), set(wanted), meta, clear):
            found |= clips
    except (ModelError, ShardError, RuntimeError):  # the last is libsndfile's, of a damaged file
        found = {}
    if len(found) < len(set(wanted)):
        return {}, f"Their sound is not on this machine: data/{data.name}/audio and cuts are not there, or not whole."
    return found, ""


def _picture(values_NM: npt.NDArray[Any], kind: str) -> str:
    if kind == "descriptors":  # each in units of its own
        values_NM = values_NM - values_NM.min(axis=0)
        values_NM = values_NM / np.maximum(values_NM.max(axis=0), np.finfo(np.float32).tiny)
    # float16 would overflow in sums, not here; int8 features come as float32.
    high = float(values_NM.max())
    low = max(float(values_NM.min()), high - _RANGE_DB) if kind == "logmel" else float(values_NM.min())
    return spectrogram(values_NM, low, high)
