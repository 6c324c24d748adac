"""Sets of clips: found by a code or by pairs, in one order whatever the codes are; and what hangs together."""

import numpy as np
import pytest

from audioprep.steps.splits.sets import MAX_PAIRED, Sets, sets_by_code, sets_of_pairs, united


def listed(sets):
    return [sets.rows(number).tolist() for number in range(len(sets))]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], []),
        ([-1, -1], []),
        ([0, 1, 2], []),
        ([7, -1, 3, 7, 3, 9], [[0, 3], [2, 4]]),
        ([1, 0, 0, 1, 1], [[0, 3, 4], [1, 2]]),
    ],
)
def test_sets_are_in_the_order_of_their_first_clips(codes, expected):
    assert listed(sets_by_code("kind", np.array(codes, np.int64))) == expected


def test_pairs_are_sets_of_two_in_order():
    sets = sets_of_pairs("kind", [(5, 2, 0.5), (0, 3, 0.9), (2, 0, 0.7)])
    assert listed(sets) == [[0, 2], [0, 3], [2, 5]]
    assert sets.similarity_S.tolist() == [0.7, 0.9, 0.5]
    assert listed(sets_of_pairs("kind", [])) == []


def test_a_crowd_is_one_set():
    chain = [(number, number + 1, 0.9 - number / 1000) for number in range(MAX_PAIRED)]
    sets = sets_of_pairs("kind", [*chain, (100, 101, 0.8)])
    assert listed(sets) == [list(range(MAX_PAIRED + 1)), [100, 101]]
    assert sets.similarity_S.tolist() == [0.9 - (MAX_PAIRED - 1) / 1000, 0.8]
    assert len(sets_of_pairs("kind", chain[1:])) == MAX_PAIRED - 1


def test_units_that_share_a_copy_become_one():
    units = np.array([4, 4, 7, 1, 9, 2, 7, 3])
    copies = [
        sets_by_code("one", np.array([-1, 0, 0, -1, 1, 1, -1, -1])),
        sets_of_pairs("two", [(6, 4, 1.0)]),
    ]
    assert united(units, copies).tolist() == [2, 2, 2, 1, 2, 2, 2, 3]
    assert united(units, []).tolist() == units.tolist()
    # However long the chain, the smallest of it names it.
    chain = sets_of_pairs("three", [(number + 1, number, 1.0) for number in range(30)])
    assert set(united(np.arange(31), [chain]).tolist()) == {0}


def test_some_sets_can_be_taken():
    sets = Sets("kind", np.array([0, 1, 2, 3, 4]), np.array([0, 2, 5]), np.array([0.5, 1.0]))
    taken = sets.where(np.array([False, True]))
    assert (listed(taken), taken.similarity_S.tolist(), taken.sizes_S.tolist()) == ([[2, 3, 4]], [1.0], [3])
    values = np.array([5, 1, 7, 2, 9])
    assert sets.reduce(np.maximum, values).tolist() == [5, 9]
    assert sets.where(np.array([False, False])).reduce(np.maximum, values).tolist() == []
