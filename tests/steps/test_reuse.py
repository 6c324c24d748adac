"""Cost follows change: one clip touches one shard of each kind, and the bytes are those of a run from nothing."""

import json
import shutil
from collections import Counter

import pytest
from steps.small_corpus import KINDS, Run, tree

from audioprep.engine import read_index

LOGS = ("resample", *KINDS)


def origins(run, log):
    """Return how many shards of the last run were computed, taken or resumed."""
    lines = (run.layout.log / f"{log}.jsonl").read_text().splitlines()
    return dict(Counter(json.loads(line)["origin"] for line in lines))


@pytest.fixture
def run(prepared, tmp_path):
    """Return a copy of the small corpus and of what was prepared from it, both free to change."""
    shutil.copytree(prepared.root, tmp_path / "corpus")
    shutil.copytree(prepared.out, tmp_path / "out")
    run = Run(tmp_path / "corpus", tmp_path / "out")
    run.all()
    return run


def add(root):
    shutil.copyfile(root / "rain" / "0.wav", root / "rain" / "8.wav")


def remove(root):
    (root / "rain" / "4.wav").unlink()


def replace(root):
    shutil.copyfile(root / "rain" / "0.wav", root / "bell" / "0.wav")


@pytest.mark.parametrize("change", [add, remove, replace])
def test_a_clip_computes_one_shard_of_each_kind(run, tmp_path, capsys, change):
    assert {log: origins(run, log) for log in LOGS} == {key: {"cache": 4} for key in LOGS}, "nothing has changed yet"
    change(run.root)
    capsys.readouterr()
    run.all()
    assert {log: origins(run, log) for log in LOGS} == {key: {"cache": 3, "computed": 1} for key in LOGS}
    out = capsys.readouterr().out
    for log in LOGS:
        assert f"{log} small: 4 shards: 1 computed, 3 taken from the earlier version\n" in out
    anew = Run(run.root, tmp_path / "anew").all()
    assert tree(run.out) == tree(anew.out)
    assert {log: origins(anew, log) for log in LOGS} == {key: {"computed": 4} for key in LOGS}


def test_another_label_computes_nothing(run):
    names = sorted(path.relative_to(run.root).as_posix() for path in run.root.rglob("*.*"))
    labels = {name: name.split("/")[0] for name in names}

    def write(labels):
        lines = ["file_name,label", *(f"{name},{label}" for name, label in labels.items())]
        (run.root / "metadata.csv").write_text("\n".join(lines) + "\n")

    write(labels)
    run.all()
    before = tree(run.out / "audio"), tree(run.out / "cuts")
    write({**labels, "bell/0.wav": "rain"})
    run.all()
    assert tree(run.out / "audio") == before[0]
    assert tree(run.out / "cuts") != before[1]
    assert {log: origins(run, log) for log in LOGS} == {key: {"cache": 4} for key in LOGS}


def test_another_number_of_shards_decodes_all(run, tmp_path):
    run.rule = {"num_shards": 8}
    run.all()
    assert set(origins(run, "resample")) == {"computed"}
    assert tree(run.out) == tree(Run(run.root, tmp_path / "anew", rule=run.rule).all().out)


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_a_damaged_shard_is_made_again_and_no_other(run, damage):
    for folder, log, name in (
        ("audio", "resample", "shar/recording.000001.tar"),
        ("mfcc", "mfcc", "part-000001.parquet"),
    ):
        wanted = tree(run.out / folder)
        path = run.out / folder / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.unlink()
        if damage != "delete":
            path.write_bytes(data if damage == "flip" else data[:1000])
        (run.out / folder / "_index.json").write_text(
            json.dumps({**read_index(run.out / folder), "stage": "so that it runs"})
        )
        run.resample() if log == "resample" else run.features("mfcc")
        assert origins(run, log) == {"cache": 3, "computed": 1}
        assert tree(run.out / folder) == wanted


@pytest.mark.parametrize(
    ("folder", "log", "name"), [("audio", "resample", "facts.parquet"), ("mfcc", "mfcc", "_stats.parquet")]
)
def test_tables_that_are_damaged_give_nothing_back(run, folder, log, name):
    wanted = tree(run.out / folder)
    path = run.out / folder / name
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data + b"more")
    run.resample() if log == "resample" else run.features("mfcc")
    assert origins(run, log) == {"computed": 4}
    assert tree(run.out / folder) == wanted


def test_a_taken_shard_survives_a_kill(run, monkeypatch):
    add(run.root)
    run.download()

    def killed(*_):
        raise KeyboardInterrupt

    wanted = len(read_index(run.layout.audio)["shards"])
    with monkeypatch.context() as patch:
        patch.setattr("audioprep.engine.index.write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            run.resample()
    run.resample()
    assert origins(run, "resample") == {"resumed": wanted}
