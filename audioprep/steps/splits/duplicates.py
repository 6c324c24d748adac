"""Near-duplicates: recordings that hold the same sound, whatever became of their level, rate, codec and ends.

1. Half of a fingerprint's word, with some bits of the word 40 ms later, is a key. Sorted by their keys, equal ones lie side
   by side, and every word is compared with the 32 that follow it at most: the work grows as n log n, however frequent a
   key is.
2. Where two words match, so must those near them, up to half a second before and after.
3. At such an alignment the whole overlap, or the best stretch of it, is weighed: every word speaks for the two being the
   same as far as fewer than 30 % of its bits differ, and against it as far as more do. The sum is the evidence, in bits.
4. Enough evidence decides; where there is a little, the waves do. They also do where the part that matches repeats itself,
   as a vibrato, a dialled number, a clock or a drum loop does: its words are one period told many times, and any sound of
   that pitch or on that grid has them.

Measured on 3,000 spoken digits of 0.4 s (FSDD: 50 takes of a digit by one speaker are as close as recordings get, and an
exhaustive cross-correlation of the waves finds no copies) and on 400 field recordings of 5 s (ESC-10): no false pair, with
waves or without. Of their copies (MP3, Vorbis and Opus, 8 to 48 kHz, louder or softer, shifted, cut to a half, and all of
that at once) 99.2 % and 99.8 % are found with waves, 95.4 % and 99.6 % without. Among a million clips keys are longer: 92 %
of the digits' copies and as many as before of the field recordings'. What is missed is 0.2 s long, or an MP3 at the lowest
rate. Held notes and hums have no fingerprint and are not found at all; copies of their bytes and samples are. Copies of
sounds that repeat themselves are found with waves only; two that a machine made alike, as the clicks of one metronome, are
a pair then, as their waves agree.

Shape letters: C clips, W words of all clips, K pairs of words or of clips.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from audioprep.dsp.fingerprint import HOP_S, UInt32, correlation
from audioprep.errors import ShapeError

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]
Fingerprints: TypeAlias = "pa.Array | pa.ChunkedArray | Sequence[UInt32]"

_WORD_BITS = 32
_MAX_WORDS = 1 << 32
# Four bits less than the number of words has leave each word some 16 chance neighbours with its key. Of a larger crowd
# those are compared that stand next to each other in the order of the remaining bits.
_CROWD_BITS, _MIN_KEY_BITS, _MAX_KEY_BITS = 4, 12, 32
_NEIGHBOURS = 32
_LATER_WORDS = 4
# How many bits of two words with one key may differ, of those 30 ms before or after them, and, from half a second before
# to half a second after, which share of a sample.
_MAX_WORD_ERRORS = 6
_SIDE_WORDS, _MAX_SIDE_ERRORS = 3, 11
_AROUND_WORDS, _AROUND_SAMPLED = 50, 16
_MAX_AROUND_RATE = 0.33
# Unrelated words differ in half of their bits; the closest two takes of one digit by one speaker in a quarter.
_NEUTRAL_RATE = 0.30
# A pair shares half of the shorter one's words, or a quarter beyond doubt.
_MIN_SHARE, _MIN_STRETCH_SHARE = 0.5, 0.25
_OVERWHELMING_BITS, _OVERWHELMING_RATE = 300.0, 0.24
_ENOUGH_BITS, _ENOUGH_RATE = 40.0, 0.22
_OPEN_BITS, _OPEN_RATE = 15.0, 0.29
_MIN_CORRELATION = 0.85
# A part repeats itself where it is closer than neutral to what comes 0.13 s (later than what counts as steady) to 2.5 s
# after: at its best lag a vibrato differs in 2 to 16 % of the bits, a real clock in 8 to 34 %, other clips in over 40 %.
_FIRST_REPEAT_WORDS, _REPEAT_WORDS = 13, 500
# A clip's periodic partners whose waves are compared, the most similar first; the rest are left out. Enough to
# connect a crowd of copies.
_MAX_PERIODIC = 32
# What is held at a time.
_PART_WORDS = 1 << 24
_CHUNK_WORDS = 1 << 22
_CHUNK_PAIRS = 1 << 18
_CHUNK_CLIPS = 1 << 14
_WAVES_HELD = 2  # pairs come in order of their first clip


class Pair(NamedTuple):
    """Two recordings that hold the same sound.

    Attributes:
        a: Row of the first.
        b: Row of the second, larger than `a`.
        similarity: Correlation of the bits they share: 1 for the same bits, 0 for unrelated ones.
        offset_s: Where the second starts on the time axis of the first, s.
    """

    a: int
    b: int
    similarity: float
    offset_s: float


def near_duplicates(
    ids: Sequence[str],
    fingerprints: Fingerprints,
    load_wave: Callable[[str], np.ndarray] | None = None,
    rate_hz: int = 16_000,
) -> list[Pair]:
    """Return the pairs of recordings that hold the same sound: one is a copy or a part of the other, or both share much.

    Holds the fingerprints once (2 kB for 5 s of sound; twice where the rows are not sorted by id) and 0.6 GB besides. Takes
    about 0.2 ms a second of sound on one core.

    Args:
        ids: Names of the recordings, each once. The result does not depend on the order of the rows.
        fingerprints: The fingerprint of each, from `dsp.fingerprint`; null or empty for silence.
        load_wave: Returns the stored wave of an id, for the few pairs that fingerprints leave open and for those of
            periodic sounds. Without it these are left out.
        rate_hz: Rate of those waves, Hz.

    Returns:
        Pairs `a < b`, sorted. Where over 33 recordings hold one sound, not every pair of them is listed, but all of them
        are connected by pairs.

    Raises:
        ShapeError: There is not one fingerprint for each id, or there are 2 ** 32 words (11,900 hours) or more.
    """
    words, row_C = _in_order_of_ids(ids, fingerprints)
    wave = None if load_wave is None else lru_cache(maxsize=_WAVES_HELD)(load_wave)
    pairs = []
    for first, of_first in groupby(_alignments(words).tolist(), key=itemgetter(0)):
        num_periodic = 0
        for second, evidence in _best_first(words, of_first):
            is_pair, is_open = evidence.is_enough, evidence.is_open
            if is_pair and _is_periodic(words, first, second, evidence):
                is_pair, is_open = False, True
                num_periodic += 1
            a, b, offset_s = int(row_C[first]), int(row_C[second]), evidence.offset_words * HOP_S
            if wave is not None and is_open:
                is_pair = correlation(wave(ids[a]), wave(ids[b]), rate_hz, offset_s) >= _MIN_CORRELATION
            if is_pair:
                similarity = 1.0 - 2.0 * evidence.error_rate
                pairs.append(Pair(a, b, similarity, offset_s) if a < b else Pair(b, a, similarity, -offset_s))
            if num_periodic == _MAX_PERIODIC:
                break
    return sorted(pairs)


@dataclass(frozen=True)
class _Words:
    """All fingerprints, one after another: the words, where each clip starts, and at last where the last one ends."""

    words_W: UInt32
    start_C: Int64

    def overlap(self, first_K: Int64, second_K: Int64, lag_K: Int64) -> tuple[Int64, Int64]:
        """Return where the overlap of two clips starts and stops, in words of the first; the second's lie `lag` behind."""
        start_K = np.maximum(self.start_C[first_K], self.start_C[second_K] - lag_K)
        return start_K, np.minimum(self.start_C[first_K + 1], self.start_C[second_K + 1] - lag_K)


@dataclass(frozen=True)
class _Evidence:
    """What speaks for two clips holding the same sound, at one alignment.

    Attributes:
        bits: By how many bits they are closer than the neutral share of wrong bits is; negative speaks against it.
        error_rate: Share of wrong bits.
        offset_words: Where the second clip starts on the axis of the first.
        part: The words of the first clip that were weighed.
    """

    bits: float
    error_rate: float
    offset_words: int
    part: slice

    @property
    def is_overwhelming(self) -> bool:
        return self.bits >= _OVERWHELMING_BITS and self.error_rate <= _OVERWHELMING_RATE

    @property
    def is_enough(self) -> bool:
        return self.is_overwhelming or (self.bits >= _ENOUGH_BITS and self.error_rate <= _ENOUGH_RATE)

    @property
    def is_open(self) -> bool:
        return not self.is_enough and self.bits >= _OPEN_BITS and self.error_rate <= _OPEN_RATE


def _in_order_of_ids(ids: Sequence[str], fingerprints: Fingerprints) -> tuple[_Words, Int64]:
    """Return all words in the order of the ids, and the row that each clip comes from."""
    if isinstance(fingerprints, pa.ChunkedArray):
        chunks = fingerprints.chunks
    elif isinstance(fingerprints, pa.Array):
        chunks = [fingerprints]
    else:
        chunks = [pa.array(fingerprints, pa.list_(pa.uint32()))]
    counts = [pc.fill_null(pc.list_value_length(chunk), 0).to_numpy(zero_copy_only=False) for chunk in chunks]
    count_C = np.concatenate([np.empty(0, np.int64), *counts])
    if len(count_C) != len(ids) or count_C.sum() >= _MAX_WORDS:
        raise ShapeError(
            f"near_duplicates: expected a fingerprint for each of {len(ids)} ids and fewer than {_MAX_WORDS} words, got "
            f"{len(count_C)} with {count_C.sum()} words; compare the corpus in parts"
        )
    parts = [chunk.flatten().to_numpy() for chunk in chunks]
    words_W = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint32), *parts])
    row_C = pc.sort_indices(pa.array(ids, pa.string())).to_numpy().astype(np.int64)
    if (np.diff(row_C) != 1).any():
        start_C = np.cumsum(count_C) - count_C
        blocks = np.array_split(row_C, 1 + len(row_C) // _CHUNK_CLIPS)
        words_W = np.concatenate([words_W[_ragged(start_C[rows], count_C[rows])] for rows in blocks])
    return _Words(words_W, np.concatenate([[0], np.cumsum(count_C[row_C])])), row_C


def _alignments(words: _Words) -> Int64:
    """Return every alignment that two clips may match at, [K, 3], sorted: first clip, second clip, lag in words."""
    found = [np.empty((0, 3), np.int64)]
    for first_K, second_K in _word_pairs(words.words_W):
        clip_K, other_K = (np.searchsorted(words.start_C, word_K, side="right") - 1 for word_K in (first_K, second_K))
        lag_K = second_K - first_K
        start_K, stop_K = words.overlap(clip_K, other_K, lag_K)
        start_K = np.maximum(start_K, first_K - _AROUND_WORDS)
        stop_K = np.minimum(stop_K, first_K + _AROUND_WORDS)
        is_match_K = (_error_rate(words.words_W, start_K, stop_K, lag_K) <= _MAX_AROUND_RATE) & (clip_K != other_K)
        found.append(np.unique(np.stack([clip_K, other_K, lag_K], axis=1)[is_match_K], axis=0))
    return np.unique(np.concatenate(found), axis=0)


def _word_pairs(words_W: UInt32) -> Iterator[tuple[Int64, Int64]]:
    """Yield the places of words that have a key in common and differ little, as those near them do; the earlier first."""
    size_bits = math.log2(max(1, len(words_W)))
    key_bits = min(max(math.ceil(size_bits) - _CROWD_BITS, _MIN_KEY_BITS), _MAX_KEY_BITS)
    part_bits = max(0, math.ceil(size_bits - math.log2(_PART_WORDS)))
    for shift in (0, _WORD_BITS // 2):
        for part in range(1 << part_bits):
            keyed_K = _sorted_keys(words_W, shift, part, part_bits)
            key_K = (keyed_K >> np.uint64(2 * _WORD_BITS - key_bits)).astype(np.uint32)
            place_K = keyed_K.astype(np.uint32)  # the low half
            word_K = words_W[place_K]
            for distance in range(1, _NEIGHBOURS + 1):
                is_equal_K = key_K[distance:] == key_K[:-distance]
                if not is_equal_K.any():
                    break
                is_near_K = np.bitwise_count(word_K[distance:] ^ word_K[:-distance]) <= _MAX_WORD_ERRORS
                near = np.flatnonzero(is_equal_K & is_near_K)
                for start in range(0, len(near), _CHUNK_PAIRS):
                    one = near[start : start + _CHUNK_PAIRS]
                    first_K = np.minimum(place_K[one], place_K[one + distance]).astype(np.int64)
                    second_K = np.maximum(place_K[one], place_K[one + distance]).astype(np.int64)
                    is_match_K = _sides_match(words_W, first_K, second_K)
                    yield first_K[is_match_K], second_K[is_match_K]


def _sides_match(words_W: UInt32, first_K: Int64, second_K: Int64) -> npt.NDArray[np.bool_]:
    """Tell where the words a little before or a little after two words are alike; at a clip's end one side is chance."""
    errors = [
        np.bitwise_count(words_W.take(first_K + side, mode="clip") ^ words_W.take(second_K + side, mode="clip"))
        for side in (-_SIDE_WORDS, _SIDE_WORDS)
    ]
    return np.asarray(np.minimum(*errors) <= _MAX_SIDE_ERRORS)


def _sorted_keys(words_W: UInt32, shift: int, part: int, part_bits: int) -> UInt64:
    """Return key and place of the words whose key starts with the bits of `part`, sorted by key.

    Args:
        words_W: The words [W].
        shift: 0 for keys from the words' high half, 16 from their low half; the high half of a later word follows.
        part: Number of the part.
        part_bits: How many bits its number has.
    """
    half = np.uint32(_WORD_BITS // 2)
    kept = [np.empty(0, np.uint64)]
    for start in range(0, len(words_W), _CHUNK_WORDS):
        words = words_W[start : start + _CHUNK_WORDS]
        later = words_W[start + _LATER_WORDS : start + _LATER_WORDS + _CHUNK_WORDS]
        keys = (words << np.uint32(shift)) >> half << half
        keys[: len(later)] |= later >> half
        is_kept = words != 0
        if part_bits:
            is_kept &= keys >> np.uint32(_WORD_BITS - part_bits) == part
        place = np.flatnonzero(is_kept)
        kept.append(keys[place].astype(np.uint64) << np.uint64(_WORD_BITS) | (place + start).astype(np.uint64))
    keyed_K = np.concatenate(kept)
    keyed_K.sort()
    return keyed_K


def _error_rate(words_W: UInt32, start_K: Int64, stop_K: Int64, lag_K: Int64) -> npt.NDArray[np.float64]:
    """Return the share of wrong bits between stretches of words and those `lag` behind, from a sample of the words."""
    step_K = -(-(stop_K - start_K) // _AROUND_SAMPLED)
    count_K = -(-(stop_K - start_K) // step_K)
    place = _ragged(start_K, count_K, step_K)
    wrong, is_known = _compare(words_W[place], words_W[place + np.repeat(lag_K, count_K)])
    if not len(wrong):
        return np.empty(0)
    edges = np.cumsum(count_K) - count_K
    num_wrong_K, num_known_K = (np.add.reduceat(counted, edges, dtype=np.int64) for counted in (wrong, is_known))
    return np.where(num_known_K > 0, num_wrong_K / (_WORD_BITS * np.maximum(num_known_K, 1)), 1.0)


def _best_first(words: _Words, of_first: Iterator[list[int]]) -> list[tuple[int, _Evidence]]:
    """Return each second clip that one first clip may match, and the evidence of their best alignment, likest first."""
    best = [
        (second, max((_weigh(words, *row) for row in rows), key=lambda found: (found.is_enough, found.bits)))
        for second, rows in groupby(of_first, key=itemgetter(1))
    ]
    return sorted(best, key=lambda found: found[1].error_rate)


def _weigh(words: _Words, first: int, second: int, lag: int) -> _Evidence:
    """Weigh the whole overlap of two clips, or the stretch of it that speaks most for them."""
    first_words, second_words = (
        words.words_W[words.start_C[clip] : words.start_C[clip + 1]] for clip in (first, second)
    )
    offset = int(words.start_C[second] - words.start_C[first]) - lag
    start, stop = max(0, offset), min(len(first_words), offset + len(second_words))
    wrong, is_known = _compare(first_words[start:stop], second_words[start - offset : stop - offset])
    shorter = min(np.count_nonzero(first_words), np.count_nonzero(second_words))
    total = np.concatenate([[0.0], np.cumsum(np.where(is_known, _NEUTRAL_RATE * _WORD_BITS - wrong, 0.0))])
    best_stop = int(np.argmax(total - np.minimum.accumulate(total)))
    best_start = int(np.argmin(total[: best_stop + 1]))

    def evidence(part_start: int, part_stop: int, min_share: float) -> _Evidence:
        num_known, num_wrong = int(is_known[part_start:part_stop].sum()), int(wrong[part_start:part_stop].sum())
        part = slice(start + part_start, start + part_stop)
        if not num_known or num_known < min_share * shorter:
            return _Evidence(-math.inf, 1.0, offset, part)
        error_rate = num_wrong / (_WORD_BITS * num_known)
        return _Evidence((_NEUTRAL_RATE - error_rate) * _WORD_BITS * num_known, error_rate, offset, part)

    stretch = evidence(best_start, best_stop, _MIN_STRETCH_SHARE)
    return stretch if stretch.is_overwhelming else evidence(0, stop - start, _MIN_SHARE)


def _is_periodic(words: _Words, first: int, second: int, evidence: _Evidence) -> bool:
    """Tell whether the part that two clips have in common repeats itself in either of them."""
    parts = []
    for clip, offset in ((first, 0), (second, evidence.offset_words)):
        start = words.start_C[clip] - offset
        parts.append(words.words_W[start + evidence.part.start : start + evidence.part.stop])
    return any(_repeats(part_W) for part_W in parts)


def _repeats(words_W: UInt32) -> bool:
    """Tell whether the middle of some words is like what comes one period later, by any period up to half of it."""
    surplus = max(0, len(words_W) - _REPEAT_WORDS)
    words_W = words_W[surplus // 2 : len(words_W) - (surplus + 1) // 2]
    min_known = _MIN_STRETCH_SHARE * np.count_nonzero(words_W)
    for lag in range(_FIRST_REPEAT_WORDS, len(words_W) // 2 + 1):
        wrong, is_known = _compare(words_W[:-lag], words_W[lag:])
        num_known = np.count_nonzero(is_known)
        if num_known >= max(1, min_known) and wrong.sum() <= _NEUTRAL_RATE * _WORD_BITS * num_known:
            return True
    return False


def _compare(one_K: UInt32, other_K: UInt32) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return how many bits of each pair of words differ, and where both say something; elsewhere none counts."""
    is_known_K = (one_K != 0) & (other_K != 0)
    return np.bitwise_count(one_K ^ other_K) * is_known_K, is_known_K


def _ragged(start_K: Int64, count_K: Int64, step_K: Int64 | int = 1) -> Int64:
    """Return `count` places from each start on, `step` apart, one after another."""
    within = np.arange(int(count_K.sum())) - np.repeat(np.cumsum(count_K) - count_K, count_K)
    return np.repeat(start_K, count_K) + within * (step_K if isinstance(step_K, int) else np.repeat(step_K, count_K))
