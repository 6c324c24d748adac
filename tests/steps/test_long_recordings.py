"""Windows over long recordings: clips of their own everywhere but in splits, where all of one recording stay together."""

import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps.clip_rows import clip, fact, tables
from steps.small_corpus import Run, tree

from audioprep.config.data import DataParams, TrimRule
from audioprep.dsp.features import feature_kernel, windowed
from audioprep.engine import file_identity, read_index, write_index
from audioprep.errors import DatasetError, ShardError
from audioprep.io.audio import decode_stored
from audioprep.io.lhotse_features import cuts_with_features
from audioprep.io.manifests import open_cuts
from audioprep.io.parquet import read_features, read_split
from audioprep.io.shar import read_audio_tar, read_cuts
from audioprep.io.tables import read_table, rows_to_table, write_table
from audioprep.io.window_cuts import window_id, windows_of
from audioprep.steps.audit import audit
from audioprep.steps.audit.report import to_markdown
from audioprep.steps.export_shards.content import open_content
from audioprep.steps.inspect import describe_clip
from audioprep.steps.prepared import prepared_lines
from audioprep.steps.repair import repair
from audioprep.steps.split import split_table
from audioprep.steps.splits.clips import join_clips
from audioprep.steps.splits.roles import make_roles
from audioprep.steps.trim import trim
from audioprep.steps.verify import verify

RATE_HZ, HOP_S, WINDOW_S = 16000, 0.1, 0.25
PARAMS = DataParams.model_validate({"resample": {"max_bad_fraction": 0.05}, "window": {"hop_s": HOP_S}})


@pytest.fixture(scope="module")
def run(corpus, tmp_path_factory):
    """Return the small corpus, half a second to a second long, in windows of a quarter of a second; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        return Run(corpus, tmp_path_factory.mktemp("windows"), PARAMS, {"window_s": WINDOW_S}).all()


def cuts_of(run):
    """Return the cuts of the used recordings by id."""
    cuts = [cut for path in sorted(run.layout.cuts.glob("*.jsonl")) for cut in read_cuts(path)]
    return {cut["id"]: cut for cut in cuts if cut["custom"]["used"]}


def test_every_window_has_the_features_of_its_part_of_the_sound(run):
    stored = read_features(run.layout.features("logmel"))
    kernel = feature_kernel("logmel", run.params.features.logmel.model_dump(mode="json"), RATE_HZ)
    sounds = dict(pair for path in sorted(run.layout.shar.glob("*.tar")) for pair in read_audio_tar(path))
    rows = iter(zip(stored.ids, stored.values_KNM, strict=True))
    num_short = 0
    for recording, cut in sorted(cuts_of(run).items(), key=lambda pair: list(sounds).index(pair[0])):
        wave_T, gain_db = decode_stored(sounds[recording]), cut["custom"]["gain_db"]
        first, last = round(cut["start"] * RATE_HZ), round((cut["start"] + cut["duration"]) * RATE_HZ)
        assert cut["custom"]["num_windows"] > 1
        for number in range(cut["custom"]["num_windows"]):
            start = first + 1600 * number
            part = {"start": start, "stop": min(start + 4000, last), "gain_db": gain_db, "pad": "zeros"}
            num_short += part["stop"] - start < 4000
            name, values_NM = next(rows)
            assert name == f"{recording}@{number:04d}"
            np.testing.assert_array_equal(values_NM, kernel(windowed(wave_T, part, 4000)).astype(np.float16))
        assert part["stop"] == last
    assert next(rows, None) is None
    assert num_short, "some last window is padded"


def test_windows_have_the_roles_the_group_and_the_labels_of_their_recording(run):
    rows = read_table(run.layout.splits / "grouped-3fold.parquet").to_pylist()
    cuts = cuts_of(run)
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert len(rows) == sum(cut["custom"]["num_windows"] for cut in cuts.values())
    columns = ("group", "labels", "fold", "fold1", "fold2", "fold3")
    for recording, cut in cuts.items():
        own = [row for row in rows if row["recording"] == recording]
        assert [row["id"] for row in own] == [window["id"] for _, window in windows_of(cut)]
        assert len({json.dumps([row[name] for name in columns]) for row in own}) == 1
        assert own[0]["labels"] == cut["supervisions"][0]["custom"]["labels"]


def test_a_split_of_recordings_does_not_depend_on_their_windows(run, prepared):
    of_windows = {row["recording"]: row["fold"] for row in read_table(split_path(run)).to_pylist()}
    assert of_windows == {row["id"]: row["fold"] for row in read_table(split_path(prepared)).to_pylist()}


def split_path(run):
    return run.layout.splits / "grouped-3fold.parquet"


def test_audit_and_card_count_recordings_and_windows(run):
    num_windows = len(read_split(split_path(run)).ids)
    found = audit(run.layout)
    assert found["num_clips"] == 21
    (note,) = (line for line in found["notes"] if line.startswith("windows"))
    assert re.fullmatch(
        rf"windows: {num_windows}, \d to \d of each clip and in its role; what is counted here are clips", note
    )
    assert note in to_markdown(found)
    summary = json.loads((run.layout.data / "card" / "summary.json").read_text())
    assert (summary["counts"]["used"], summary["counts"]["windows"]) == (21, num_windows)
    tested = [row for row in summary["split"]["roles"] if row["role"] == "test"]
    assert (sum(row["clips"] for row in tested), sum(row["windows"] for row in tested)) == (21, num_windows)
    card = (run.layout.data / "card.md").read_text()
    assert f"| windows of the used clips | {num_windows} |" in card
    assert "| role | clips | windows | groups |" in card


def test_lhotse_reads_every_window_with_its_sound_and_its_features(run):
    stored = read_features(run.layout.features("logmel"))
    with_sound, with_features = list(open_cuts(run.layout)), list(cuts_with_features(run.layout.data))
    assert [cut.id for cut in with_sound] == [cut.id for cut in with_features] == stored.ids
    for heard, cut, values_NM in zip(with_sound[:9], with_features, stored.values_KNM, strict=False):
        np.testing.assert_array_equal(cut.load_features(), values_NM)
        assert heard.load_audio().shape == (1, round(heard.duration * RATE_HZ))
        assert heard.duration <= WINDOW_S
        assert heard.supervisions[0].custom["labels"] == [heard.recording.id.split("--")[0]]


def test_an_export_holds_the_sound_and_the_features_of_every_window(run):
    content = open_content(run.layout, kind="logmel", with_audio=True, split_name=None, fold=None)
    samples = list(content.samples(content.role_of.keys()))
    stored = read_features(run.layout.features("logmel"))
    values = dict(zip(stored.ids, stored.values_KNM, strict=True))
    kernel = feature_kernel("logmel", content.meta["rule"], RATE_HZ)
    assert {sample.id for sample in samples} == set(values)
    assert all(sample.about()["recording"] == sample.id.split("@")[0] for sample in samples)
    for sample in samples[:9]:
        np.testing.assert_array_equal(sample.features_NM, values[sample.id])
        made_NM = kernel(decode_stored(sample.flac))
        assert np.abs(made_NM - sample.features_NM)[sample.features_NM > -60].max() < 0.2, "16 bits"


def test_windows_are_what_is_said_to_be_prepared(run):
    num_windows = len(read_split(split_path(run)).ids)
    first, *rest = prepared_lines(run.layout, "grouped-3fold", ["logmel"])
    assert first.startswith(f"small: {num_windows} windows of 0.25 s in 4 shards, from ")
    assert not [line for line in rest if "cut to it" in line]


def test_a_recording_and_each_of_its_windows_can_be_looked_at(run, tmp_path):
    def lines(name):
        return list(describe_clip([run.layout], name, tmp_path / "picture.png"))

    (whole,) = (line for line in lines("rain--1") if "used part" in line)
    cut = cuts_of(run)["rain--1"]
    assert whole.split("part")[1].split() == ["0", "s", "to", f"{cut['duration']:g}", "s"]
    (second,) = (line for line in lines("rain--1@0001") if "used part" in line)
    assert second.split("part")[1].split() == ["0.1", "s", "to", "0.35", "s"]
    with pytest.raises(DatasetError, match=r"clip: expected one of .*, got 'rain--1@0099'"):
        lines("rain--1@0099")


def test_damaged_cuts_come_back_with_their_windows(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = shutil.copytree(run.out, tmp_path / "out", ignore=shutil.ignore_patterns(".audioprep"))
    (out / "cuts" / "cuts.000000.jsonl").write_text("damaged")
    list(repair(verify(out / "cuts"), None))
    assert tree(out / "cuts") == tree(run.layout.cuts)


@pytest.fixture
def again(prepared, tmp_path):
    """Return a copy of the corpus without windows that may be changed."""
    return Run(prepared.root, shutil.copytree(prepared.out, tmp_path / "copy"))


def test_recordings_of_one_window_are_as_without_windows(again):
    def files(hop_s=None):
        trim(again.layout, TrimRule(), 1.0, hop_s=hop_s)
        return {name: sha256 for name, sha256 in tree(again.layout.cuts).items() if name != "_index.json"}

    assert files(HOP_S) == files()


def test_a_recording_whose_name_is_that_of_a_window_is_refused(again):
    layout = again.layout
    tables = [layout.audio / "facts.parquet", layout.audio / "status.parquet"]
    for path in (*tables, layout.loudness / "gains.parquet", layout.raw / "clips.parquet"):
        table = read_table(path)
        rows = [{**row, "id": row["id"].replace("rain--3", "rain--2@0001")} for row in table.to_pylist()]
        write_table(path, rows_to_table(rows, table.schema))
    index = read_index(layout.audio)
    write_index(layout.audio, {**index, "files": {name: file_identity(layout.audio / name) for name in index["files"]}})
    trim(layout, TrimRule(), WINDOW_S)
    message = r"expected recordings whose names do not end as those of windows do, got rain--2@0001 \(1 such\); rename"
    with pytest.raises(ShardError, match=message):
        trim(layout, TrimRule(), WINDOW_S, hop_s=HOP_S)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(0, 4)), min_size=6, max_size=20),
    st.integers(0, 3),
    st.randoms(use_true_random=False),
)
def test_no_window_leaves_its_recording_in_any_split(recordings, seed, random):
    # The first six are a group each: enough for every part and class.
    groups = [*range(6), *(group for _, group in recordings[6:])]
    rows = [clip(f"r{number}", "ab"[number % 2], f"g{group}") for number, group in enumerate(groups)]
    counts = [count for count, _ in recordings]
    declared, used, status, facts = tables(rows, [fact(row["id"]) for row in rows])
    order = list(range(len(rows)))
    random.shuffle(order)
    windows = join_clips("birds", declared.take(order), used.append_column("num_windows", [counts]), status, facts)
    whole = join_clips("birds", declared, used, status, facts)

    def split_of(clips):
        return split_table("birds", clips, make_roles(clips, "grouped", seed, {}, [])).to_pylist()

    expected, found = {row["id"]: row for row in split_of(whole)}, split_of(windows)
    assert len({row["id"] for row in found}) == len(found) == sum(counts)
    for row in found:
        assert {**expected[row["recording"]], "id": row["id"], "recording": row["recording"]} == row


def test_ids_of_windows_sort_in_their_order():
    ids = [window_id("a", number) for number in range(200)]
    assert sorted(ids) == ids
    assert ids[:2] == ["a@0000", "a@0001"]
