import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from model.corpora import SPLIT, write_features, write_split
from torch.utils.data import DataLoader

from audioprep.errors import ModelError, ShardError, SplitError
from audioprep.io.feature_reader import FeatureShards
from audioprep.model.batches import Batch, FeatureBatches, open_batches
from audioprep.model.corpus import Corpus, load_corpus

# 60 clips of 41 x 16 float16 in the toy; rewritten as row groups of 5.
CLIP_BYTES, GROUP = 41 * 16 * 2, 5


@pytest.fixture(scope="module")
def data(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus in small row groups."""
    corpus = load_corpus(toy, "logmel", SPLIT)
    folder = tmp_path_factory.mktemp("batches") / "toy"
    write_features(folder / "logmel", corpus.ids, corpus.values(np.arange(60)), num_shards=3)
    for path in (folder / "logmel").glob("part-*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None), path, row_group_size=GROUP, use_dictionary=False)
    (folder / "splits").mkdir()
    (folder / f"splits/{SPLIT}.parquet").write_bytes((toy / f"splits/{SPLIT}.parquet").read_bytes())
    return folder


def corpus_of(data: Path) -> Corpus:
    return load_corpus(data, "logmel", SPLIT)


def ids_of(batches: Any) -> list[str]:
    return [clip for batch in batches for clip in batch.ids]


def whole(batches: Any) -> Batch:
    """Return an epoch as one batch, sorted by id."""
    parts = list(batches)
    ids = [clip for part in parts for clip in part.ids]
    order = np.argsort(ids)
    features, targets = (
        torch.cat(column)[order] for column in ([p.features for p in parts], [p.targets for p in parts])
    )
    return Batch(features, targets, sorted(ids))


@pytest.mark.parametrize("num_held", [60, 12, GROUP])
def test_each_clip_comes_once_an_epoch(data: Path, num_held: int) -> None:
    batches = open_batches(data, batch_size=7, memory_bytes=num_held * CLIP_BYTES)
    train = [corpus_of(data).ids[row] for row in corpus_of(data).rows(1, {"train"})]
    for _ in range(3):
        parts = list(batches)
        assert len(parts) == len(batches) == 5
        assert sorted(len(part.ids) for part in parts) == [7, 7, 7, 7, 8]
        assert sorted(clip for part in parts for clip in part.ids) == train


def test_one_role_may_be_given_by_its_name_alone(data: Path) -> None:
    ids = [
        sorted(clip for part in open_batches(data, roles=roles) for clip in part.ids) for roles in ("valid", ["valid"])
    ]
    assert ids[0] == ids[1] != []


@settings(max_examples=40, deadline=None)
@given(
    num_clips=st.integers(1, 30),
    num_shards=st.integers(1, 4),
    row_group_size=st.integers(1, 12),
    num_wanted=st.integers(1, 30),
    num_held=st.integers(1, 30),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 3),
)
def test_any_set_in_any_memory_comes_whole(
    tmp_path_factory, num_clips, num_shards, row_group_size, num_wanted, num_held, batch_size, seed
) -> None:
    folder = tmp_path_factory.mktemp("set")
    ids = [f"{row:02d}-clip" for row in range(num_clips)]
    values_KNM = np.arange(num_clips, dtype=np.float32)[:, None, None] + np.zeros((1, 2, 3), np.float32)
    write_features(folder / "logmel", ids, values_KNM, num_shards=min(num_shards, num_clips))
    for path in (folder / "logmel").glob("part-*.parquet"):
        pq.write_table(pq.read_table(path, partitioning=None), path, row_group_size=row_group_size)
    corpus = bare_corpus(folder / "logmel", ids)
    rows = np.random.default_rng(seed).permutation(num_clips)[:num_wanted]
    memory_bytes = max(num_held, row_group_size) * 2 * 3 * 2
    batches = FeatureBatches(corpus, rows, batch_size=batch_size, seed=seed, memory_bytes=memory_bytes, read_ahead=0)
    for _ in range(2):
        epoch = whole(batches)
        assert epoch.ids == sorted(ids[row] for row in rows)
        np.testing.assert_array_equal(epoch.features[:, 0, 0], np.sort(rows))


def bare_corpus(folder: Path, ids: list[str]) -> Corpus:
    shards = FeatureShards(folder)
    labels, roles = [["a"]] * len(ids), {1: ["train"] * len(ids)}
    return Corpus("bare", ids, labels, ["a"], roles, shards, shards.find(ids), {})


@pytest.mark.parametrize("num_held", [60, 12])
def test_order_depends_on_seed_and_epoch_alone(data: Path, num_held: int) -> None:
    def orders(**settings: Any) -> list[list[str]]:
        batches = open_batches(data, batch_size=8, memory_bytes=num_held * CLIP_BYTES, **settings)
        return [ids_of(batches) for _ in range(3)]

    first, second, third = orders(seed=1)
    assert [first, second, third] == orders(seed=1, read_ahead=0)
    assert len({tuple(order) for order in (first, second, third, *orders(seed=2))}) == 6
    again = open_batches(data, batch_size=8, memory_bytes=num_held * CLIP_BYTES, seed=1)
    again.set_epoch(1)
    assert [ids_of(again), ids_of(again)] == [second, third]


def test_a_pass_that_was_left_early_changes_no_other(data: Path) -> None:
    batches = open_batches(data, batch_size=8, seed=1)
    next(iter(batches))
    batches.set_epoch(0)
    assert ids_of(batches) == ids_of(open_batches(data, batch_size=8, seed=1))


def test_streaming_gives_what_memory_gives(data: Path) -> None:
    held, streamed = open_batches(data), open_batches(data, memory_bytes=8 * CLIP_BYTES)
    assert (held.is_held, streamed.is_held) == (True, False)
    first, second = whole(held), whole(streamed)
    assert first.ids == second.ids
    assert torch.equal(first.features, second.features)
    assert torch.equal(first.targets, second.targets)


def test_streaming_mixes_row_groups(data: Path) -> None:
    batches = open_batches(data, roles=("train", "valid", "test"), batch_size=10, memory_bytes=30 * CLIP_BYTES)
    group_of = {clip: int(group) for clip, group in zip(*groups(data), strict=True)}
    for batch in batches:
        assert len({group_of[clip] for clip in batch.ids}) > 2


def groups(data: Path) -> tuple[list[str], npt.NDArray[np.int64]]:
    shards = FeatureShards(data / "logmel")
    return shards.ids, shards.group_of(np.arange(len(shards)))


@pytest.mark.parametrize("num_held", [8, 13, 22])
def test_no_more_is_held_than_there_is_room_for(data: Path, monkeypatch: pytest.MonkeyPatch, num_held: int) -> None:
    read: list[int] = []
    plain = FeatureShards.read

    def counted(self: FeatureShards, group: int, room: Any = None) -> Any:
        read.append(group)
        return plain(self, group, room)

    monkeypatch.setattr(FeatureShards, "read", counted)
    settings = {"roles": ("train", "valid", "test"), "batch_size": 1, "read_ahead": 0}
    batches = open_batches(data, memory_bytes=num_held * CLIP_BYTES, **settings)
    assert batches.num_held == num_held
    sizes = np.diff(FeatureShards(data / "logmel").bounds)
    for given_out, _ in enumerate(batches):
        assert sizes[read].sum() - given_out <= num_held
    assert sorted(read) == list(range(len(sizes)))


def test_row_groups_without_wanted_clips_are_not_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = corpus_of(data)
    stored, group_K = groups(data)
    wanted = {clip for clip, group in zip(stored, group_K, strict=True) if group in {1, 4}}
    read: list[int] = []
    plain = FeatureShards.read
    monkeypatch.setattr(
        FeatureShards, "read", lambda self, group, room=None: read.append(group) or plain(self, group, room)
    )
    rows = np.flatnonzero([clip in wanted for clip in corpus.ids])
    assert set(ids_of(FeatureBatches(corpus, rows, read_ahead=0))) == wanted
    assert sorted(read) == [1, 4]


def test_what_is_held_is_read_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = open_batches(data, read_ahead=0)
    first = whole(batches)
    monkeypatch.setattr(FeatureShards, "read", lambda *_: pytest.fail("read again"))
    assert torch.equal(whole(batches).features, first.features)


def test_values_are_normalised_by_the_training_clips(data: Path) -> None:
    corpus = corpus_of(data)
    train, test = corpus.rows(2, {"train"}), corpus.rows(2, {"test"})
    frames = corpus.values(train).astype(np.float64).reshape(-1, 16)
    epoch = whole(open_batches(data, fold=2, roles=("test",), shuffle=False))
    assert epoch.features.dtype == torch.float32
    expected = (corpus.values(test).astype(np.float64) - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(epoch.features, expected, atol=1e-4)


def test_mean_and_std_may_be_given(data: Path) -> None:
    corpus = corpus_of(data)
    values_KNM = corpus.values(corpus.rows(1, {"train"})).astype(np.float32)
    assert np.array_equal(whole(open_batches(data, mean=0, std=1)).features, values_KNM)
    mean_M = np.arange(16.0)
    given = whole(open_batches(data, mean=mean_M, std=2.0)).features
    np.testing.assert_allclose(given, (values_KNM - mean_M) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("num_held", [60, 8])
def test_int8_is_scaled_and_normalised(tmp_path: Path, num_held: int) -> None:
    meta = {"rule": {"dtype": "int8"}}
    write_features(tmp_path / "logmel", [f"{row}-clip" for row in range(12)], np.zeros((12, 4, 3)), meta=meta)
    rng = np.random.default_rng(0)
    for path in (tmp_path / "logmel").glob("part-*.parquet"):
        table = pq.read_table(path, partitioning=None)
        stored = pa.array(rng.integers(-128, 128, 12 * len(table)).astype(np.int8))
        table = table.set_column(2, "logmel", pa.FixedSizeListArray.from_arrays(stored, 12))
        for name in ("scale", "offset"):
            table = table.append_column(name, pa.array(rng.uniform(0.1, 1, len(table)).astype(np.float32)))
        pq.write_table(table, path, row_group_size=4)
    corpus = bare_corpus(tmp_path / "logmel", [f"{row}-clip" for row in range(12)])
    batches = FeatureBatches(corpus, np.arange(12), normalisation=(-3.0, 2.0), memory_bytes=num_held * 12)
    assert batches.num_held == min(12, num_held)
    epoch = whole(batches)
    values_KNM = corpus.values(np.array([corpus.ids.index(clip) for clip in epoch.ids]))
    np.testing.assert_allclose(epoch.features, (values_KNM + 3) / 2, rtol=1e-5, atol=1e-4)


def test_what_was_prepared_is_given_out_as_it_is(data: Path) -> None:
    corpus, calls = corpus_of(data), []

    def prepare(x_BNM: torch.Tensor) -> torch.Tensor:
        calls.append(len(x_BNM))
        return x_BNM.mean(dim=1)

    batches = FeatureBatches(corpus, np.arange(60), prepare=prepare, read_ahead=0)
    first, _ = whole(batches), whole(batches)
    assert sum(calls) == 60 + 1  # one to see the shape
    np.testing.assert_allclose(first.features, corpus.values(np.arange(60)).astype(np.float32).mean(axis=1), rtol=1e-5)


def test_targets_are_all_labels_of_a_clip(data: Path) -> None:
    corpus = corpus_of(data)
    labels = [list(some) for some in itertools.islice(itertools.cycle([["bell"], [], ["bell", "siren"], ["drum"]]), 60)]
    several = dataclasses.replace(corpus, labels=labels)
    epoch = whole(FeatureBatches(several, np.arange(60), batch_size=7))
    assert epoch.targets.dtype == torch.float32
    assert epoch.targets[:4].tolist() == [[1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]]
    assert epoch.targets.sum() == 60


def test_without_shuffling_clips_come_as_they_are_stored(data: Path) -> None:
    stored, _ = groups(data)
    for memory_bytes in (60 * CLIP_BYTES, 8 * CLIP_BYTES):
        settings = {"roles": ("train", "valid", "test"), "shuffle": False, "memory_bytes": memory_bytes}
        batches = open_batches(data, **settings)
        assert ids_of(batches) == ids_of(batches) == stored


def test_batches_are_new_memory(data: Path) -> None:
    first, second, *_ = open_batches(data, batch_size=8)
    before = first.features.clone()
    second.features.zero_()
    assert torch.equal(first.features, before)


def test_a_data_loader_may_be_around_it_without_workers(data: Path) -> None:
    plain, wrapped = open_batches(data, batch_size=8), open_batches(data, batch_size=8)
    loader = DataLoader(wrapped, batch_size=None)
    assert len(loader) == len(plain)
    assert ids_of(loader) == ids_of(plain)


def test_workers_of_a_data_loader_are_refused(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audioprep.model.batches.get_worker_info", object)
    with pytest.raises(ModelError, match=r"toy/official-5fold: expected no DataLoader workers, .*; set num_workers=0"):
        iter(open_batches(data))


def test_a_damaged_shard_is_named_where_batches_are_used(data: Path, tmp_path: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(data, tmp_path / "toy"))
    batches = open_batches(copy)
    (copy / "logmel/part-000002.parquet").write_bytes(b"PAR1")
    with pytest.raises(ShardError, match=r"part-000002.parquet: expected 5 clips in row group 0, got ArrowInvalid"):
        ids_of(batches)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"split": "official"}, SplitError, r"toy split: expected one of official-5fold, got 'official'; did you mean"),
        (
            {"kind": "logmell"},
            ShardError,
            r"toy features: expected one of logmel, got 'logmell'; did you mean 'logmel'",
        ),
        ({"fold": 9}, SplitError, r"toy/official-5fold: expected a fold of \[1, 2, 3, 4, 5\], got 9; choose one"),
        ({"roles": ("trian",)}, SplitError, r"roles: expected one of test, .*, got 'trian'; did you mean 'train'\?"),
        ({"roles": ("unused",)}, ModelError, r"official-5fold: expected clips to make batches of, got none; choose"),
        ({"batch_size": 0}, ModelError, r"expected batch_size of at least 1 and read_ahead of at least 0, got 0 and 2"),
        (
            {"memory_bytes": 100},
            ModelError,
            r"expected memory_bytes of at least 3,936 \(one row group of 3 clips\), got 100",
        ),
        ({"std": 0.0}, ModelError, r"std: expected numbers above 0, got 0; mend it"),
        ({"mean": [1.0, 2.0]}, ModelError, r"mean: expected a number or 16, one a bin, got shape \[2\]; mend it"),
    ],
)
def test_what_is_impossible_is_said(data: Path, settings: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        open_batches(data, **settings)


def test_a_split_must_be_named_where_there_are_several(data: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SplitError, match=r"none: expected the folder of a prepared corpus, found none in /.+; give its path$"
    ):
        open_batches(tmp_path / "none")
    (tmp_path / "none").mkdir()
    with pytest.raises(SplitError, match=r"none: expected one split, got none; run the split stage"):
        open_batches(tmp_path / "none")
    ids = [f"{row}-clip" for row in range(3)]
    for name in ("a", "b"):
        write_split(tmp_path / f"ds/splits/{name}.parquet", ids, ["x", "y", "x"], [1, 2, 3], num_folds=3)
    with pytest.raises(SplitError, match=r"ds: expected one split, got a, b; name one of them"):
        open_batches(tmp_path / "ds")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_what_the_cpu_gives(data: Path) -> None:
    for memory_bytes in (60 * CLIP_BYTES, 8 * CLIP_BYTES):
        cpu, gpu = (whole(open_batches(data, memory_bytes=memory_bytes, device=name)) for name in ("cpu", "cuda"))
        assert gpu.features.device.type == "cuda"
        torch.testing.assert_close(gpu.features.cpu(), cpu.features)


@pytest.mark.parametrize(
    ("chances", "memory_bytes", "got"),
    [([1.0], 1 << 30, r"shape \[1\] and room for 36"), ([1.0] * 36, 30_000, "room for 22")],
)
def test_clips_are_drawn_more_often_only_where_all_are_held(
    toy: Path, chances: list[float], memory_bytes: int, got: str
) -> None:
    corpus = load_corpus(toy, "logmel", SPLIT)
    rows = corpus.rows(1, {"train"})
    with pytest.raises(ModelError, match=rf"expected a chance of at least 0 for each of 36 clips, .* got .*{got}"):
        FeatureBatches(corpus, rows, chances=chances, memory_bytes=memory_bytes)
