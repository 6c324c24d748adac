"""Generated folds: order does not matter, groups stay whole, classes are balanced, and added clips move few others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.steps.splits.assign import SLACK, assign_groups, draw_fraction, mixed, stable_hashes


def assigned(groups, classes, shares, seed=0):
    """Return the part of every group, by name."""
    names, group_of = np.unique(groups, return_inverse=True)
    num_classes = max(classes) + 1
    demands, counts = np.unique(group_of * num_classes + np.asarray(classes), return_counts=True)
    parts = assign_groups(
        stable_hashes(str(seed), names.tolist()), demands // num_classes, demands % num_classes, counts, shares
    )
    return dict(zip(names.tolist(), parts.tolist(), strict=True))


def held(groups, classes, shares, part_of):
    """Return how many clips of each class each part holds."""
    table = np.zeros((max(classes) + 1, len(shares)), int)
    np.add.at(table, (classes, [part_of[group] for group in groups]), 1)
    return table


def singles(num_clips, num_classes, seed=0):
    classes = np.random.default_rng(seed).integers(0, num_classes, num_clips).tolist()
    return [f"clip {number}" for number in range(num_clips)], classes


CLIPS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=60)
SHARES = st.sampled_from([[1, 1, 1], [1] * 5, [8, 1, 1]])


@settings(max_examples=100, deadline=None)
@given(CLIPS, SHARES, st.integers(0, 5))
def test_no_part_stays_empty_while_there_are_groups(clips, shares, seed):
    groups, classes = zip(*((f"g{group}", label) for group, label in clips), strict=True)
    part_of = assigned(groups, classes, shares, seed)
    assert len(set(part_of.values())) == min(len(shares), len(set(groups)))


@settings(max_examples=50, deadline=None)
@given(CLIPS, SHARES, st.randoms(use_true_random=False))
def test_the_names_of_classes_and_the_order_of_clips_do_not_matter(clips, shares, random):
    groups, classes = zip(*((f"g{group}", label) for group, label in clips), strict=True)
    shuffled = list(zip(groups, classes, strict=True))
    random.shuffle(shuffled)
    assert assigned(groups, classes, shares) == assigned(*zip(*shuffled, strict=True), shares)


@pytest.mark.parametrize("shares", [[1, 1, 1], [1] * 5, [1] * 10, [8, 1, 1]])
@pytest.mark.parametrize(("num_clips", "num_classes"), [(40, 1), (400, 10), (3000, 50)])
def test_every_class_is_balanced_within_the_slack(num_clips, num_classes, shares):
    groups, classes = singles(num_clips, num_classes)
    table = held(groups, classes, shares, assigned(groups, classes, shares))
    fair = table.sum(axis=1, keepdims=True) * np.array(shares) / sum(shares)
    assert (table <= np.maximum(np.ceil(fair), fair * SLACK)).all()
    assert (table >= np.minimum(np.floor(fair), fair / SLACK)).all()


@pytest.mark.parametrize("num_groups", [5, 6, 11])
def test_equal_groups_are_dealt_evenly(num_groups):
    groups = [f"speaker {number}" for number in range(num_groups) for _ in range(50)]
    classes = [digit for _ in range(num_groups) for digit in range(10) for _ in range(5)]
    sizes = np.bincount(list(assigned(groups, classes, [1] * num_groups).values()))
    assert sizes.tolist() == [1] * num_groups


def test_a_huge_group_leaves_the_other_parts_to_the_others():
    groups = ["huge"] * 90 + ["a", "b", "c", "d"]
    part_of = assigned(groups, [0] * 94, [1] * 5)
    assert sorted(part_of.values()) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("shares", [[1] * 5, [8, 1, 1]])
@pytest.mark.parametrize(("num_clips", "num_classes"), [(2000, 50), (8000, 10), (20000, 200)])
def test_one_in_a_hundred_more_clips_moves_few(num_clips, num_classes, shares):
    groups, classes = singles(num_clips, num_classes)
    before = assigned(groups, classes, shares)
    more, more_classes = singles(num_clips // 100, num_classes, seed=1)
    after = assigned([*groups, *(f"new {name}" for name in more)], [*classes, *more_classes], shares)
    # About 1 in 100; 3 in 100 is the bound that holds for groups of several clips, too.
    assert sum(before[group] != after[group] for group in groups) <= 0.02 * num_clips


def test_more_groups_of_several_clips_move_few():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 12, 1400)
    group_classes = rng.integers(0, 10, len(sizes))
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    classes = np.repeat(group_classes, sizes).tolist()
    cut = len(groups) - len(groups) // 100
    before, after = assigned(groups[:cut], classes[:cut], [1] * 5), assigned(groups, classes, [1] * 5)
    assert sum(before[group] != after[group] for group in groups[:cut]) <= 0.03 * cut


def test_groups_of_several_classes_are_balanced_too():
    rng = np.random.default_rng(0)
    groups = [f"g{number}" for number in rng.integers(0, 300, 6000)]
    classes = rng.choice(20, 6000, p=np.arange(1, 21) / 210).tolist()
    table = held(groups, classes, [1] * 5, assigned(groups, classes, [1] * 5))
    fair = table.sum(axis=1, keepdims=True) / 5
    assert (np.abs(table - fair) <= 0.2 * fair + 5).all()


def test_another_seed_is_another_draw():
    groups, classes = singles(100, 2)
    first, same, other = (assigned(groups, classes, [1] * 3, seed) for seed in (0, 0, 1))
    assert first == same != other


def test_hashes_are_those_of_sha256_on_every_machine():
    assert stable_hashes("0", ["", "a"]).tolist() == [13436079590000323820, 11381658363930578919]
    assert stable_hashes("0", []).tolist() == []
    # The first numbers of SplitMix64 with seed 0, as its author publishes them.
    zeros = np.zeros(1, np.uint64)
    assert [int(mixed(zeros, ticket)[0]) for ticket in (1, 2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


def test_a_tenth_is_drawn_and_others_do_not_matter():
    names = [f"g{number}" for number in range(5000)]
    drawn = draw_fraction(stable_hashes("official", names))
    assert 0.08 < drawn.mean() < 0.12
    np.testing.assert_array_equal(draw_fraction(stable_hashes("official", names[::7])), drawn[::7])


@pytest.mark.parametrize(
    ("hashes", "drawn"),
    [
        ([], []),
        ([1], [False]),
        ([2**63, 2**62, 2**62 + 1], [False, True, False]),
        ([3, 1, 2], [False, True, False]),
    ],
)
def test_at_least_one_is_drawn_and_never_all(hashes, drawn):
    assert draw_fraction(np.array(hashes, np.uint64)).tolist() == drawn
