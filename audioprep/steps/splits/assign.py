"""Who goes where, from hashes alone: generated folds, and the part of a training set that validates.

Shape letters: G groups, P parts (folds, or train, valid and test), S strata (classes), D demands (group and stratum).
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

# A part may hold this much more than its fair share of a class, or as much less. Larger is more stable when clips are
# added, smaller is better balanced.
SLACK = 1.1
VALID_FRACTION = 0.1
_BLOCK_GROUPS = 65_536


def stable_hashes(salt: str, names: Iterable[str]) -> Hashes:
    """Return 64 bits of sha256 of each name: the same on every machine, whatever other names there are.

    Args:
        salt: Makes one purpose independent of another: a seed, the name of a split.
        names: What is hashed.
    """
    sha256 = hashlib.sha256
    digests = b"".join(sha256(f"{salt}:{name}".encode()).digest()[:8] for name in names)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def draw_fraction(hashes_G: Hashes, fraction: float = VALID_FRACTION) -> npt.NDArray[np.bool_]:
    """Return which groups are drawn: those whose hash is small, so that no other group matters.

    Where that would draw none or all, it is the one with the smallest hash; of a single group nothing is drawn.

    Args:
        hashes_G: Hash of each group [G].
        fraction: How many of many groups are drawn, about.
    """
    is_drawn_G = hashes_G < np.uint64(int(fraction * 2**64))
    if len(hashes_G) < 2:
        return np.zeros(len(hashes_G), bool)
    if is_drawn_G.all() or not is_drawn_G.any():
        is_drawn_G = np.arange(len(hashes_G)) == hashes_G.argmin()
    return is_drawn_G


def assign_groups(
    hashes_G: Hashes, group_D: Ints, stratum_D: Ints, count_D: Ints, shares: Sequence[int], slack: float = SLACK
) -> npt.NDArray[np.int16]:
    """Return the part of every group: rendezvous hashing with bounded loads.

    Every group has an order of preference among the parts, which follows from its hash alone. Large groups choose first,
    groups of about one size in the order of their hashes, and each goes to the part it prefers most of those that keep
    every class between its fair share divided by `slack` and its fair share times `slack`, in whole clips. Where none
    does, it goes where the bounds are broken least. While there are groups enough, no part stays empty.

    The outcome does not depend on the order of anything, and is stable: with clips added, a group moves only where the
    bounds have come to bind elsewhere. That is why this is not scikit-learn's StratifiedGroupKFold, which balances a bit
    better, but draws a wholly different split when one clip is added or the rows are in another order.

    Args:
        hashes_G: Hash of each group [G], from `stable_hashes`.
        group_D: The group of each demand [D], sorted.
        stratum_D: The class of each demand [D], from 0.
        count_D: How many clips the group has of that class [D].
        shares: Relative size of each part [P], whole numbers.
        slack: How far a part may be from its fair share, above 1.

    Returns:
        Index of the part of each group [G], int16.
    """
    num_groups = len(hashes_G)
    size_G = np.bincount(group_D, count_D, num_groups).astype(np.int64)
    order_G = np.lexsort((hashes_G, -np.frexp(size_G)[1]))
    first_G = np.searchsorted(group_D, np.arange(num_groups + 1))
    # Stratum 0 is all clips, so that parts are of about their size; classes follow.
    totals_S = np.concatenate([[count_D.sum()], np.bincount(stratum_D, count_D)]).astype(np.int64)
    loads = _Loads(totals_S, shares, slack, num_groups)
    strata, counts, sizes = (stratum_D + 1).tolist(), count_D.tolist(), size_G.tolist()
    parts_G = np.zeros(num_groups, np.int16)
    for start in range(0, num_groups, _BLOCK_GROUPS):
        block = order_G[start : start + _BLOCK_GROUPS]
        preferences = _preferences(hashes_G[block], shares).tolist()
        bounds = zip(block.tolist(), first_G[block].tolist(), first_G[block + 1].tolist(), preferences, strict=True)
        for group, first, last, preferred in bounds:
            demands = [(0, sizes[group]), *zip(strata[first:last], counts[first:last], strict=True)]
            parts_G[group] = loads.place(demands, preferred)
    return parts_G


def _preferences(hashes_G: Hashes, shares: Sequence[int]) -> Ints:
    """Return the parts in each group's order of preference [G, P]: the best of as many tickets as the part has shares."""
    best_GP = np.zeros((len(hashes_G), len(shares)), np.uint64)
    ticket = 0
    for part, share in enumerate(shares):
        for _ in range(share):
            ticket += 1
            np.maximum(best_GP[:, part], mixed(hashes_G, ticket), out=best_GP[:, part])
    return np.argsort(~best_GP, axis=1, kind="stable")


def mixed(hashes: Hashes, ticket: int) -> Hashes:
    """Return another hash of each hash, one for every ticket: a SplitMix64 step, whole numbers throughout."""
    bits = hashes + np.uint64((ticket * 0x9E3779B97F4A7C15) % 2**64)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)), np.uint64)


class _Loads:
    """How many clips of each class each part holds, and between which bounds that should end.

    The tables are flat lists, `stratum * num_parts + part`: two million groups go through here one after the other.
    """

    def __init__(self, totals_S: Ints, shares: Sequence[int], slack: float, num_groups: int) -> None:
        self._num_parts = len(shares)
        fair_SP = totals_S[:, None] * np.array(shares) / sum(shares)
        upper_SP = np.maximum(np.ceil(fair_SP), np.floor(fair_SP * slack)).astype(np.int64)
        lower_SP = np.minimum(np.floor(fair_SP), np.ceil(fair_SP / slack)).astype(np.int64)
        self._upper, self._lower = upper_SP.ravel().tolist(), lower_SP.ravel().tolist()
        self._held = [0] * len(self._upper)
        self._to_come = totals_S.tolist()  # clips of each stratum that are not placed yet
        self._lacking = lower_SP.sum(axis=1).tolist()  # clips that the parts need to reach their lower bounds
        self._weight = (1 / np.maximum(totals_S, 1)).tolist()
        self._groups_to_come = num_groups
        self._empty = set(range(self._num_parts))

    def place(self, demands: list[tuple[int, int]], preferred: list[int]) -> int:
        """Put a group, as pairs of stratum and clips, where it breaks the bounds least, and return the part."""
        if self._groups_to_come <= len(self._empty):
            preferred = [part for part in preferred if part in self._empty] or preferred
        best, least = preferred[0], float("inf")
        for part in preferred:
            cost = self._cost(demands, part)
            if cost < least:
                best, least = part, cost
                if not cost:
                    break
        self._put(demands, best)
        return best

    def _cost(self, demands: list[tuple[int, int]], part: int) -> float:
        """Return by how much the bounds would be broken, as parts of the classes that they are for."""
        cost = 0.0
        for stratum, count in demands:
            slot = stratum * self._num_parts + part
            after = self._held[slot] + count
            over = min(after - self._upper[slot], count)
            if over > 0:
                cost += over * self._weight[stratum]
            filled = max(0, min(count, self._lower[slot] - self._held[slot]))
            short = self._lacking[stratum] - filled - (self._to_come[stratum] - count)
            if short > 0:
                cost += short * self._weight[stratum]
        return cost

    def _put(self, demands: list[tuple[int, int]], part: int) -> None:
        for stratum, count in demands:
            slot = stratum * self._num_parts + part
            self._lacking[stratum] -= max(0, min(count, self._lower[slot] - self._held[slot]))
            self._held[slot] += count
            self._to_come[stratum] -= count
        self._groups_to_come -= 1
        self._empty.discard(part)
