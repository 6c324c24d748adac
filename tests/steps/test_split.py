"""The split stage: what it writes, and what a leak leads to."""

import hashlib
import json
import re
import sys
from types import SimpleNamespace

import pytest
from steps.clip_rows import clip, fact, write_corpus

from audioprep.config.data import SplitRule
from audioprep.errors import ShardError, SplitError
from audioprep.io.layout import Layout
from audioprep.io.parquet import read_split
from audioprep.io.tables import FINGERPRINTS, read_table, rows_to_table, write_table
from audioprep.steps.audit import audit
from audioprep.steps.split import split

# Group g2 is in train and test, g3 in train and valid, g4 in valid and test; the samples of t1 are those of e1.
LEAKY = [
    *(clip(f"t{n}", "ab"[n % 2], {2: "g2", 3: "g3"}.get(n), part="train") for n in range(8)),
    *(clip(f"v{n}", "ab"[n % 2], {3: "g3"}.get(n), part="valid") for n in range(4)),
    *(clip(f"e{n}", "ab"[n % 2], {2: "g2"}.get(n), part="test") for n in range(4)),
]
FACTS = [fact(row["id"], pcm="same" if row["id"] in ("t1", "e1") else None) for row in LEAKY]
LEAKS = (
    "birds/official: expected train, valid and test without anything in common, got 3 leaks: shared_group group g2: e2, t2; "
    "shared_group group g3: t3, v3; identical_audio samples same: e1, t1; use a grouped split, take the clips out, or set "
    "split.on_leak to drop or warn"
)


@pytest.fixture
def layout(tmp_path):
    return Layout.in_folder("birds", tmp_path / "birds")


def files(layout):
    """Return the files beside the splits, without the sounds of suspicious clips."""
    return {path.name: path.read_bytes() for path in layout.splits.iterdir() if path.is_file()}


def test_a_leak_fails_the_stage_and_its_audit_says_why(layout):
    write_corpus(layout, LEAKY, FACTS)
    split(layout, "grouped", SplitRule())
    with pytest.raises(SplitError, match=f"^{re.escape(LEAKS)}$"):
        split(layout, "official", SplitRule())
    assert sorted(files(layout)) == ["_near_duplicates.parquet", "audit.json", "audit.md"], "no split, and no old audit"
    assert audit(layout)["split"] == "official"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"schema": 1}'])
def test_a_damaged_audit_is_made_anew(layout, damaged):
    write_corpus(layout, LEAKY, FACTS)
    split(layout, "official", SplitRule(on_leak="warn"))
    before = audit(layout)
    (layout.splits / "audit.json").write_text(damaged)
    assert audit(layout, "official") == before


def test_a_leak_is_a_warning_where_that_is_asked_for(layout, capsys):
    write_corpus(layout, LEAKY, FACTS)
    split(layout, "official", SplitRule(on_leak="warn"))
    assert (
        capsys.readouterr().out
        == f"warning: {LEAKS.partition('; use')[0]}; use a grouped split, or take the clips out\n"
    )
    assert sorted(files(layout)) == ["_near_duplicates.parquet", "audit.json", "audit.md", "official.parquet"]
    assert sorted(path.name for path in (layout.splits / "suspects").iterdir()) == ["e1.flac", "t1.flac"]
    found = read_split(layout.splits / "official.parquet")
    assert found.roles[1].count("train") == 8


def test_a_leak_is_dropped_from_train_alone(layout, capsys):
    write_corpus(layout, LEAKY, FACTS)
    split(layout, "official", SplitRule(on_leak="drop"))
    assert capsys.readouterr().out == "birds/official fold1: 3 of 8 clips are dropped from train: t1, t2, t3\n"
    found = read_split(layout.splits / "official.parquet")
    unused = [name for name, role in zip(found.ids, found.roles[1], strict=True) if role == "unused"]
    assert unused == ["t1", "t2", "t3"]
    audit = json.loads((layout.splits / "audit.json").read_text())
    assert audit["dropped"] == {"fold1": {"num_ids": 3, "ids": ["t1", "t2", "t3"]}}
    assert [count for count in audit["counts"] if count["severity"] == "leak"] == []
    assert "Dropped from train in fold1: t1, t2, t3." in (layout.splits / "audit.md").read_text()


def test_a_leak_is_dropped_in_the_folds_that_have_it(layout, capsys):
    rows = [clip(f"{fold}{n}", "ab"[n % 2], fold=fold) for fold in range(1, 6) for n in range(2)]
    rows += [clip("x", "a", "g", fold=1), clip("y", "b", "g", fold=3)]
    write_corpus(layout, rows, [fact(row["id"]) for row in rows])
    split(layout, "folds", SplitRule(on_leak="drop"))
    assert capsys.readouterr().out.splitlines() == [
        "birds/folds fold1: 1 of 7 clips are dropped from train: y",
        "birds/folds fold2: 1 of 7 clips are dropped from train: x",
        "birds/folds fold3: 1 of 7 clips are dropped from train: x",
        "birds/folds fold5: 1 of 7 clips are dropped from train: y",
    ]


def test_what_drop_cannot_mend_fails(layout):
    rows = [*LEAKY, clip("v9", "b", "g9", part="valid"), clip("e9", "b", "g9", part="test")]
    write_corpus(layout, rows, [fact(row["id"]) for row in rows])
    message = (
        "birds/official: expected valid and test, and train after what was dropped, without anything in common, got 1 leak: "
        "shared_group group g9: e9, v9; use a grouped split, take the clips out, or set split.on_leak to warn: drop takes "
        "clips from train alone"
    )
    with pytest.raises(SplitError, match=f"^{re.escape(message)}$"):
        split(layout, "official", SplitRule(on_leak="drop"))


def test_dropping_all_of_train_is_refused(layout):
    rows = [clip("a", group="g", part="train"), clip("b", "b", "g", part="test")]
    write_corpus(layout, rows, [fact(row["id"]) for row in rows])
    with pytest.raises(
        SplitError, match=r"^official fold1: expected clips in train and in test, got only test; use grouped"
    ):
        split(layout, "official", SplitRule(on_leak="drop"))


def test_known_leaks_stay_as_published(layout, capsys):
    known = {"g2": "by the publisher", "g3": "by the publisher", "t1": "a copy of e1"}
    write_corpus(layout, LEAKY, FACTS, {"official": {"about": "as published", "known": known}})
    split(layout, "official", SplitRule(on_leak="drop"))
    assert capsys.readouterr().out == ""
    assert json.loads((layout.splits / "audit.json").read_text())["dropped"] == {}


def test_the_table_says_what_it_is(layout, capsys):
    rows = [
        *(clip(str(fold), "ab"[fold % 2], f"g{fold}", fold=fold) for fold in (1, 2, 4)),
        clip("x"),
        clip("y", fold=2),
    ]
    official = {"folds": {"about": "three folds", "known": {}, "shares_groups": ""}}
    write_corpus(layout, rows, [fact(row["id"]) for row in rows], official, used={"1", "2", "4", "x"})
    split(layout, "folds", SplitRule())
    assert capsys.readouterr().out == "birds: 1 of 5 clips are not in folds, and stay unused\n"
    found = read_split(layout.splits / "folds.parquet")
    assert found.ids == ["1", "2", "4", "x"]
    assert found.labels == [["b"], ["a"], ["a"], ["a"]]
    assert list(found.roles) == [1, 2, 4]
    hashed = b"1\n2\n4\nx" + b"\nfold1\n\3\2\1\0" + b"\nfold2\n\1\3\2\0" + b"\nfold4\n\2\1\3\0"
    assert found.meta.pop("sha256") == hashlib.sha256(hashed).hexdigest()
    assert found.meta == {
        "dataset": "birds",
        "split": "folds",
        "about": "three folds",
        "valid": "the fold after the tested one",
        "labels": ["a", "b"],
        "folds": [1, 2, 4],
    }


def test_a_stage_without_its_input_is_one_line(layout):
    with pytest.raises(
        ShardError, match=r"about\.json: expected a file of the download stage, got none; run that stage$"
    ):
        split(layout, "grouped", SplitRule())
    write_corpus(layout, LEAKY)
    with pytest.raises(ShardError, match=r"_used\.parquet: expected a table, got .+; run the stage that makes it$"):
        split(layout, "grouped", SplitRule())


def fake_near_duplicates(pairs, calls):
    """Return what finds the given pairs of ids, and notes what it was asked and what a clip sounds like."""

    def near_duplicates(ids, fingerprints, load_wave, rate_hz):
        calls.append((ids, fingerprints.to_pylist(), len(load_wave(ids[0])), rate_hz))
        return [SimpleNamespace(a=ids.index(a), b=ids.index(b), similarity=similarity) for a, b, similarity in pairs]

    return SimpleNamespace(near_duplicates=near_duplicates)


def test_clips_that_sound_alike_are_looked_for_once(layout, monkeypatch):
    rows = [clip(f"{number:02}", "ab"[number % 2], part=("train", "test")[number % 2]) for number in range(12)]
    facts = [fact(row["id"]) for row in rows]
    write_corpus(layout, rows, facts, status={"03": "silent"})
    prints = [{"id": row["id"], "fingerprint": [number]} for number, row in enumerate(rows)]
    write_table(layout.audio / "fingerprints.parquet", rows_to_table(prints[::-1], FINGERPRINTS))
    calls = []
    fake = fake_near_duplicates([("05", "02", 0.875), ("00", "04", 0.9)], calls)
    monkeypatch.setitem(sys.modules, "audioprep.steps.splits.duplicates", fake)
    split(layout, "grouped", SplitRule())
    ((ids, fingerprints, num_samples, rate_hz),) = calls
    assert ids == sorted({f"{number:02}" for number in range(12)} - {"03"}, reverse=True)
    assert fingerprints == [[int(name)] for name in ids]
    assert (num_samples, rate_hz) == (800, 16000)
    assert read_table(layout.splits / "_near_duplicates.parquet").to_pylist() == [
        {"id": "00", "other_id": "04", "similarity": 0.9},
        {"id": "05", "other_id": "02", "similarity": 0.875},
    ]
    found = read_split(layout.splits / "grouped.parquet").roles[1]
    assert (found[0], found[2]) == (found[4], found[5])
    leak, *_ = audit(layout, "official")["findings"]
    assert (leak["kind"], leak["ids"], len(calls)) == ("near_duplicate", ["02", "05"], 1)
    with pytest.raises(SplitError, match=r"got 1 leak: near_duplicate similarity 0\.88: 02, 05; use a grouped split"):
        split(layout, "official", SplitRule())
