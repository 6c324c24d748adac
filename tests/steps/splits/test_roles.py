"""Roles: every used clip once in each fold, disjoint, stable; official splits as published."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps.clip_rows import clip, clips_of, fact, tables

from audioprep.errors import SplitError
from audioprep.steps.splits.clips import join_clips
from audioprep.steps.splits.roles import ROLES, make_roles, split_names
from audioprep.steps.splits.sets import find_copies

REFUSED = "expected one of folds, grouped, grouped-5fold, got"


def roles_of(clips, name, official=None, seed=0, copies=()):
    """Return the roles of every clip by fold, in words."""
    found = make_roles(clips, name, seed, {name: official or {}}, copies)
    return {column: [ROLES[code] for code in codes] for column, codes in found.codes.items()}


# Six groups and all folds are always there: fewer cannot be split, which another test looks at.
ALWAYS = [("a", 100 + number, 1 + number % 5) for number in range(6)] + [("b", 106, 1)]
CLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(1, 5)), max_size=30).map(
    lambda rows: [
        clip(f"{n:03}", label, f"g{group}", fold=fold) for n, (label, group, fold) in enumerate(ALWAYS + rows)
    ]
)


@settings(max_examples=50, deadline=None)
@given(
    CLIPS, st.sampled_from(["grouped", "grouped-3fold", "grouped-5fold", "folds"]), st.randoms(use_true_random=False)
)
def test_splits_cover_every_clip_and_ignore_the_order(rows, name, random):
    clips = clips_of(rows)
    roles = roles_of(clips, name)
    if name == "grouped":
        assert set(roles["fold1"]) == {"train", "valid", "test"}
    else:  # every clip is tested once, validated once, and trained on in all other folds
        for values in zip(*roles.values(), strict=True):
            assert sorted(values) == sorted(["test", "valid", *["train"] * (len(roles) - 2)])
    if name != "folds":
        for values in roles.values():
            assert len(set(zip(clips.group_K.tolist(), values, strict=True))) == len(clips.groups)
    random.shuffle(rows)
    assert roles_of(clips_of(rows), name) == roles


def test_another_seed_draws_another_split():
    clips = clips_of([clip(f"{number:03}", "ab"[number % 2]) for number in range(60)])
    first, same, other = (roles_of(clips, "grouped-3fold", seed=seed) for seed in (0, 0, 1))
    assert first == same != other


def test_a_generated_split_stratifies_by_the_rarest_label():
    rows = [clip(f"{number:03}", ["common", "rare"] if number < 10 else ["common"]) for number in range(100)]
    roles = roles_of(clips_of(rows), "grouped-5fold")
    assert [values[:10].count("test") for values in roles.values()] == [2] * 5


def test_copies_are_on_one_side_of_a_generated_split():
    rows = [clip(f"{number:03}", "ab"[number % 2]) for number in range(40)]
    facts = [fact(row["id"], pcm=f"same {int(row['id']) // 8}") for row in rows]
    clips = clips_of(rows, facts)
    roles = roles_of(clips, "grouped-5fold", copies=find_copies(clips))
    for values in roles.values():
        assert all(len(set(values[start : start + 8])) == 1 for start in range(0, 40, 8))
    message = (
        "grouped-6fold: expected 3 to 5 folds (the number of groups without common copies), got 6; give --split "
        "grouped-5fold to `audioprep prepare`, or set it as the corpus's split in params.yaml"
    )
    with pytest.raises(SplitError, match=f"^{re.escape(message)}$"):
        make_roles(clips, "grouped-6fold", 0, {}, find_copies(clips))


def test_an_official_split_is_as_published():
    rows = [clip("a", part="train"), clip("b", "b", part="test"), clip("c", part="valid"), clip("d")]
    found = make_roles(clips_of(rows), "official", 0, {"official": {"about": "as published"}})
    assert [ROLES[code] for code in found.codes["fold1"]] == ["train", "test", "valid", "unused"]
    assert (found.about, found.valid) == ("as published", "as published")
    assert found.notes == ("1 of 4 clips are not in official, and stay unused",)
    assert split_names(clips_of(rows)) == ["official", "grouped", "grouped-5fold"]


def test_folds_rotate_and_what_is_in_none_stays_unused():
    rows = [*(clip(str(fold), "ab"[fold % 2], fold=fold) for fold in (1, 2, 4)), clip("x")]
    assert roles_of(clips_of(rows), "folds") == {
        "fold1": ["test", "valid", "train", "unused"],
        "fold2": ["train", "test", "valid", "unused"],
        "fold4": ["valid", "train", "test", "unused"],
    }


def test_a_clip_that_is_left_out_has_no_role():
    rows = [clip(str(fold), "ab"[fold % 2], fold=fold) for fold in (1, 2, 3, 3)[:3]] + [clip("x", fold=3)]
    clips = clips_of(rows, [fact(row["id"]) for row in rows], used={"1", "2", "3"})
    assert {values[-1] for values in roles_of(clips, "folds").values()} == {"unused"}


def drawn(rows, official=None, copies=()):
    clips = clips_of(rows)
    found = make_roles(clips, "official", 0, {"official": official or {}}, copies)
    ids = np.array(clips.table["id"].to_pylist())
    return set(ids[found.codes["fold1"] == ROLES.index("valid")].tolist()), found.valid


def training(num_groups, clips_each=3):
    rows = [
        clip(f"t{n:04}", "ab"[n % 2], f"g{n // clips_each:03}", part="train") for n in range(num_groups * clips_each)
    ]
    return [*rows, clip("z", part="test")]


def test_without_a_valid_part_a_tenth_of_the_groups_of_train_is_drawn():
    rows = training(200)
    valid, how = drawn(rows)
    assert how == f"drawn from train: a tenth of its groups by their hash, {len(valid)} clips"
    assert 30 < len(valid) < 100
    groups = {row["group"] for row in rows if row["id"] in valid}
    assert valid == {row["id"] for row in rows if row["group"] in groups}
    # Neither the other clips nor their order matter.
    fewer = [row for row in rows if row["group"] < "g150" or row["id"] == "z"]
    assert drawn(fewer[::-1])[0] == {name for name in valid if name < "t0450"}


def test_a_group_that_is_in_test_is_not_drawn():
    rows = training(60)
    valid, _ = drawn(rows)
    group = next(row["group"] for row in rows if row["id"] in valid)
    again, _ = drawn([*rows, clip("zz", group=group, part="test")])
    assert again == valid - {row["id"] for row in rows if row["group"] == group}


def test_where_parts_share_groups_clips_are_drawn():
    rows = [clip(f"t{n:03}", "ab"[n % 2], f"speaker {n % 6}", part="test" if n < 60 else "train") for n in range(300)]
    valid, how = drawn(rows, {"shares_groups": "every speaker is in both"})
    assert how == f"drawn from train: a tenth of its clips by their hash, {len(valid)} clips"
    assert 10 < len(valid) < 40


def test_one_group_alone_is_not_drawn_and_of_two_one_is():
    assert drawn(training(1)) == (set(), "none is drawn: train has too few groups")
    assert len(drawn(training(2))[0]) == 3


FOLDED = [clip(str(number), "ab"[number % 2], fold=number) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("rows", "name", "message"),
    [
        (FOLDED, "fold", f"split: {REFUSED} 'fold'; did you mean 'folds'?"),
        (FOLDED, "official", f"split: {REFUSED} 'official'"),
        (FOLDED, "grouped-xfold", f"split: {REFUSED} 'grouped-xfold'; did you mean 'grouped-5fold'?"),
        (
            FOLDED[:2],
            "folds",
            (
                "folds: expected at least 3 folds, one each to test, validate and train, got 2; use grouped-5fold, or give the "
                "missing folds"
            ),
        ),
        (
            FOLDED,
            "grouped-6fold",
            "grouped-6fold: expected 3 to 5 folds (the number of groups without common copies), got 6; give --split grouped-5fold to ",
        ),
        (
            FOLDED,
            "grouped-2fold",
            "grouped-2fold: expected 3 to 5 folds (the number of groups without common copies), got 2; give --split grouped-5fold to ",
        ),
        (
            FOLDED[:2],
            "grouped",
            (
                "grouped: expected at least 3 groups without common copies, one each to train, validate and test, got 2; name "
                "smaller groups, or add recordings"
            ),
        ),
        (
            [clip(str(number), "abc"[number % 3]) for number in range(6)],
            "grouped-5fold",
            (
                "grouped-5fold: expected a class with at least 5 clips, got at most 2 clips a class; use fewer folds, or add "
                "recordings"
            ),
        ),
        (
            [clip("a", part="train"), clip("b", "b", part="valid")],
            "official",
            "official fold1: expected clips in train and in test, got only train, valid; use grouped-5fold",
        ),
        (
            [clip("a", part="train"), clip("b", "b", part="dev")],
            "official",
            (
                "official: expected the parts train, valid and test, or the numbers of folds, got dev, train; mend the recipe or "
                "the metadata"
            ),
        ),
        (
            [clip("a", fold=0), clip("b", "b", fold=1)],
            "folds",
            "folds: expected the parts train, valid and test, or the numbers of folds, got 0, 1; mend",
        ),
    ],
)
def test_impossible_splits_are_one_line(rows, name, message):
    with pytest.raises(SplitError, match=f"^{re.escape(message)}"):
        make_roles(clips_of(rows), name, 0, {})


def test_a_class_that_is_too_rare_is_noted():
    clips = clips_of([clip(f"{number:03}", "a" if number else ["rare"]) for number in range(12)])
    (note,) = make_roles(clips, "grouped-3fold", 0, {}).notes
    assert note == "1 of 2 classes have fewer clips than grouped-3fold has parts, so that some lack them; 'rare' has 1"


def test_one_class_that_is_left_is_said():
    rows = [clip("a"), clip("b", "b")]
    message = (
        r"^birds: expected at least two classes among the used clips, got a in 1 of 2 clips; see audio/status\.parquet, or "
        r"exclude less$"
    )
    with pytest.raises(SplitError, match=message):
        clips_of(rows, [fact("a"), fact("b")], used={"a"})


def test_an_id_that_is_there_twice_is_said():
    with pytest.raises(
        SplitError, match=r"^birds: expected every clip id once, got 'a' twice; prepare the corpus again$"
    ):
        join_clips("birds", tables([clip("a"), clip("b", "b"), clip("a")])[0])
