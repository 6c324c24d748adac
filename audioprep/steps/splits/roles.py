"""Who trains, validates and tests in each fold of a split, official or generated. Pure table work.

Shape letters: K clips, U units: groups, or clips where the parts share groups by design.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from audioprep.errors import SplitError, unknown_name
from audioprep.steps.splits.assign import assign_groups, draw_fraction, stable_hashes
from audioprep.steps.splits.clips import Clips, Ints
from audioprep.steps.splits.sets import Sets, united

# The number of a role is its place here.
ROLES = ("unused", "train", "valid", "test")
UNUSED, TRAIN, VALID, TEST = range(4)
GROUPED = "grouped"
_FOLD = re.compile(r"[1-9]\d*")
_GROUPED_FOLDS = re.compile(r"grouped-([1-9]\d*)fold")
_GROUPED_SHARES = {TRAIN: 8, VALID: 1, TEST: 1}
_REMEDY = "use grouped-5fold"


@dataclass(frozen=True, eq=False)
class Roles:
    """A split of a corpus.

    Attributes:
        name: Its name.
        codes: For each column, `fold1` and on, the role of every clip as a place in `ROLES` [K], int8.
        fold_K: The fold that each clip is tested in; 0 where there are no folds, or the clip is in none.
        about: What it is, in one line.
        valid: Where its valid part comes from.
        notes: What its users should hear.
        known: Leaks that it is known to have, as in `datasets.recipe.Split`.
        shares_groups: Why its parts share groups by design; empty where they may not.
    """

    name: str
    codes: dict[str, npt.NDArray[np.int8]]
    fold_K: Ints
    about: str = ""
    valid: str = ""
    notes: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    shares_groups: str = ""


def split_names(clips: Clips) -> list[str]:
    """Return the names of the splits that a corpus has, official ones and the generated ones that people mostly want."""
    return [*clips.split_names(), GROUPED, "grouped-5fold"]


def make_roles(
    clips: Clips, name: str, seed: int, official: Mapping[str, Mapping[str, Any]], copies: Sequence[Sets] = ()
) -> Roles:
    """Return a split.

    Args:
        clips: The corpus.
        name: An official split, `grouped`, or `grouped-<K>fold`.
        seed: Of a generated split.
        official: What is known of the official splits: `about`, `known`, `shares_groups`.
        copies: Clips that belong together as copies do: what is drawn or generated here never divides them.

    Raises:
        SplitError: There is no such split, or it cannot be made.
    """
    if name in clips.split_names():
        return _official(clips, name, official.get(name, {}), copies)
    if name == GROUPED:
        return _grouped(clips, seed, copies)
    if match := _GROUPED_FOLDS.fullmatch(name):
        return _grouped_folds(clips, int(match[1]), seed, copies)
    raise SplitError(unknown_name("split", name, split_names(clips)))


def is_generated(name: str) -> bool:
    """Tell whether a split of this name is generated, for any corpus."""
    return name == GROUPED or _GROUPED_FOLDS.fullmatch(name) is not None


def num_parts(name: str) -> int | None:
    """Return how many parts a generated split has; None for an official one."""
    folds = _GROUPED_FOLDS.fullmatch(name)
    return len(_GROUPED_SHARES) if name == GROUPED else int(folds[1]) if folds else None


def check_parts(roles: Roles) -> None:
    """Refuse a split without clips to train on or to test.

    Raises:
        SplitError: A fold has none.
    """
    for column, code_K in roles.codes.items():
        found = {ROLES[code] for code in np.flatnonzero(np.bincount(code_K, minlength=4)).tolist()}
        if not {"train", "test"} <= found:
            raise SplitError(
                f"{roles.name} {column}: expected clips in train and in test, got only "
                f"{', '.join(sorted(found - {'unused'})) or 'unused ones'}; {_REMEDY}"
            )


def _official(clips: Clips, name: str, known: Mapping[str, Any], copies: Sequence[Sets]) -> Roles:
    part_K, parts = clips.parts(name)
    about = {"about": known.get("about", ""), "known": known.get("known") or {}}
    about["shares_groups"] = known.get("shares_groups", "")
    num_left = int((part_K < 0).sum())
    notes: tuple[str, ...] = (
        (f"{num_left:,} of {len(clips):,} clips are not in {name}, and stay unused",) if num_left else ()
    )
    if all(_FOLD.fullmatch(part) for part in parts):
        numbers = np.array([int(part) for part in parts])
        fold_K = np.where((part_K >= 0) & clips.is_used_K, numbers[part_K], 0)
        return Roles(name, _rotate(name, fold_K), fold_K, valid="the fold after the tested one", notes=notes, **about)
    if not set(parts) <= set(ROLES[1:]):
        raise SplitError(
            f"{name}: expected the parts train, valid and test, or the numbers of folds, got {', '.join(sorted(parts))}; "
            "mend the recipe or the metadata"
        )
    places = np.array([*(ROLES.index(part) for part in parts), UNUSED])
    role_K = np.where(clips.is_used_K, places[part_K], UNUSED).astype(np.int8)
    valid = "as published"
    if "valid" not in parts:
        role_K, valid = _with_valid(clips, name, role_K, copies, by_clip=bool(about["shares_groups"]))
        notes += (f"{name} comes without a valid part; {valid}",)
    roles = Roles(name, {"fold1": role_K}, np.zeros(len(clips), np.int64), valid=valid, notes=notes, **about)
    check_parts(roles)
    return roles


def _with_valid(
    clips: Clips, name: str, role_K: npt.NDArray[np.int8], copies: Sequence[Sets], *, by_clip: bool
) -> tuple[npt.NDArray[np.int8], str]:
    """Draw a valid part from train, by a hash that depends on the unit and the split's name alone; say what was drawn."""
    unit_K, name_units = _units(clips, copies, by_clip=by_clip)
    # A unit that train already shares with test is a known defect; no second one is made of it.
    is_open_K = (role_K == TRAIN) & ~np.isin(unit_K, unit_K[role_K == TEST])
    units_U = np.unique(unit_K[is_open_K])
    is_drawn_U = draw_fraction(stable_hashes(name, name_units(units_U)))
    what = "clips" if by_clip else "groups"
    if not is_drawn_U.any():
        return role_K, f"none is drawn: train has too few {what}"
    drawn_K = is_open_K & np.isin(unit_K, units_U[is_drawn_U])
    valid = f"drawn from train: a tenth of its {what} by their hash, {int(drawn_K.sum()):,} clips"
    return np.where(drawn_K, np.int8(VALID), role_K), valid


def _units(clips: Clips, copies: Sequence[Sets], *, by_clip: bool) -> tuple[Ints, Callable[[Ints], list[str]]]:
    """Return what may not be divided, as a number for each clip [K], and what gives such numbers their names."""
    if by_clip:
        return united(np.arange(len(clips)), copies), clips.ids
    return united(clips.group_K, copies), clips.group_names


def _rotate(name: str, fold_K: Ints) -> dict[str, npt.NDArray[np.int8]]:
    """Test each fold in turn, validate on the next one, train on the rest; fold 0 is none."""
    present = [fold for fold in np.unique(fold_K).tolist() if fold]
    if len(present) < 3:
        raise SplitError(
            f"{name}: expected at least 3 folds, one each to test, validate and train, got {len(present)}; "
            f"{_REMEDY}, or give the missing folds"
        )
    codes = {}
    for tested, validated in zip(present, [*present[1:], present[0]], strict=True):
        role_K = np.where(fold_K > 0, np.int8(TRAIN), np.int8(UNUSED))
        role_K[fold_K == tested], role_K[fold_K == validated] = TEST, VALID
        codes[f"fold{tested}"] = role_K
    return codes


def _grouped(clips: Clips, seed: int, copies: Sequence[Sets]) -> Roles:
    part_K, notes = _assigned(clips, GROUPED, list(_GROUPED_SHARES.values()), seed, copies)
    places = np.array([*_GROUPED_SHARES, UNUSED], np.int8)
    about = f"generated with seed {seed}: 80 % train, 10 % valid, 10 % test; groups and copies stay together"
    return Roles(
        GROUPED, {"fold1": places[part_K]}, np.zeros(len(clips), np.int64), about, "drawn with the others", notes
    )


def _grouped_folds(clips: Clips, num_folds: int, seed: int, copies: Sequence[Sets]) -> Roles:
    name = f"grouped-{num_folds}fold"
    part_K, notes = _assigned(clips, name, [1] * num_folds, seed, copies)
    fold_K = part_K + 1
    about = f"generated with seed {seed}; groups and copies stay together"
    return Roles(name, _rotate(name, fold_K), fold_K, about, "the fold after the tested one", notes)


def _assigned(
    clips: Clips, name: str, shares: list[int], seed: int, copies: Sequence[Sets]
) -> tuple[Ints, tuple[str, ...]]:
    """Return a part for every used clip, -1 for the others [K], and what is to be said of it."""
    unit_K, name_units = _units(clips, copies, by_clip=False)
    units_U, unit_of_used = np.unique(unit_K[clips.is_used_K], return_inverse=True)
    if len(units_U) < 3:
        raise SplitError(
            f"{name}: expected at least 3 groups without common copies, one each to train, validate and test, got "
            f"{len(units_U)}; name smaller groups, or add recordings"
        )
    if not 3 <= len(shares) <= len(units_U):
        raise SplitError(
            f"{name}: expected 3 to {len(units_U)} folds (the number of groups without common copies), got {len(shares)}; "
            f"give --split grouped-{len(units_U)}fold to `audioprep prepare`, or set it as the corpus's split in params.yaml"
        )
    stratum_K, notes = _strata(clips, name, len(shares))
    num_strata = int(stratum_K.max()) + 1
    demands, count_D = np.unique(unit_of_used * num_strata + stratum_K[clips.is_used_K], return_counts=True)
    hashes_U = stable_hashes(str(seed), name_units(units_U))
    part_U = assign_groups(hashes_U, demands // num_strata, demands % num_strata, count_D, shares)
    part_K = np.full(len(clips), -1)
    part_K[clips.is_used_K] = part_U[unit_of_used]
    return part_K, notes


def _strata(clips: Clips, name: str, num_parts: int) -> tuple[Ints, tuple[str, ...]]:
    """Return for each clip the rarest of its labels; one more stratum holds the clips without a label."""
    num_classes = len(clips.classes)
    is_counted_L = (clips.label_L >= 0) & clips.is_used_K[clips.clip_L]
    sizes = np.bincount(clips.label_L[is_counted_L], minlength=num_classes)
    if sizes.max() < num_parts:
        raise SplitError(
            f"{name}: expected a class with at least {num_parts} clips, got at most {sizes.max()} clips a class; "
            "use fewer folds, or add recordings"
        )
    rank = np.empty(num_classes, np.int64)
    by_size = np.argsort(sizes, kind="stable")
    rank[by_size] = np.arange(num_classes)
    rarest_K = np.full(len(clips), num_classes)
    np.minimum.at(rarest_K, clips.clip_L[is_counted_L], rank[clips.label_L[is_counted_L]])
    rare = int((sizes < num_parts).sum())
    if not rare:
        return rarest_K, ()
    note = (
        f"{rare} of {num_classes} classes have fewer clips than {name} has parts, so that some lack them; "
        f"'{clips.classes[by_size[0]]}' has {sizes.min()}"
    )
    return rarest_K, (note,)
