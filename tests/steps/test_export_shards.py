"""What is exported comes back equal through the libraries that it is for, and has the same bytes each time."""

import io
import json
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from steps.small_corpus import Run, tree

from audioprep.errors import DatasetError, ShardError, SplitError
from audioprep.io.audio import decode_stored
from audioprep.io.parquet import read_features, read_split
from audioprep.steps import export_shards as step
from audioprep.steps.export_shards import FORMATS, check_target, contents_wanted, export_shards
from audioprep.steps.export_shards import content as content_module
from audioprep.steps.export_shards.content import open_content
from audioprep.steps.export_shards.webdataset import sample_key

WINDOW_SAMPLES = 12800


@pytest.fixture(scope="module")
def features(prepared):
    """Return the stored features by id."""
    found = read_features(prepared.layout.features("logmel"))
    return dict(zip(found.ids, found.values_KNM, strict=True))


@pytest.fixture(scope="module")
def split(prepared):
    return read_split(prepared.layout.splits / "grouped-3fold.parquet")


def roles_of(split, fold=1):
    return dict(zip(split.ids, split.roles[fold], strict=True))


def labels_of(split):
    return {clip_id: labels[0] for clip_id, labels in zip(split.ids, split.labels, strict=True)}


@pytest.fixture(scope="module")
def exported(prepared, tmp_path_factory):
    """Return the folder of each format, with features and sound."""
    folders = {}
    for target in FORMATS:
        folders[target] = tmp_path_factory.mktemp("exported") / target
        export_shards(everything(prepared.layout), target, folders[target])
    return folders


def names_in(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


def everything(layout, fold=None):
    return open_content(layout, kind="logmel", with_audio=True, split_name=None, fold=fold)


def test_webdataset(exported, features, split):
    import webdataset

    seen = {}
    classes = json.loads((exported["webdataset"] / "dataset.json").read_text())["classes"]
    for role in ("train", "valid", "test"):
        path = exported["webdataset"] / f"{role}-000000.tar"
        for sample in webdataset.WebDataset(str(path), shardshuffle=False).decode():
            about = sample["json"]
            seen[about["id"]] = role
            np.testing.assert_array_equal(sample["npy"], features[about["id"]])
            assert classes[sample["cls"]] == labels_of(split)[about["id"]] == about["labels"][0]
            wave_T, rate_hz = soundfile.read(io.BytesIO(sample["flac"]))
            assert (len(wave_T), rate_hz) == (WINDOW_SAMPLES, 16000)
            assert about.keys() >= {"group", "attributes", "gain_db", "part_of_recording", "targets"}
    assert seen == roles_of(split)


def test_hugging_face(exported, features, split, tmp_path):
    import datasets

    found = datasets.load_dataset(str(exported["hf"]), cache_dir=str(tmp_path))
    assert set(found) == {"train", "validation", "test"}
    label = found["train"].features["label"]
    assert label.names == split.classes
    assert isinstance(found["train"].features["audio"], datasets.Audio)
    seen = {}
    for name, rows in found.items():
        for row in rows.cast_column("audio", datasets.Audio(decode=False)).with_format("numpy"):
            seen[str(row["id"])] = "valid" if name == "validation" else name
            np.testing.assert_array_equal(row["logmel"], features[row["id"]])
            assert label.int2str(int(row["label"])) == labels_of(split)[row["id"]]
            assert len(decode_stored(row["audio"]["bytes"])) == WINDOW_SAMPLES
    assert seen == roles_of(split)


def test_hugging_face_files_alone_know_their_columns(exported, tmp_path):
    import datasets

    files = str(exported["hf"] / "data" / "train-*.parquet")
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert rows.features["label"].names == ["bell", "engine", "rain"]


def test_lhotse_shar(exported, features, split):
    from lhotse import CutSet
    from lhotse.qa import validate

    seen = {}
    for role in ("train", "valid", "test"):
        for cut in CutSet.from_shar(in_dir=exported["lhotse-shar"] / role):
            seen[cut.id] = role
            validate(cut, read_data=True)
            np.testing.assert_array_equal(cut.features.load(), features[cut.id])
            np.testing.assert_array_equal(cut.load_features(), features[cut.id][:-1])
            assert cut.load_audio().shape == (1, WINDOW_SAMPLES)
            assert cut.supervisions[0].custom["labels"] == [labels_of(split)[cut.id]]
            assert np.isfinite(cut.custom["gain_db"])
    assert seen == roles_of(split)


@pytest.mark.parametrize("with_audio", [False, True])
def test_lhotse_shar_with_one_of_the_two(prepared, features, tmp_path, with_audio):
    from lhotse import CutSet
    from lhotse.qa import validate

    kind = None if with_audio else "logmel"
    content = open_content(prepared.layout, kind=kind, with_audio=with_audio, split_name=None, fold=None)
    export_shards(content, "lhotse-shar", tmp_path / "out")
    for cut in CutSet.from_shar(in_dir=tmp_path / "out" / "test"):
        validate(cut, read_data=True)
        assert cut.has_recording == with_audio
        if not with_audio:
            np.testing.assert_array_equal(cut.load_features(), features[cut.id])


def test_numpy(exported, features, split):
    out = exported["numpy"]
    ids = (out / "ids.txt").read_text().split()
    values_KNM, audio_KT = (np.load(out / f"{name}.npy", mmap_mode="r") for name in ("features", "audio"))
    np.testing.assert_array_equal(values_KNM, np.stack([features[clip_id] for clip_id in ids]))
    assert audio_KT.shape == (len(ids), WINDOW_SAMPLES)
    assert audio_KT.dtype == np.int16
    classes = json.loads((out / "dataset.json").read_text())["classes"]
    assert [classes[target] for target in np.load(out / "targets.npy")] == [
        labels_of(split)[clip_id] for clip_id in ids
    ]
    for fold in (1, 2, 3):
        rows = {role: np.load(out / f"fold{fold}" / f"{role}.npy") for role in ("train", "valid", "test")}
        assert {ids[row]: role for role, many in rows.items() for row in many} == roles_of(split, fold)
        train_KNM = values_KNM[rows["train"]].astype(np.float64)
        np.testing.assert_allclose(np.load(out / f"fold{fold}" / "mean.npy"), train_KNM.mean((0, 1)), rtol=1e-5)
        np.testing.assert_allclose(np.load(out / f"fold{fold}" / "std.npy"), train_KNM.std((0, 1)), rtol=1e-4)


def test_the_sound_is_what_the_features_are_made_of(exported, prepared, features):
    from audioprep.dsp.features import feature_kernel

    kernel = feature_kernel("logmel", prepared.params.features.logmel.model_dump(mode="json"), 16000)
    ids = (exported["numpy"] / "ids.txt").read_text().split()
    for clip_id, wave_T in zip(ids, np.load(exported["numpy"] / "audio.npy"), strict=True):
        ours_NM = kernel(wave_T.astype(np.float32) / 32768)
        loud = features[clip_id] > -60  # below it 16 bits are too few
        assert np.abs(ours_NM - features[clip_id])[loud].max(initial=0) < 0.5


@pytest.mark.parametrize("target", FORMATS)
def test_the_same_bytes_each_time(exported, prepared, tmp_path, target):
    export_shards(everything(prepared.layout), target, tmp_path / "again")
    assert tree(tmp_path / "again") == tree(exported[target])
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


@pytest.mark.parametrize("target", FORMATS)
def test_many_files(prepared, features, tmp_path, monkeypatch, target):
    monkeypatch.setattr(content_module, "MAX_SHARD_BYTES", 80_000)
    content = open_content(prepared.layout, kind="logmel", with_audio=False, split_name=None, fold=2)
    assert content.num_shards("train") > 1
    export_shards(content, target, tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").rglob("*train*") if path.is_file())
    if target == "webdataset":
        counts = [len(names_in(tmp_path / "out" / name)) // 3 for name in files]
        assert sum(counts) == content.counts["train"]
        assert max(counts) - min(counts) <= 1
        assert f"train-{{000000..{len(files) - 1:06d}}}.tar" in (tmp_path / "out" / "README.md").read_text()
    elif target == "hf":
        import datasets

        assert files[-1] == f"train-{len(files) - 1:05d}-of-{len(files):05d}.parquet"
        found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
        assert found["train"].num_rows == content.counts["train"]
    elif target == "lhotse-shar":
        from lhotse import CutSet

        cuts = CutSet.from_shar(in_dir=tmp_path / "out" / "train")
        assert sum(np.array_equal(cut.load_features(), features[cut.id]) for cut in cuts) == content.counts["train"]


@pytest.fixture(scope="module")
def many_labels(tmp_path_factory):
    """Return a prepared corpus whose clips have one, two or no labels."""
    root = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    rows = ["file_name,labels,split"]
    for number in range(9):
        soundfile.write(root / f"{number}.wav", rng.uniform(-0.5, 0.5, 8000), 16000)
        rows.append(f"{number}.wav,{('a', 'a;b', 'b')[number % 3]},{('train', 'valid', 'test')[number // 3]}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")
    rule = {"window_s": 0.5, "split": "official", "num_shards": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        run = Run(root, tmp_path_factory.mktemp("many-out"), rule=rule)
        run.download()
        run.resample()
        run.decide()
        run.features()
        run.split()
    return run.layout


@pytest.mark.parametrize("target", FORMATS)
def test_several_labels(many_labels, tmp_path, target):
    content = open_content(many_labels, kind="logmel", with_audio=False, split_name="official", fold=1)
    assert content.is_multi_label
    out = tmp_path / "out"
    export_shards(content, target, out)
    if target == "numpy":
        assert np.load(out / "targets.npy").sum(axis=1).tolist() == [1, 2, 1] * 3
    elif target == "webdataset":
        assert not [name for name in names_in(out / "train-000000.tar") if name.endswith(".cls")]
    elif target == "hf":
        import datasets

        rows = datasets.load_dataset(str(out), split="test", cache_dir=str(tmp_path / "cache")).sort("id")
        assert rows["labels"][:] == [[0], [0, 1], [1]]
        assert rows.features["labels"].feature.names == ["a", "b"]


@pytest.mark.parametrize("is_here", [True, False])
@pytest.mark.parametrize("target", FORMATS)
def test_the_lines_of_the_readme_work_there_and_elsewhere(exported, tmp_path, monkeypatch, target, is_here):
    readme = (exported[target] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.+?)```", readme, re.DOTALL)
    if not is_here:
        code = code.replace('folder = "."', f"folder = {str(exported[target])!r}")
    monkeypatch.chdir(exported[target] if is_here else tmp_path)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    found = {}
    exec(code, found)
    num_frames = json.loads((exported[target] / "dataset.json").read_text())["features"]["num_frames"]
    assert f"{num_frames} frames (1 + {WINDOW_SAMPLES} // 160, centred every 10 ms)" in readme
    if target == "numpy":
        assert (len(found["y"]), found["x"].shape[1], found["x"].dtype) == (len(found["x"]), num_frames, np.float32)
        assert (found["audio"].dtype, found["audio"].shape[1]) == (np.float32, WINDOW_SAMPLES)
    elif target == "hf":
        assert found["dataset"]["train"][0]["logmel"].shape[0] == num_frames
    elif target == "lhotse-shar":
        assert (found["features"].shape[0], found["samples"].shape[1]) == (num_frames, WINDOW_SAMPLES)
    else:
        assert next(iter(found["samples"]))[0].shape[0] == num_frames


def test_what_is_not_in_an_export_is_not_described(prepared, tmp_path):
    content = open_content(prepared.layout, kind=None, with_audio=True, split_name=None, fold=None)
    export_shards(content, "numpy", tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text()
    assert "features" not in readme.lower()
    assert "deviation" not in readme


def test_labels_with_control_characters_are_read_back(tmp_path, prepared):
    import datasets

    names = ["a\x01", "b\x7f", "c\x85\u2028\ufeff", "d\uffff", 'e"\n\t', "f😀é"]
    content = ask(prepared.layout)
    content = replace(content, split=content.split._replace(classes=names))
    content.__dict__["_class_number"] = {name: number for number, name in enumerate(("bell", "engine", "rain"))}
    export_shards(content, "hf", tmp_path / "out")
    found = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].names == names


def test_the_current_folder_is_not_replaced_below_the_user(tmp_path, prepared, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for out in (Path(), tmp_path / "empty"):
        with pytest.raises(
            DatasetError, match=r": expected a folder that is made anew, got the current one; name another"
        ):
            check_target("numpy", out)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    monkeypatch.chdir(tmp_path)
    export_shards(ask(prepared.layout), "numpy", tmp_path / "link")
    assert (tmp_path / "empty" / "README.md").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "link"]


def test_keys_are_what_webdataset_does_not_divide():
    assert sample_key("bell-00_b") == "bell-00_b"
    assert sample_key("a.b/c").startswith("a_b_c-")
    assert sample_key("a.b") != sample_key("a/b")


def test_what_is_wanted_where_nothing_is_said():
    assert contents_wanted("hf", None, with_audio=False) == ("logmel", False)
    assert contents_wanted("lhotse-shar", None, with_audio=False) == ("logmel", True)
    assert contents_wanted("lhotse-shar", "mfcc", with_audio=False) == ("mfcc", False)
    assert contents_wanted("numpy", None, with_audio=True) == (None, True)


@pytest.fixture
def out(prepared, tmp_path):
    """Return the layout of a copy of the prepared corpus that may be damaged."""
    return Run(prepared.root, shutil.copytree(prepared.out, tmp_path / "copy")).layout


def ask(layout, **changes):
    return open_content(layout, **{"kind": "logmel", "with_audio": False, "split_name": None, "fold": None, **changes})


def test_what_does_not_exist_is_refused(prepared, out, tmp_path):
    with pytest.raises(DatasetError, match=r"--to: expected one of hf, lhotse-shar, .*, got 'webdata'; did you mean"):
        export_shards(ask(out), "webdata", tmp_path / "out")
    with pytest.raises(
        DatasetError, match=r"small: feature kind: expected one of logmel, mfcc, got 'logmell'; did you"
    ):
        ask(out, kind="logmell")
    with pytest.raises(SplitError, match=r"small: prepared split: expected one of grouped-3fold, got 'grouped'"):
        ask(out, split_name="grouped")
    with pytest.raises(SplitError, match=r"grouped-3fold: fold: expected one of 1, 2, 3, got '4'"):
        ask(out, fold=4)
    for path in out.splits.glob("grouped*"):
        path.unlink()
    with pytest.raises(ShardError, match=r"splits: expected a split, found none; run the split stage"):
        ask(out)


def test_a_folder_that_holds_something_is_left_alone(out, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(DatasetError, match=r"out: expected a new or an empty folder, got one that holds something"):
        export_shards(ask(out), "numpy", tmp_path / "out")
    assert (tmp_path / "out" / "mine").exists()
    (tmp_path / "out" / "mine").unlink()
    export_shards(ask(out), "numpy", tmp_path / "out")


def test_features_that_are_not_there(out):
    shutil.rmtree(out.features("logmel"))
    shutil.rmtree(out.features("mfcc"))
    with pytest.raises(ShardError, match=r"logmel: expected features, found none; run the features stage"):
        ask(out)


def test_what_cannot_be_read_leaves_nothing_behind(out, tmp_path):
    content = ask(out)
    content_without = ask(out, with_audio=True)
    (out.features("logmel") / "part-000001.parquet").write_bytes(b"PAR1")
    for each in (content, content_without):
        with pytest.raises(ShardError, match=r"part-000001\.parquet: expected sha256 \w{16}, which its index lists"):
            export_shards(each, "webdataset", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_shards_that_disagree(out, tmp_path, monkeypatch):
    lacks = ask(out)
    first = lacks.layout.features("logmel") / "part-000000.parquet"
    shutil.copyfile(lacks.layout.features("logmel") / "part-000001.parquet", first)
    with pytest.raises(ShardError, match=r"part-000000\.parquet: expected sha256 \w{16}, which its index lists"):
        export_shards(lacks, "numpy", tmp_path / "out")
    monkeypatch.setattr(step.content, "check_file", lambda folder, name, _: folder / name)
    with pytest.raises(
        ShardError, match=r"expected clip \S+ of the cuts in every shard, found none in one; `audioprep verify"
    ):
        export_shards(lacks, "numpy", tmp_path / "out")
    monkeypatch.setattr(step.content, "read_cuts", lambda path: [])
    with pytest.raises(ShardError, match=r"expected 21 clips of split grouped-3fold, got 0; run the stages"):
        export_shards(lacks, "numpy", tmp_path / "out")
