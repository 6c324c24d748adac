"""Whether a corpus can be split as wanted, from its metadata alone: before the stages that take time."""

from collections import Counter
from collections.abc import Iterable

from audioprep.errors import SplitError
from audioprep.steps.splits.roles import num_parts

_MIN_PARTS = 3  # one to train, one to validate, one to test


def check_enough(name: str, split: str, clips: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Refuse a generated split into more parts than there are groups, or clips of the largest class.

    Copies and clips that cannot be used are not known of yet: the split itself may still be refused.

    Args:
        name: The corpus, for messages.
        split: Its split; an official one passes.
        clips: Group and labels of every clip.

    Raises:
        SplitError: It cannot be made; the message names one that can.
    """
    parts = num_parts(split)
    if parts is None:
        return
    groups, sizes = set(), Counter[str]()
    for group, labels in clips:
        groups.add(group)
        sizes.update(labels)
    largest = max(sizes.values(), default=0)
    if parts < _MIN_PARTS:
        what = f"expected at least {_MIN_PARTS} folds, one each to train, validate and test, got {split}"
    elif parts > len(groups):
        what = f"expected at least {parts} groups for {split}, got {len(groups)}"
    elif parts > largest:
        what = f"expected a class of at least {parts} clips for {split}, got at most {largest} clips a class"
    else:
        return
    most = min(len(groups), largest)
    remedy = f"give --split grouped-{max(most, _MIN_PARTS)}fold, which is recipes.{name}.split in params.yaml"
    raise SplitError(f"{name}: {what}; {remedy if most >= _MIN_PARTS else 'add recordings, or name smaller groups'}")
