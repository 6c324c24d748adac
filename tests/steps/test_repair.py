"""What is damaged is made anew by the rule of its folder: the bytes are those of the index, and whole shards stay."""

import hashlib
import json
import os
import shutil

import pytest
from steps.small_corpus import tree
from steps.test_verify import PART, flip

from audioprep.engine import fresh_folder
from audioprep.errors import ShardError
from audioprep.steps import features as features_step
from audioprep.steps import resample as resample_step
from audioprep.steps.repair import cache_objects, repair
from audioprep.steps.verify import verify


@pytest.fixture
def out(prepared, tmp_path, monkeypatch):
    """Return a copy of the prepared corpus that may be damaged."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(prepared.out, tmp_path / "out", ignore=shutil.ignore_patterns(".audioprep"))


@pytest.fixture
def made(monkeypatch):
    """Return the shards that are computed from here on."""
    shards = []

    def counted(function):
        def count(arguments, folder):
            shards.append(arguments["shard"])
            return function(arguments, folder)

        return count

    for module, name in ((features_step, "make_feature_shard"), (resample_step, "make_audio_shard")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    return shards


def fix(path, root=None):
    return list(repair(verify(path), root))


def test_everything_comes_back_as_it_was(prepared, out):
    flip(out / "logmel" / PART)
    (out / "mfcc" / "part-000000.parquet").unlink()
    (out / "mfcc" / "part-000009.parquet").write_text("of another corpus")
    flip(out / "cuts" / "cuts.000002.jsonl")
    flip(out / "audio" / "shar" / "recording.000003.tar")
    lines = fix(out, prepared.root)
    assert [line.split(": ", 1)[1] for line in lines] == [
        "repaired: 1 of 11 files made anew, bytes equal to the index",
        "repaired: 1 of 5 files made anew, bytes equal to the index",
        "repaired: 1 of 5 files made anew, bytes equal to the index",
        "repaired: 1 of 5 files made anew, bytes equal to the index; removed part-000009.parquet",
    ]
    assert [line.split(": ")[0] for line in lines] == [str(out / n) for n in ("audio", "cuts", "logmel", "mfcc")]
    assert tree(out) == tree(prepared.out)
    assert fix(out) == []


def test_nothing_but_the_damaged_shards_is_computed(prepared, out, made):
    flip(out / "logmel" / PART)
    fix(out)
    assert made == [1]
    flip(out / "audio" / "shar" / "recording.000003.tar")
    fix(out, prepared.root)
    assert made == [1, 3]
    (out / "audio" / "shar" / "cuts.000000.jsonl").unlink()
    (out / "audio" / "status.parquet.bak").write_text("mine")
    fix(out, prepared.root)
    assert made == [1, 3], "what lies beside the shards costs none"
    assert tree(out) == tree(prepared.out)


def test_a_table_of_all_shards_comes_back_too(prepared, out):
    flip(out / "logmel" / "_stats.parquet")
    (out / "audio" / "facts.parquet").unlink()
    fix(out, prepared.root)
    assert tree(out) == tree(prepared.out)


def refused(path, root=None):
    """Return the lines of a repair that does not succeed."""
    lines = []
    with pytest.raises(ShardError, match=r"^repair: could not repair \S+(, \S+)*; the lines above say why$"):
        lines += repair_into(lines, path, root)
    return lines


def repair_into(lines, path, root):
    for line in repair(verify(path), root):
        lines.append(line)
    return []


def test_nothing_is_made_from_damaged_input(prepared, out):
    flip(out / "logmel" / PART)
    flip(out / "audio" / "shar" / "recording.000001.tar")
    before = tree(out)
    audio, logmel = refused(out)
    assert "small: expected the folder with the recordings, got none; give it with --root PATH" in audio
    assert "audio: expected it whole, to make logmel from, got damage; repair it first" in logmel
    assert tree(out) == before, "nothing is touched"


def test_without_an_index_there_is_no_rule(out):
    (out / "mfcc" / "_index.json").write_text("{")
    (line,) = refused(out)
    assert "mfcc: expected an index with the rule, got none; run `audioprep prepare small --out " in line


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        (
            {"version": 0},
            f"expected version {features_step.VERSION} of stage features, got a folder of version 0; run the stage",
        ),
        ({"rule": {"n_mels": "many"}}, "features.logmel.n_mels: expected a valid integer"),
    ],
)
def test_a_rule_of_another_time_is_not_followed(out, changes, what):
    path = out / "logmel" / "_index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    flip(out / "logmel" / PART)
    (line,) = refused(out)
    assert what in line
    assert (out / "logmel" / PART).exists()


def test_other_bytes_than_the_index_listed_are_said(out):
    path = out / "logmel" / "_index.json"
    index = json.loads(path.read_text())
    index["shards"][1]["files"][PART]["sha256"] = "0" * 64
    path.write_text(json.dumps(index))
    before = tree(out)
    (line,) = refused(out)
    assert tree(out) == before, "a repair that fails leaves the folder as it was"
    assert (
        "logmel: expected the bytes that its index listed, got others: its input, rule or version has changed" in line
    )


@pytest.fixture
def project(prepared, tmp_path, monkeypatch):
    """Return a project whose logmel of one shard is a hard link into DVC's cache, and that object."""
    root = fresh_folder(tmp_path / "project")
    shutil.copytree(prepared.out, root / "data" / "small", ignore=shutil.ignore_patterns(".audioprep", "archives"))
    (root / ".dvc").mkdir()
    for name in (".dvc/config", "dvc.yaml", "params.yaml"):
        (root / name).write_text("")
    file = root / "data" / "small" / "logmel" / PART
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    cached = fresh_folder(root / ".dvc" / "cache" / "files" / "md5" / md5[:2]) / md5[2:]
    os.link(file, cached)
    monkeypatch.chdir(tmp_path)
    return root, cached


def test_the_object_in_dvcs_cache_is_mended_with_its_link(prepared, project):
    root, cached = project
    good = cached.read_bytes()
    file = root / "data" / "small" / "logmel" / PART
    with file.open("r+b") as opened:
        opened.seek(1000)
        opened.write(b"ZZZZ")
    assert cached.read_bytes() != good
    assert cache_objects([file, root / "data" / "small" / "mfcc" / PART]) == {file: cached}
    (line,) = fix(root / "data" / "small")
    assert line.endswith("made anew, bytes equal to the index; DVC's cache mended too (1)")
    assert cached.read_bytes() == file.read_bytes() == good
    assert tree(root / "data" / "small" / "logmel") == tree(prepared.layout.features("logmel"))
    assert not (root / "data" / "small" / ".audioprep").exists(), "a project's work is the project's"


def test_what_dvcs_cache_gives_is_not_said_to_be_made(prepared, project, made):
    root, _ = project
    folder = root / "data" / "small" / "logmel"
    listing = []
    for path in sorted(folder.iterdir()):
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        place = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        shutil.copyfile(path, place)
        listing.append({"md5": md5, "relpath": path.name})
    text = json.dumps(listing)
    md5 = f"{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}.dir"
    place = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    (root / "dvc.lock").write_text(
        f"stages:\n  x:\n    outs:\n    - path: data/small/logmel\n      hash: md5\n      md5: {md5}\n"
    )
    flip(folder / PART)
    (line,) = fix(root / "data" / "small")
    assert line.endswith("repaired: 1 of 5 files, bytes equal to the index (shards taken from DVC's cache: 1)")
    assert made == []
    assert tree(folder) == tree(prepared.layout.features("logmel"))


def test_a_folder_of_recordings_that_has_moved(out):
    flip(out / "audio" / "shar" / "recording.000001.tar")
    (line,) = refused(out / "audio", out.parent / "gone")
    assert "gone: expected the folder with the recordings of small, found none; if it has moved, give the place" in line


def test_a_copy_of_the_cache_is_no_object_of_it(project, tmp_path):
    root, cached = project
    cached.unlink()
    file = root / "data" / "small" / "logmel" / PART
    assert cache_objects([file]) == {}
    assert cache_objects([]) == {}
    os.link(file, tmp_path / "elsewhere")
    assert cache_objects([file]) == {}
    assert cache_objects([tmp_path / "elsewhere"]) == {}
