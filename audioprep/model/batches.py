"""Shuffled, normalised batches of features from shards, whether they fit into memory or not.

All clips that fit are read once, in the type they are stored in, and held: each epoch is one permutation of them. Of a larger
set a window of clips is held: row groups are read in random order, and each pushes as many clips, drawn from the whole
window, out into the batches. Memory is the window, one row group and the batches that wait, however large the set.

Shape letters: B clips of a batch, C of the window, K of an epoch in V versions, R of a row group, N frames, M bins, L classes.
"""

import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from audioprep.errors import ModelError
from audioprep.model.ahead import made_ahead
from audioprep.model.corpus import Corpus, Ints, load_corpus, only_split

# The same on every machine: the order of a set that does not fit depends on it.
MEMORY_BYTES = 4 << 30
# Outputs of batches that wait to be used again.
_MAX_FREE = 8
_NONE = np.empty(0, np.int64)


class Batch(NamedTuple):
    """Some clips.

    Attributes:
        features: [B, N, M], float32.
        targets: [B, L], float32: 1 for each label that a clip has, 0 for the others.
        ids: Clip ids [B].
    """

    features: Tensor
    targets: Tensor
    ids: list[str]


class _Step(NamedTuple):
    """Clips leave the window by some of its places, then a row group comes in by others; `group` -1 is none."""

    leave: Ints
    group: int
    enter: Ints


class _Window:
    """The clips that are held: features [C, ...], and which clip is at each place [C]."""

    def __init__(self, num_clips: int, like: Tensor) -> None:
        self.features = _empty(num_clips, like)
        self.rows_C = np.zeros(num_clips, np.int64)

    def put(self, places: Ints, features: Tensor) -> None:
        """Put clips into places."""
        if features.device.type == "cpu":  # in half of torch's time
            self.features.numpy()[places] = features.numpy()
        else:
            self.features.index_copy_(0, torch.from_numpy(places).to(features.device), features)


class _Outputs:
    """Memory for batches, which is lent again once nobody has it: to get new one takes longer than to fill it."""

    def __init__(self, shape: tuple[int, ...], device: torch.device) -> None:
        self._shape, self._device = shape, device
        self._free: list[npt.NDArray[np.float32]] = []

    def take(self, num_clips: int) -> Tensor:
        """Return room for clips, float32, that no tensor or array uses."""
        if self._device.type != "cpu":  # torch does the same for others
            return torch.empty((num_clips, *self._shape[1:]), device=self._device)
        array = self._free.pop() if self._free else np.empty(self._shape, np.float32)
        lent = array[:num_clips]
        # The tensor and all views of it hold on to what is lent.
        weakref.finalize(lent, self._give_back, array).atexit = False
        return torch.from_numpy(lent)

    def _give_back(self, array: npt.NDArray[np.float32]) -> None:
        if len(self._free) < _MAX_FREE:
            self._free.append(array)


class FeatureBatches(IterableDataset[Batch]):
    """The batches of one epoch after another; `open_batches` makes it from a folder.

    Each pass over it is the next epoch. Order depends on the seed and the epoch alone (and on `memory_bytes` where the set
    does not fit); all clips come once, in batches of nearly equal size, for a rest of one clip has no batch statistics. It
    reads ahead by itself, so that a DataLoader around it needs no workers.

    Attributes:
        corpus: Where the clips come from.
        num_clips: Clips of an epoch.
        epoch: The next one.
        num_held: Clips that memory has room for.
        is_held: Whether these are all of them.
    """

    def __init__(
        self,
        corpus: Corpus,
        rows: Ints,
        *,
        batch_size: int = 64,
        shuffle: bool = True,
        seed: int = 0,
        chances: npt.ArrayLike | None = None,
        normalisation: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
        prepare: Callable[[Tensor], Tensor] | None = None,
        memory_bytes: int = MEMORY_BYTES,
        device: torch.device | str = "cpu",
        read_ahead: int = 2,
    ) -> None:
        """Plan the reading; nothing is read yet.

        Args:
            corpus: The clips.
            rows: Which of them, as indices [K]; or [V, K]: versions of each, of which each epoch takes one, by chance.
            batch_size: Clips of a batch, nearly.
            shuffle: Whether the order is random; otherwise clips come as they are stored.
            seed: Where the order comes from, together with the epoch.
            chances: How often each clip is drawn compared with others [K]: an epoch then has as many clips, some of them
                more than once, others not at all. None draws each once.
            normalisation: Mean and standard deviation, [M] or numbers; None leaves values as they are.
            prepare: What is made of features [R, N, M], float32, once they are read, clip by clip; it is held in their
                place and given out as it is.
            memory_bytes: Room for clips, on `device`.
            device: Where clips are held and batches are made.
            read_ahead: Batches that a thread makes ahead; with 0 there is no thread.

        Raises:
            ModelError: A number is impossible, or memory has no room for a row group.
        """
        if batch_size < 1 or read_ahead < 0:
            raise ModelError(
                f"{corpus.name}: expected batch_size of at least 1 and read_ahead of at least 0, got {batch_size} and "
                f"{read_ahead}; mend them"
            )
        if not rows.size:
            raise ModelError(f"{corpus.name}: expected clips to make batches of, got none; choose other roles")
        self._rows_VK: Ints = np.atleast_2d(rows)
        self.corpus, self.num_clips, self.seed, self.epoch = corpus, int(self._rows_VK.shape[1]), seed, 0
        self.device, self.read_ahead = torch.device(device), read_ahead
        self._shuffle, self._prepare = shuffle, prepare
        self._num_batches = max(1, round(self.num_clips / batch_size))
        num_bins = corpus.shards.num_bins
        self._scale_shift = None if normalisation is None else _scale_shift(normalisation, num_bins, self.device)
        self._plan(self._rows_VK.reshape(-1))
        shape = (1, corpus.shards.num_frames, num_bins)
        self._like = self._hold(torch.from_numpy(np.zeros(shape, corpus.shards.dtype)), self._rows_K[:1])
        clip_bytes = self._like.numel() * self._like.element_size()
        self.num_held = min(memory_bytes // clip_bytes, rows.size)
        self.is_held = self.num_held == rows.size
        self._chances = None if chances is None else self._checked_chances(np.asarray(chances, np.float64))
        least = int(np.diff(self._bounds).max())
        if self.num_held < least:
            raise ModelError(
                f"{corpus.name}: expected memory_bytes of at least {least * clip_bytes:,} (one row group of {least} clips), "
                f"got {memory_bytes:,}; raise it"
            )
        # A row group can be unpacked right into the window.
        self._takes_stored = self.is_held and prepare is None and self.device.type == "cpu"
        self._window: _Window | None = None

    def __len__(self) -> int:
        """Return the number of batches."""
        return self._num_batches

    def __iter__(self) -> Iterator[Batch]:
        """Return the batches of the next epoch.

        Raises:
            ModelError: This is a worker process of a DataLoader, each of which would give out all clips.
        """
        if get_worker_info() is not None:
            raise ModelError(
                f"{self.corpus.name}: expected no DataLoader workers, for batches are made ahead by a thread, got some; "
                "set num_workers=0"
            )
        self.epoch += 1
        return self.draw(np.random.default_rng([self.seed, self.epoch - 1]))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch the next pass is, for example when a training goes on after a kill."""
        self.epoch = epoch

    def draw(self, rng: np.random.Generator) -> Iterator[Batch]:
        """Return the batches of one epoch in an order drawn from a generator, which is done with when this returns.

        Raises:
            ShardError: A shard is damaged.
        """
        if self.is_held:
            order = self._place_K[self._drawn(rng)]
            steps = self._steps_held(order if self._shuffle else np.sort(order))
        else:
            if len(self._rows_VK) > 1:
                self._plan(self._rows_VK.reshape(-1)[self._drawn(rng)])
            # A generator of its own: this one is drawn from while the window moves on.
            steps = self._steps_streamed(np.random.default_rng(rng.integers(2**63)) if self._shuffle else None)
        batches = self._batches(steps)
        return made_ahead(batches, self.read_ahead) if self.read_ahead else batches

    def _drawn(self, rng: np.random.Generator) -> Ints:
        """Return the clips of an epoch as places in the flat versions; without copies no chance goes to versions."""
        clips_K = np.arange(self.num_clips)
        if self._chances is not None:
            clips_K = rng.choice(clips_K, self.num_clips, p=self._chances)
        elif self._shuffle:
            clips_K = rng.permutation(clips_K)
        num_versions = len(self._rows_VK)
        return (
            clips_K if num_versions == 1 else clips_K + self.num_clips * rng.integers(num_versions, size=len(clips_K))
        )

    def _plan(self, rows: Ints) -> None:
        """Note clips in stored order: rows of the corpus, and for each row group where its own begin and end."""
        stored = np.argsort(self.corpus.clips_K[rows], kind="stable")
        self._place_K = np.argsort(stored)
        self._rows_K = rows[stored]
        groups_K = self.corpus.shards.group_of(self.corpus.clips_K[self._rows_K])
        self._groups, starts = np.unique(groups_K, return_index=True)
        self._bounds = np.append(starts, len(rows))

    def _checked_chances(self, chances_K: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if chances_K.shape != (self.num_clips,) or chances_K.min() < 0 or not self.is_held:
            raise ModelError(
                f"{self.corpus.name}: expected a chance of at least 0 for each of {self.num_clips} clips, and memory for all of "
                f"them, got shape {list(chances_K.shape)} and room for {self.num_held}; raise memory_bytes, or weigh classes"
            )
        return np.asarray(chances_K / chances_K.sum())

    def _steps_held(self, order: Ints) -> Iterator[_Step]:
        if self._window is None:
            for group, (start, stop) in enumerate(zip(self._bounds, self._bounds[1:], strict=False)):
                yield _Step(_NONE, group, np.arange(start, stop))
        yield _Step(order, -1, _NONE)

    def _steps_streamed(self, rng: np.random.Generator | None) -> Iterator[_Step]:
        """Let each row group push out as many clips as it needs room; without chance, those that came first."""
        sizes = np.diff(self._bounds)
        free, held = np.arange(self.num_held), _NONE
        for group in np.arange(len(sizes)) if rng is None else rng.permutation(len(sizes)):
            num_leaving = max(0, sizes[group] - len(free))
            places = np.arange(num_leaving) if rng is None else rng.choice(len(held), num_leaving, replace=False)
            leave = held[places]
            enter, free = np.split(np.concatenate([free, leave]), [sizes[group]])
            held = np.concatenate([np.delete(held, places), enter])
            yield _Step(leave, int(group), enter)
        yield _Step(held if rng is None else rng.permutation(held), -1, _NONE)

    def _batches(self, steps: Iterator[_Step]) -> Iterator[Batch]:
        """Carry out the steps, and give out what leaves the window, batch by batch."""
        window = self._window or _Window(self.num_held, self._like)
        sizes = [len(part) for part in np.array_split(np.empty(self.num_clips), self._num_batches)]
        outputs = _Outputs((sizes[0], *self._like.shape[1:]), self.device)
        buffer, room = _empty(sizes[0], self._like), self._room()
        rows_B, filled, number = np.zeros(sizes[0], np.int64), 0, 0
        for leave, group, enter in steps:
            if self.is_held and group < 0:
                self._window = window
            at = 0
            while at < len(leave):
                places = leave[at : at + sizes[number] - filled]
                stop = filled + len(places)
                index = torch.from_numpy(places).to(self.device)
                torch.index_select(window.features, 0, index, out=buffer[filled:stop])
                rows_B[filled:stop] = window.rows_C[places]
                at, filled = at + len(places), stop
                if filled == sizes[number]:
                    yield self._batch(buffer[:filled], rows_B[:filled], outputs.take(filled))
                    filled, number = 0, number + 1
            if group >= 0:
                self._enter(window, group, enter, room)

    def _room(self) -> npt.NDArray[Any]:
        """Return room for any of the row groups as it is stored."""
        shards = self.corpus.shards
        most = 0 if self._window else int(np.diff(shards.bounds)[self._groups].max())
        return np.empty((most, shards.num_frames, shards.num_bins), shards.dtype)

    def _enter(self, window: _Window, group: int, places: Ints, room: npt.NDArray[Any]) -> None:
        """Read the wanted clips of a row group into places of the window."""
        start, stop = self._bounds[group], self._bounds[group + 1]
        rows_R, number = self._rows_K[start:stop], int(self._groups[group])
        window.rows_C[places] = rows_R
        shards = self.corpus.shards
        is_whole = len(rows_R) == shards.bounds[number + 1] - shards.bounds[number]
        own = window.features[start:stop].numpy() if is_whole and self._takes_stored else None
        values = shards.read(number, room if own is None else own)
        if own is not None and np.may_share_memory(values, own):
            return  # unpacked in its place
        if not is_whole or not values.flags.writeable:
            values = values[self.corpus.clips_K[rows_R] - shards.bounds[number]]
        window.put(places, self._hold(torch.from_numpy(values), rows_R))

    def _hold(self, stored: Tensor, rows: Ints) -> Tensor:
        """Return what is held of some clips: themselves as they are stored, or what `prepare` makes of them."""
        stored = stored.to(self.device)
        if self._prepare is None:
            return stored
        return self._prepare(self._normalised(stored, rows, _empty(len(stored), stored, torch.float32)))

    def _batch(self, held: Tensor, rows_B: Ints, out: Tensor) -> Batch:
        features = self._normalised(held, rows_B, out) if self._prepare is None else out.copy_(held)
        ids = self.corpus.ids
        return Batch(features, self._targets(rows_B), [ids[row] for row in rows_B.tolist()])

    def _normalised(self, stored: Tensor, rows: Ints, out: Tensor) -> Tensor:
        """Put the values of some clips, as float32 and normalised, into `out`."""
        x_BNM = out.copy_(stored)
        shards = self.corpus.shards
        if shards.scale_K is not None and shards.offset_K is not None:
            clips_B = self.corpus.clips_K[rows]
            x_BNM.mul_(self._per_clip(shards.scale_K[clips_B])).add_(self._per_clip(shards.offset_K[clips_B]))
        if self._scale_shift is not None:
            scale_M, shift_M = self._scale_shift
            torch.addcmul(shift_M, x_BNM, scale_M, out=x_BNM)
        return x_BNM

    def _per_clip(self, values_B: npt.NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(values_B).to(self.device)[:, None, None]

    def _targets(self, rows_B: Ints) -> Tensor:
        codes_P, starts_K = self.corpus.label_pairs
        counts_B = starts_K[rows_B + 1] - starts_K[rows_B]
        ends_B = np.cumsum(counts_B)
        pairs = np.arange(ends_B[-1]) + np.repeat(starts_K[rows_B] - ends_B + counts_B, counts_B)
        targets_BL = np.zeros((len(rows_B), len(self.corpus.classes)), np.float32)
        targets_BL[np.repeat(np.arange(len(rows_B)), counts_B), codes_P[pairs]] = 1.0
        return torch.from_numpy(targets_BL).to(self.device)


def open_batches(
    data: Path | str,
    kind: str = "logmel",
    *,
    split: str | None = None,
    fold: int = 1,
    roles: Collection[str] = ("train",),
    mean: npt.ArrayLike | None = None,
    std: npt.ArrayLike | None = None,
    **settings: Any,
) -> FeatureBatches:
    """Return the batches of some clips of a corpus.

    Args:
        data: The corpus's folder, `data/<ds>`.
        kind: Feature kind.
        split: Its split; None where there is one only.
        fold: The tested fold; a split without folds has fold 1.
        roles: What the clips do in that fold: train, valid, test; one of them, or several.
        mean: [M] or a number; None is that of the fold's training clips, whatever the roles.
        std: Likewise.
        **settings: Those of `FeatureBatches`: batch_size, shuffle, seed, memory_bytes, device, read_ahead.

    Raises:
        SplitError: There is no such split, fold or role.
        ShardError: There are no such features, or a file is damaged.
        ModelError: A setting is impossible, or no clip has the roles.
    """
    data = Path(data)
    corpus = load_corpus(data, kind, split or only_split(data))
    rows = corpus.rows(fold, (roles,) if isinstance(roles, str) else roles)
    known: Sequence[npt.ArrayLike] = (0.0, 1.0)
    if mean is None or std is None:
        known = corpus.normalisation(corpus.rows(fold, {"train"}))
    chosen = (known[0] if mean is None else mean, known[1] if std is None else std)
    return FeatureBatches(corpus, rows, normalisation=chosen, **settings)


def _scale_shift(
    normalisation: tuple[npt.ArrayLike, npt.ArrayLike], num_bins: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return what a value is multiplied with and what is added then: (x - mean) / std in one pass."""
    mean, std = (np.asarray(part, np.float64) for part in normalisation)
    for name, part in (("mean", mean), ("std", std)):
        if part.shape not in {(), (num_bins,)}:
            raise ModelError(
                f"{name}: expected a number or {num_bins}, one a bin, got shape {list(part.shape)}; mend it"
            )
    if not (std > 0).all():
        raise ModelError(f"std: expected numbers above 0, got {std.min():g}; mend it")
    scale, shift = (torch.from_numpy(np.atleast_1d(part).astype(np.float32)) for part in (1 / std, -mean / std))
    return scale.to(device), shift.to(device)


def _empty(num_clips: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Return room for clips. For large arrays numpy asks the system for huge pages, which come several times faster."""
    shape, dtype = (num_clips, *like.shape[1:]), dtype or like.dtype
    if like.device.type == "cpu":
        return torch.from_numpy(np.empty(shape, torch.empty(0, dtype=dtype).numpy().dtype))
    return torch.empty(shape, dtype=dtype, device=like.device)
