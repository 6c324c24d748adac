"""From windows to recordings: what is reported of a recording is the mean of what its windows are given.

Shape letters: W windows, R recordings, L classes.
"""

import numpy as np
import numpy.typing as npt

from audioprep.model.corpus import Corpus, Ints

Floats = npt.NDArray[np.float32]


def over_recordings(corpus: Corpus, rows_W: Ints, scores_WL: Floats) -> tuple[Ints, Floats]:
    """Return the first window of each recording, and the mean probabilities of its windows.

    Args:
        corpus: The clips.
        rows_W: Some of them, as rows of the corpus; where they are no windows, each is a recording.
        scores_WL: Their probabilities.

    Returns:
        Rows of the corpus [R], which stand for the recordings: labels, group and role are those of all its windows; and
        probabilities [R, L], float32. Where windows overlap, what they share counts as often as they do.
    """
    if corpus.recordings is None:
        return rows_W, scores_WL
    names = np.array([corpus.recordings[row] for row in rows_W])
    _, first_R, number_W = np.unique(names, return_index=True, return_inverse=True)
    sums_RL = np.zeros((len(first_R), scores_WL.shape[1]))
    np.add.at(sums_RL, number_W, scores_WL)
    return rows_W[first_R], (sums_RL / np.bincount(number_W)[:, None]).astype(np.float32)


def recording_ids(corpus: Corpus, rows: Ints) -> list[str]:
    """Return the id of the recording of each of some clips: where they are no windows, their own."""
    names = corpus.ids if corpus.recordings is None else corpus.recordings
    return [names[row] for row in rows]
