"""The whole data path on a small folder corpus: statuses, facts, decisions, features, and who can read them."""

import csv
import json
import math

import duckdb
import numpy as np
import pandas as pd
import pyarrow.dataset as pads
import pytest
from steps.small_corpus import CLASSES, KINDS, TROUBLE, Run, tree

from audioprep.dsp.features import feature_kernel
from audioprep.engine import file_sha256, read_index
from audioprep.errors import DatasetError, ShardError
from audioprep.io.parquet import read_features, read_stats
from audioprep.io.shar import read_cuts
from audioprep.io.tables import FILES, read_table, rows_to_table, write_table
from audioprep.steps import features as features_step
from audioprep.steps import resample as resample_step

USED = 21  # of 24: not the silent one, not the duplicate, not the truncated one


def _rows(path):
    return {row["id"]: row for row in read_table(path).to_pylist()}


def test_every_file_has_its_status(prepared):
    statuses = _rows(prepared.layout.audio / "status.parquet")
    assert len(statuses) == 24
    found = {name: (row["status"], row["reason"]) for name, row in statuses.items() if row["status"] != "ok"}
    assert found == TROUBLE
    assert statuses["bell--2"]["member"] == "bell/2.flac"


def test_facts_are_finite_and_true(prepared, corpus):
    facts = _rows(prepared.layout.audio / "facts.parquet")
    assert len(facts) == 23
    stereo = facts["rain--3"]
    assert (stereo["source_rate_hz"], stereo["source_channels"], stereo["container"]) == (44100, 2, "WAV/FLOAT")
    for row in facts.values():
        assert row["num_samples"] == math.ceil(row["source_frames"] * 16000 / row["source_rate_hz"])
        assert row["duration_s"] == row["num_samples"] / 16000
        assert len(row["envelope_db"]) == math.ceil(row["num_samples"] / 320)
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
        assert row["peak_db"] is None or row["rms_db"] <= row["peak_db"] <= row["true_peak_db"] + 1e-3
    silent = facts["bell--7"]
    assert {silent[name] for name in ("loudness_lufs", "true_peak_db", "peak_db", "rms_db")} == {None}
    assert facts["engine--7"]["pcm_sha256"] == facts["engine--0"]["pcm_sha256"]


def test_gains_are_finite_and_bring_every_recording_to_the_target(prepared):
    facts, gains = (_rows(prepared.layout.data / name) for name in ("audio/facts.parquet", "loudness/gains.parquet"))
    assert gains.keys() == facts.keys()
    assert gains["bell--7"]["reason"] == "silent"
    for name, row in gains.items():
        assert math.isfinite(row["gain_db"])
        if row["reason"] == "lufs":
            assert facts[name]["loudness_lufs"] + row["gain_db"] == pytest.approx(-23, abs=1e-3)
        if facts[name]["true_peak_db"] is not None:
            assert facts[name]["true_peak_db"] + row["gain_db"] <= -1 + 1e-3


def test_lhotse_reads_recordings_and_cuts(prepared):
    lhotse = pytest.importorskip("lhotse")
    layout = prepared.layout
    stored = list(lhotse.CutSet.from_shar(in_dir=str(layout.shar)))
    facts = _rows(layout.audio / "facts.parquet")
    assert {cut.id: cut.num_samples for cut in stored} == {name: row["num_samples"] for name, row in facts.items()}
    fields = {
        "cuts": sorted(map(str, layout.cuts.glob("cuts.*.jsonl"))),
        "recording": sorted(map(str, layout.shar.glob("recording.*.tar"))),
    }
    decided = list(lhotse.CutSet.from_shar(fields=fields))
    assert len(decided) == 23
    assert sum(cut.custom["used"] for cut in decided) == USED
    for cut in decided:
        assert cut.load_audio().shape == (1, cut.num_samples)
        assert cut.duration <= 0.8
        assert cut.supervisions[0].custom["labels"] == [cut.id.split("--")[0]]
        assert set(cut.custom) >= {"group", "splits", "attributes", "status", "gain_db", "pad", "window_s", "used"}


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_read_without_this_package(prepared, kind, tmp_path):
    folder, num_values = prepared.layout.features(kind), 81 * {"logmel": 64, "mfcc": 13}[kind]
    frame = pd.read_parquet(folder)
    assert list(frame.columns) == ["id", "num_frames", kind]
    assert (len(frame), len(frame[kind].iloc[0])) == (USED, num_values)
    assert pads.dataset(folder).to_table().num_rows == USED
    count = duckdb.sql(f"select count(*), min(num_frames), min(len({kind})) from '{folder}/part-*.parquet'").fetchall()
    assert count == [(USED, 81, num_values)]
    hf = pytest.importorskip("datasets")
    loaded = hf.load_dataset("parquet", data_files=f"{folder}/part-*.parquet", cache_dir=str(tmp_path), split="train")
    assert (loaded.num_rows, len(loaded[0][kind])) == (USED, num_values)


def _windows(prepared):
    """Yield id and windowed wave of every used clip, made by hand from what lhotse reads."""
    lhotse = pytest.importorskip("lhotse")
    fields = {
        "cuts": sorted(map(str, prepared.layout.cuts.glob("cuts.*.jsonl"))),
        "recording": sorted(map(str, prepared.layout.shar.glob("recording.*.tar"))),
    }
    for cut in lhotse.CutSet.from_shar(fields=fields):
        if cut.custom["used"]:
            wave_T = cut.load_audio()[0] * 10 ** (cut.custom["gain_db"] / 20)
            yield cut.id, np.pad(wave_T, (0, 12800 - len(wave_T))).astype(np.float32)


def test_features_equal_torchaudio(prepared):
    torch, torchaudio = pytest.importorskip("torch"), pytest.importorskip("torchaudio")
    rules = prepared.params.features
    stored = {kind: read_features(prepared.layout.features(kind)) for kind in KINDS}
    common = {"n_fft": 1024, "win_length": 400, "hop_length": 160, "n_mels": 64}
    mel = torchaudio.transforms.MelSpectrogram(16000, f_min=50.0, mel_scale="slaney", norm="slaney", **common)
    to_db = torchaudio.transforms.AmplitudeToDB("power")
    mfcc = torchaudio.transforms.MFCC(16000, 13, melkwargs=common)
    kernels = {kind: feature_kernel(kind, getattr(rules, kind).model_dump(mode="json"), 16000) for kind in KINDS}
    for name, wave_T in _windows(prepared):
        wave = torch.from_numpy(wave_T)
        for kind, witness in (("logmel", to_db(mel(wave))), ("mfcc", mfcc(wave))):
            ours, theirs = kernels[kind](wave_T), witness.numpy().T
            # More than 60 dB below the loudest band of a frame, both are as far from the truth: float32 ends there.
            is_heard = theirs > theirs.max(axis=1, keepdims=True) - 60
            np.testing.assert_allclose(ours[is_heard], theirs[is_heard], atol=1e-3)
            np.testing.assert_allclose(ours, theirs, atol=0.05)
            row = stored[kind].values_KNM[stored[kind].ids.index(name)]
            np.testing.assert_array_equal(row, ours.astype(np.float16))


def test_statistics_are_those_of_the_stored_features(prepared):
    folder = prepared.layout.features("logmel")
    stats, found = read_stats(folder), read_features(folder)
    assert stats.ids == found.ids
    np.testing.assert_allclose(stats.sum_KM, found.values_KNM.astype(np.float64).sum(axis=1))


def test_the_split_covers_every_used_clip_and_keeps_groups_whole(prepared):
    table = read_table(prepared.layout.splits / "grouped-3fold.parquet")
    assert table.num_rows == USED
    meta = json.loads(table.schema.metadata[b"audioprep"])
    assert (meta["dataset"], meta["split"], meta["labels"]) == ("small", "grouped-3fold", list(CLASSES))
    roles = [table[f"fold{fold}"].to_pylist() for fold in (1, 2, 3)]
    assert all(sorted(row) == ["test", "train", "valid"] for row in zip(*roles, strict=True))
    audit = json.loads((prepared.layout.splits / "audit.json").read_text())
    found = {(one["kind"], one["scope"]): one["ids"] for one in audit["findings"]}
    assert found["identical_file", "left_out"] == ["engine--0", "engine--7"]
    assert found["silent_clips", "left_out"] == ["bell--7"]
    assert found["missing_clips", "inside"] == ["rain--7"]
    page = (prepared.layout.splits / "audit.md").read_text()
    assert "21 clips, 21 groups, 3 classes." in page
    assert "- **info, left out**: identical file, sha256 " in page


@pytest.mark.parametrize("folder", ["audio", "cuts", "logmel", "mfcc"])
def test_the_index_names_every_file_with_its_hash(prepared, folder):
    index, found = read_index(prepared.layout.data / folder), tree(prepared.layout.data / folder)
    listed = {name: facts["sha256"] for entry in index["shards"] for name, facts in entry["files"].items()}
    listed |= {name: facts["sha256"] for name, facts in index.get("files", {}).items()}
    del found["_index.json"]
    assert listed == found


def test_nothing_of_this_machine_is_in_any_file(prepared, corpus):
    for path in prepared.layout.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert str(corpus).encode() not in data, path
            assert str(prepared.out).encode() not in data, path


@pytest.mark.parametrize("workers", ["1", "2"])
def test_two_runs_in_two_folders_are_the_same_bytes(prepared, corpus, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("AUDIOPREP_WORKERS", workers)
    Run(corpus, tmp_path / "elsewhere").all()
    assert tree(tmp_path / "elsewhere") == tree(prepared.out)


@pytest.fixture
def made(monkeypatch):
    """Count the shards that are made, by step."""
    counts = {"audio": 0, "features": 0}

    def counting(name, module, function):
        real = getattr(module, function)

        def call(arguments, out):
            counts[name] += 1
            return real(arguments, out)

        monkeypatch.setattr(module, function, call)

    counting("audio", resample_step, "make_audio_shard")
    counting("features", features_step, "make_feature_shard")
    return counts


def test_a_second_run_makes_nothing_and_a_new_target_decodes_nothing(corpus, tmp_path, made):
    run = Run(corpus, tmp_path).all()
    before, first = tree(tmp_path), dict(made)
    assert first == {"audio": 4, "features": 4}, "both kinds in one pass"
    run.all()
    assert (tree(tmp_path), made) == (before, first)
    run.params = run.params.model_validate({**run.params.model_dump(), "loudness": {"target_lufs": -30}})
    run.all()
    assert made == {"audio": 4, "features": 8}


def test_a_changed_mfcc_rule_leaves_logmel_alone(corpus, tmp_path, made):
    run = Run(corpus, tmp_path).all()
    before = tree(run.layout.features("logmel"))
    run.params = run.params.model_validate(
        {**run.params.model_dump(), "features": {"mfcc": {"n_mfcc": 20, "deltas": 2}}}
    )
    run.all()
    assert tree(run.layout.features("logmel")) == before
    assert made == {"audio": 4, "features": 8}
    assert read_features(run.layout.features("mfcc")).values_KNM.shape == (USED, 81, 60)


def test_relabelling_changes_no_feature_shard(corpus, tmp_path, made):
    root = tmp_path / "corpus"
    members = sorted(path for path in corpus.rglob("*") if path.is_file())
    for path in members:
        (root / path.relative_to(corpus)).parent.mkdir(parents=True, exist_ok=True)
        (root / path.relative_to(corpus)).write_bytes(path.read_bytes())

    def label(relabelled):
        with (root / "metadata.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file_name", "label"))
            for path in members:
                name = path.relative_to(corpus).as_posix()
                writer.writerow((name, "other" if name == relabelled else path.parent.name))

    label("")
    run = Run(root, tmp_path / "out").all()
    features, tars = tree(run.layout.features("logmel")), tree(run.layout.audio)
    made["features"] = 0
    label("rain/3.wav")
    run.all()
    assert tree(run.layout.features("logmel")) == features
    assert made["features"] == 0
    changed = {name for name, digest in tree(run.layout.audio).items() if tars[name] != digest}
    assert not changed, "labels are no business of the audio"


def test_32_khz(corpus, tmp_path):
    run = Run(corpus, tmp_path)
    run.params = run.params.model_validate(
        {**run.params.model_dump(), "resample": {"rate_hz": 32000, "max_bad_fraction": 0.1}}
    )
    run.all()
    assert read_features(run.layout.features("logmel")).values_KNM.shape == (USED, 81, 64)
    assert read_index(run.layout.audio)["rule"] == {"rate_hz": 32000, "format": "flac"}


def test_parts_of_files_become_clips_of_one_group(corpus, tmp_path):
    rows = [
        "file_name,label,start,end",
        "bell/0.wav,a,0,0.2",
        "bell/0.wav,b,0.2,0.4",
        "rain/0.wav,a,,0.3",
        "rain/1.wav,b,9,",
    ]
    root = tmp_path / "corpus"
    for name in ("bell/0.wav", "rain/0.wav", "rain/1.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((corpus / name).read_bytes())
    (root / "metadata.csv").write_text("\n".join(rows))
    run = Run(root, tmp_path / "out", rule={"window_s": 0.2})
    run.params = run.params.model_validate({**run.params.model_dump(), "resample": {"max_bad_fraction": 0.3}})
    run.download()
    clips = _rows(run.layout.raw / "clips.parquet")
    assert {name: row["group"] for name, row in clips.items()} == {
        "bell--0-1": "bell/0.wav",
        "bell--0-2": "bell/0.wav",
        "rain--0": "rain/0.wav",
        "rain--1": "rain/1.wav",
    }
    run.resample()
    facts = _rows(run.layout.audio / "facts.parquet")
    assert {name: row["num_samples"] for name, row in facts.items()} == {
        "bell--0-1": 3200,
        "bell--0-2": 3200,
        "rain--0": 4800,
    }
    assert _rows(run.layout.audio / "status.parquet")["rain--1"]["status"] == "out_of_range"


def test_too_many_bad_files_fail_the_stage_with_a_list(corpus, tmp_path):
    run = Run(corpus, tmp_path)
    run.params = run.params.model_validate({"resample": {"max_bad_fraction": 0.02}})
    run.download()
    message = (
        r"^small: expected at most 0\.02 of 24 files unusable: 1 failed: rain/7\.wav \(truncated: the header declares 16000 "
        r"bytes of samples more than there are\); the full list is in .+unusable\.csv; mend the files, or raise "
        r"resample\.max_bad_fraction$"
    )
    with pytest.raises(DatasetError, match=message):
        run.resample()
    assert not run.layout.audio.exists(), "nothing half-written"
    with (run.layout.work / "unusable.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["rain--7"]


def test_no_clip_to_use_is_said(corpus, tmp_path):
    root = tmp_path / "corpus"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        (root / label / "1.wav").write_bytes((corpus / "bell" / "7.wav").read_bytes())
    run = Run(root, tmp_path / "out")
    run.download()
    run.resample()
    run.decide()
    with pytest.raises(ShardError, match=r"cuts: expected clips to use, found none; see .+status\.parquet$"):
        run.features()


def test_cuts_that_are_damaged_make_no_features(corpus, tmp_path):
    run = Run(corpus, tmp_path)
    run.download()
    run.resample()
    run.decide()
    path = min(run.layout.cuts.glob("*.jsonl"))
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([first.replace(json.loads(first)["id"], "lost--1"), *rest]) + "\n")
    assert read_cuts(path)[0]["id"] == "lost--1"
    message = (
        r"cuts\.000000\.jsonl: expected sha256 \w{16}, which its index lists, got \w{64}; make it anew: "
        r"audioprep verify \S+/cuts --repair$"
    )
    with pytest.raises(ShardError, match=message):
        run.features()
    assert not run.layout.features("logmel").exists()


@pytest.mark.parametrize("stage", ["resample", "decide", "features", "split"])
def test_a_stage_without_its_input_is_one_line(tmp_path, corpus, stage):
    with pytest.raises(ShardError, match=r"^.+: expected .+; run .*stage"):
        getattr(Run(corpus, tmp_path), stage)()


def changed_listing(run, clip_id, **changes):
    """Change what the download stage has listed of one clip."""
    path = run.layout.raw / "files.parquet"
    rows = [row | changes if row["id"] == clip_id else row for row in read_table(path).to_pylist()]
    write_table(path, rows_to_table(rows, FILES))


def test_a_file_without_its_published_hash_is_no_clip(corpus, tmp_path):
    run = Run(corpus, tmp_path)
    run.params = run.params.model_validate({"resample": {"max_bad_fraction": 0.1}})
    run.download()
    changed_listing(run, "bell--1", sha256="0" * 64)
    changed_listing(run, "bell--2", sha256=file_sha256(corpus / "bell" / "2.flac"))
    run.resample()
    statuses = _rows(run.layout.audio / "status.parquet")
    assert statuses["bell--1"]["status"] == "wrong_hash"
    assert statuses["bell--1"]["reason"] == f"sha256 {file_sha256(corpus / 'bell' / '1.wav')}, published is {'0' * 64}"
    assert statuses["bell--2"]["status"] == "ok"


def test_what_nobody_can_get_any_more_is_coverage_and_no_failure(corpus, tmp_path, capsys):
    run = Run(corpus, tmp_path)
    run.download()
    for number in range(6):
        changed_listing(run, f"bell--{number}", digest=None)
    with pytest.raises(
        DatasetError, match=r"expected at most 0\.05 of 24 files unusable: 7 failed: bell/0\.wav \(missing: "
    ):
        run.resample()
    ledger = json.loads((run.layout.raw / "download.json").read_text())
    (run.layout.raw / "download.json").write_text(json.dumps(ledger | {"is_partial": True}))
    run.resample()
    assert "small: 18 of 24 requested clips were obtained, 75.0%\n" in capsys.readouterr().out
    assert _rows(run.layout.audio / "status.parquet")["bell--0"]["status"] == "missing"
