"""Feature shards read by lhotse give exactly what is stored, and pass lhotse's own checks."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from lhotse import CutSet
from lhotse.dataset import SimpleCutSampler
from lhotse.dataset.input_strategies import PrecomputedFeatures
from lhotse.features.io import get_reader
from lhotse.qa import validate

from audioprep.engine import write_index
from audioprep.errors import ShardError
from audioprep.io.feature_reader import read_meta
from audioprep.io.feature_writer import METADATA_KEY, decoded, part_name
from audioprep.io.lhotse_features import cuts_with_features
from audioprep.io.shar import cuts_name, write_cuts

RATE_HZ, WINDOW_S, NUM_FRAMES, NUM_BINS = 16000, 0.5, 51, 4
META = {"kind": "logmel", "num_frames": NUM_FRAMES, "num_bins": NUM_BINS, "rate_hz": RATE_HZ, "window_s": WINDOW_S}
META |= {"rule": {"hop_ms": 10.0}}


def cut_of(clip_id, pad="zeros", duration_s=0.3, *, used=True):
    supervision = {"id": clip_id, "recording_id": clip_id, "start": 0.0, "duration": duration_s, "channel": 0}
    custom = {"used": used, "pad": pad, "gain_db": -3.0, "labels": ["x"]}
    cut = {"id": clip_id, "start": 0.1, "duration": duration_s, "channel": 0, "custom": custom, "type": "MonoCut"}
    return {**cut, "supervisions": [supervision]}


def write_part(path, ids, values_KNM):
    """Write a feature shard of row groups of 64 clips."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(values_KNM.reshape(-1)), NUM_FRAMES * NUM_BINS)
    table = pa.table({"id": ids, "logmel": column}).replace_schema_metadata({METADATA_KEY: json.dumps(META)})
    pq.write_table(table, path, row_group_size=64)


@pytest.fixture
def data(tmp_path):
    """Return a corpus of two shards with 150 and 3 clips, of which one is not used, and its features by id."""
    rng = np.random.default_rng(0)
    (tmp_path / "cuts").mkdir()
    (tmp_path / "logmel").mkdir()
    values, entries = {}, []
    for shard, num_clips in ((0, 150), (2, 3)):
        ids = [f"clip-{shard}-{number}" for number in range(num_clips)]
        cuts = [cut_of(clip_id, pad=("zeros", "centre", "wrap")[row % 3]) for row, clip_id in enumerate(ids)]
        write_cuts(tmp_path / "cuts" / cuts_name(shard), [*cuts, cut_of(f"left-out-{shard}", used=False)])
        features_KNM = rng.normal(size=(num_clips, NUM_FRAMES, NUM_BINS)).astype(np.float16)
        write_part(tmp_path / "logmel" / part_name(shard), ids, features_KNM)
        values |= dict(zip(ids, features_KNM, strict=True))
        entries.append({"shard": shard, "rows": num_clips, "files": {}})
    for name in ("cuts", "logmel"):
        write_index(tmp_path / name, {"files": {}, "shards": entries})
    return tmp_path, values


def test_every_clip_is_what_is_stored_and_lhotse_finds_nothing_wrong(data):
    folder, values = data
    cuts = cuts_with_features(folder)
    seen = []
    for cut in cuts:
        validate(cut, read_data=True)
        validate(cut.features, read_data=True)
        np.testing.assert_array_equal(cut.load_features(), values[cut.id])
        assert cut.load_features().dtype == np.float16
        assert cut.num_frames == NUM_FRAMES
        seen.append(cut.id)
    assert seen == list(values)


def test_the_sound_has_its_place_in_the_window(data):
    folder, _ = data
    zeros, centre, wrap = (cut.supervisions[0] for cut in cuts_with_features(folder).subset(first=3))
    assert (zeros.start, zeros.duration) == (0.0, 0.3)
    assert (centre.start, centre.duration) == (0.1, 0.3)
    assert (wrap.start, wrap.duration) == (0.0, WINDOW_S)
    cut = next(iter(cuts_with_features(folder)))
    assert cut.custom["part"] == {"start": 0.1, "duration": 0.3}
    assert cut.custom["gain_db"] == -3.0


def test_a_part_of_a_cut_is_that_part_of_the_features(data):
    folder, values = data
    cut = next(iter(cuts_with_features(folder)))
    part = cut.truncate(offset=0.1, duration=0.2)
    np.testing.assert_array_equal(part.load_features(), values[cut.id][10:30])
    reader = get_reader("audioprep_parquet")(cut.features.storage_path)
    np.testing.assert_array_equal(reader.read(cut.id, 5, 7), values[cut.id][5:7])
    np.testing.assert_array_equal(reader.read(cut.id, left_offset_frames=50), values[cut.id][50:])


class Batches(torch.utils.data.Dataset):
    def __getitem__(self, cuts):
        return *PrecomputedFeatures()(cuts), [cut.id for cut in cuts]


def test_a_data_loader_gives_batches(data):
    folder, values = data
    sampler = SimpleCutSampler(cuts_with_features(folder), max_cuts=40, shuffle=True, seed=1)
    ids = []
    for features_KNM, num_frames_K, batch in torch.utils.data.DataLoader(Batches(), sampler=sampler, batch_size=None):
        assert (num_frames_K == NUM_FRAMES).all()
        np.testing.assert_array_equal(features_KNM.numpy(), np.stack([values[clip_id] for clip_id in batch]))
        ids += batch
    assert sorted(ids) == sorted(values)


def test_a_pickle_brings_its_reader_to_another_process(data, tmp_path):
    folder, values = data
    cuts = cuts_with_features(folder)
    for number, each in enumerate((cuts, cuts.to_eager())):
        (tmp_path / f"{number}.pkl").write_bytes(pickle.dumps(each))
    code = "import pickle, sys\nfor path in sys.argv[1:]: print(next(iter(pickle.load(open(path, 'rb')))).load_features().sum())"
    paths = [str(tmp_path / f"{number}.pkl") for number in (0, 1)]
    output = subprocess.run([sys.executable, "-c", code, *paths], capture_output=True, check=True, text=True).stdout
    assert output.split() == [str(values["clip-0-0"].sum())] * 2


def test_a_saved_manifest_reads_again(data, tmp_path):
    folder, values = data
    cuts_with_features(folder).to_file(tmp_path / "saved.jsonl")
    for cut in CutSet.from_file(tmp_path / "saved.jsonl"):
        np.testing.assert_array_equal(cut.load_features(), values[cut.id])


def test_a_shard_made_anew_is_read_anew(data):
    folder, _ = data
    cut = next(iter(cuts_with_features(folder)))
    before = cut.load_features()
    write_part(folder / "logmel" / part_name(0), [cut.id], np.ones((1, NUM_FRAMES, NUM_BINS), np.float32))
    assert not np.array_equal(cut.load_features(), before)
    assert (cut.load_features() == 1).all()
    cut.load_features()[:] = 0
    assert (cut.load_features() == 1).all(), "a reader's changes are its own"


def test_int8_is_read_as_numbers(tmp_path):
    stored_KV = np.arange(2 * 6, dtype=np.int8).reshape(2, 6)
    meta = {"kind": "logmel", "num_frames": 3, "num_bins": 2}
    columns = {
        "id": ["a", "b"],
        "logmel": pa.FixedSizeListArray.from_arrays(pa.array(stored_KV.reshape(-1)), 6),
        "scale": pa.array([0.5, 2.0], pa.float32()),
        "offset": pa.array([1.0, -1.0], pa.float32()),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA_KEY: json.dumps(meta)})
    pq.write_table(table, tmp_path / "part-000000.parquet")
    expected_KNM = (stored_KV * [[0.5], [2.0]] + [[1.0], [-1.0]]).reshape(2, 3, 2)
    np.testing.assert_allclose(decoded(table, meta), expected_KNM)
    read = get_reader("audioprep_parquet")(tmp_path / "part-000000.parquet").read("b")
    np.testing.assert_allclose(read, expected_KNM[1])
    assert read.dtype == np.float32


def test_what_is_not_there_is_said(data):
    folder, _ = data
    part = folder / "logmel" / part_name(0)
    with pytest.raises(ShardError, match=r"part-000000\.parquet: expected clip nobody, found none; make the cuts anew"):
        get_reader("audioprep_parquet")(part).read("nobody")
    part.write_bytes(b"PAR1")
    with pytest.raises(ShardError, match=r"part-000000\.parquet: expected a feature shard, got Arrow"):
        get_reader("audioprep_parquet")(part).read("clip-0-0")
    with pytest.raises(
        ShardError, match=r"part-000000\.parquet: expected a file that says its rule, got Arrow.*; make it again"
    ):
        read_meta(part)
    with pytest.raises(ShardError, match=r"mfcc: expected _index\.json, found none"):
        cuts_with_features(folder, "mfcc")
    write_index(folder / "cuts", {"files": {}, "shards": []})
    with pytest.raises(ShardError, match=r"cuts: expected cuts\.000000\.jsonl, found none; run the trim stage"):
        cuts_with_features(folder)
