import pytest

from audioprep.errors import SplitError
from audioprep.steps.splits.enough import check_enough


@pytest.mark.parametrize(
    ("split", "groups", "message"),
    [
        (
            "grouped-5fold",
            "aabbccdd",
            r"^own: expected at least 5 groups for grouped-5fold, got 4; give --split grouped-4fold",
        ),
        (
            "grouped",
            "ab",
            r"^own: expected at least 3 groups for grouped, got 2; add recordings, or name smaller groups$",
        ),
        (
            "grouped-2fold",
            "abcd",
            r"^own: expected at least 3 folds, .+, got grouped-2fold; give --split grouped-4fold,",
        ),
        ("grouped-9fold", "abcdefgh", r"^own: expected at least 9 groups .+ recipes\.own\.split in params\.yaml$"),
    ],
)
def test_a_split_into_too_many_parts_is_refused_with_one_that_can_be_made(split, groups, message):
    with pytest.raises(SplitError, match=message):
        check_enough("own", split, ((group, ["x"]) for group in groups))


def test_a_class_too_small_for_the_folds():
    clips = [(str(number), ["xyz"[number % 2]]) for number in range(8)]
    with pytest.raises(
        SplitError, match=r"a class of at least 5 clips for grouped-5fold, got at most 4 clips a class; "
    ):
        check_enough("own", "grouped-5fold", clips)
    check_enough("own", "grouped-4fold", clips)
    check_enough("own", "official-5fold", clips)
