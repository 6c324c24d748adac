"""Sound that goes on: a window slides over it, and every window is heard as a file of its length would be.

Shape letters: T samples, L classes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from audioprep.dsp.arrays import Float32, Wave
from audioprep.dsp.levels import power_db
from audioprep.edge.predict import Predictor

SILENCE = "silence"


class Heard(NamedTuple):
    """What one window sounds like.

    Attributes:
        start_s: Where the window starts, s from the start of the sound.
        stop_s: Where it ends.
        level_db: Its RMS, dB re full scale, as it came in; -inf for digital silence.
        probability_L: The probability of each class, the mean of this window and those before it; None for silence.
        wave_T: The window, as it came in.
    """

    start_s: float
    stop_s: float
    level_db: float
    probability_L: Float32 | None
    wave_T: Float32


def hear(
    predictor: Predictor,
    blocks: Iterable[Wave],
    hop_s: float,
    num_smoothed: int = 1,
    min_level_db: float = -np.inf,
    *,
    live: bool = False,
) -> Iterator[Heard]:
    """Yield what each window sounds like, as soon as it is full; sound that is shorter is one window.

    Args:
        predictor: The classifier.
        blocks: The sound, mono at the rate of the predictor's front, in pieces of any length.
        hop_s: From the start of one window to that of the next, at most a window.
        num_smoothed: Probabilities are averaged over so many windows; silence starts anew.
        min_level_db: What is quieter counts as silence.
        live: Windows end with the newest block, about every hop; the first ones are short, and where blocks come faster
            than they are heard, windows are left out rather than heard late.
    """
    front = predictor.front
    hop_samples = max(1, round(hop_s * front.rate_hz))
    before: deque[Float32] = deque(maxlen=num_smoothed)
    windows = _newest if live else _windows
    for start, wave_T in windows(blocks, front.window_samples, hop_samples):
        level_db = power_db(float(np.mean(np.square(wave_T, dtype=np.float64))))
        level_db = -np.inf if level_db is None else level_db
        probability_L = predictor.probability_of(wave_T) if level_db >= min_level_db else None
        if probability_L is None:
            before.clear()
        else:
            before.append(probability_L)
        mean_L = np.mean(before, axis=0) if before else None
        yield Heard(start / front.rate_hz, (start + len(wave_T)) / front.rate_hz, level_db, mean_L, wave_T)


def _windows(blocks: Iterable[Wave], window_samples: int, hop_samples: int) -> Iterator[tuple[int, Float32]]:
    """Yield windows with the number of their first sample; what is left at the end is one too, if half a hop of it is new."""
    kept, start, stop = np.empty(0, np.float32), 0, 0  # what is kept, where it starts, where the last window stopped
    for block in blocks:
        kept = np.concatenate([kept, block.astype(np.float32, copy=False)])
        while len(kept) >= window_samples:
            yield start, kept[:window_samples]
            stop = start + window_samples
            kept, start = kept[hop_samples:], start + hop_samples
    num_new = start + len(kept) - stop
    if len(kept) and (stop == 0 or 2 * num_new >= hop_samples):
        yield start, kept


def _newest(blocks: Iterable[Wave], window_samples: int, hop_samples: int) -> Iterator[tuple[int, Float32]]:
    """Yield, after every hop and at the end, the window that ends with the newest block, with the number of its first sample."""
    kept, stop, heard, due = np.empty(0, np.float32), 0, 0, hop_samples
    for block in blocks:
        kept = np.concatenate([kept, block.astype(np.float32, copy=False)])[-window_samples:]
        stop += len(block)
        if stop >= due:
            yield stop - len(kept), kept
            heard, due = stop, (stop // hop_samples + 1) * hop_samples
    if stop > heard:
        yield stop - len(kept), kept
