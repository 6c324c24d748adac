"""Splits: every clip once, disjoint, stable; and an audit that finds what would make a score untrue."""

import re
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from steps.small_corpus import Run

from audioprep.config.data import SplitRule
from audioprep.errors import SplitError
from audioprep.io.shar import read_cuts, write_cuts
from audioprep.steps.audit import audit_split, leaks_message, summary_lines, to_markdown
from audioprep.steps.split import split, split_roles


def clip(name, label="a", group=None, fold=None, subset=None):
    return {"id": name, "labels": [label], "group": group or name, "fold": fold, "subset": subset}


def by_id(clips):
    return sorted(clips, key=lambda clip: clip["id"])


# Six groups and all folds are always there: fewer cannot be split, which another test looks at.
ALWAYS = [("a", 100 + number, 1 + number % 5) for number in range(6)]
CLIPS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20), st.integers(1, 5)), max_size=30).map(
    lambda rows: [clip(f"{n:03}", label, f"g{group}", fold) for n, (label, group, fold) in enumerate(ALWAYS + rows)]
)


@settings(max_examples=25, deadline=None)
@given(CLIPS, st.sampled_from(["grouped-3fold", "grouped-5fold", "official-5fold"]), st.randoms(use_true_random=False))
def test_splits_cover_every_clip_and_ignore_the_order(clips, name, random):
    roles = split_roles(clips, name, 0, "official-5fold")
    assert all(len(values) == len(clips) for values in roles.values())
    # Every clip is tested once, validated once, and trained on in all other folds.
    for values in zip(*roles.values(), strict=True):
        assert sorted(values) == sorted(["test", "valid", *["train"] * (len(roles) - 2)])
    if name.startswith("grouped"):
        for values in roles.values():
            of_group = {}
            for row, role in zip(clips, values, strict=True):
                assert of_group.setdefault(row["group"], role) == role
    shuffled = clips.copy()
    random.shuffle(shuffled)
    assert split_roles(by_id(shuffled), name, 0, "official-5fold") == roles


def test_another_seed_draws_another_split():
    clips = [clip(f"{number:03}", "ab"[number % 2]) for number in range(60)]
    first, same, other = (split_roles(clips, "grouped-3fold", seed, "") for seed in (0, 0, 1))
    assert first == same != other


def test_an_official_split_uses_the_published_subsets():
    clips = [clip("a", subset="train"), clip("b", subset="test"), clip("c", subset="valid"), clip("d")]
    assert split_roles(clips, "official", 0, "") == {"fold1": ["train", "test", "valid", "unused"]}


FOLDED = [clip(str(number), fold=number) for number in range(1, 6)]


@pytest.mark.parametrize(
    ("clips", "name", "message"),
    [
        (
            FOLDED,
            "ofical-5fold",
            "split: expected one of grouped-5fold, official-5fold, got 'ofical-5fold'; did you mean",
        ),
        (FOLDED, "official-10fold", "split: expected one of grouped-5fold, official-5fold, got 'official-10fold'"),
        (FOLDED, "official", "split: expected one of grouped-5fold, official-5fold, got 'official'"),
        ([*FOLDED, clip("x")], "official-5fold", "split: expected one of grouped-5fold, got 'official-5fold'"),
        (
            FOLDED[:2],
            "official-2fold",
            (
                "split: expected at least 3 folds, one each to test, validate and train, got 2; use grouped-5fold, or give the "
                "missing folds"
            ),
        ),
        (
            FOLDED,
            "grouped-6fold",
            "grouped-6fold: expected 3 to 5 folds (the number of groups), got 6; choose another number",
        ),
        (
            FOLDED,
            "grouped-2fold",
            "grouped-2fold: expected 3 to 5 folds (the number of groups), got 2; choose another number",
        ),
        (
            [clip(str(number), "abc"[number % 3]) for number in range(6)],
            "grouped-5fold",
            (
                "grouped-5fold: expected a class with at least 5 clips, got at most 2 clips a class; use fewer folds, or add "
                "recordings"
            ),
        ),
        (
            [clip("a", subset="train"), clip("b", subset="valid")],
            "official",
            "official: expected clips in train and in test, got only train, valid; use grouped-5fold",
        ),
    ],
)
def test_impossible_splits_are_one_line(clips, name, message):
    with pytest.raises(SplitError, match=f"^{re.escape(message)}"):
        split_roles(clips, name, 0, "official-5fold" if len(clips) != 2 else "")


def test_a_class_that_is_too_rare_is_said_once(capsys, recwarn):
    clips = [clip(f"{number:03}", "a" if number else "rare") for number in range(12)]
    split_roles(clips, "grouped-3fold", 0, "")
    assert capsys.readouterr().out == "warning: class 'rare' has 1 clips for 3 folds; some folds lack it\n"
    assert not recwarn.list


def audit_of(clips, facts=(), known=None, name="grouped-3fold"):
    roles = {"fold1": [row["role"] for row in clips]}
    rows = [{"id": name, "file_sha256": file, "pcm_sha256": pcm} for name, file, pcm in facts]
    return audit_split("birds", name, clips, roles, rows, known or {})


def used(name, role, group=None, label="a"):
    return {**clip(name, label, group), "role": role}


def test_nothing_suspicious_is_no_finding():
    audit = audit_of([used("a", "train"), used("b", "test")], [("a", "1", "1"), ("b", "2", "2")])
    assert audit["findings"] == []
    assert audit["folds"] == {"fold1": {"test": 1, "train": 1}}
    assert leaks_message(audit) == ""
    assert summary_lines(audit) == ["birds/grouped-3fold: 2 clips, 2 groups; nothing found"]
    assert to_markdown(audit).endswith("## Findings\n\nNone.\n")


@pytest.mark.parametrize(
    ("clips", "facts", "kind", "scope"),
    [
        ([used("a", "train", "g"), used("b", "test", "g")], [], "shared_group", "across"),
        ([used("a", "train"), used("b", "test")], [("a", "1", "1"), ("b", "1", "1")], "identical_file", "across"),
        ([used("a", "train"), used("b", "test")], [("a", "1", "3"), ("b", "2", "3")], "identical_audio", "across"),
        ([used("a", "train"), used("b", "train")], [("a", "1", "3"), ("b", "2", "3")], "identical_audio", "inside"),
        ([used("a", "train"), used("b", "unused")], [("a", "1", "3"), ("b", "2", "3")], "identical_audio", "inside"),
        ([used("a", "train")], [("a", "1", "1"), ("b", "1", "1")], "identical_file", "left_out"),
        ([used("a", "train"), used("b", "train", label="b"), used("c", "test")], [], "missing_class", "inside"),
    ],
)
def test_what_the_audit_finds(clips, facts, kind, scope):
    (found,) = audit_of(clips, facts)["findings"]
    assert (found["kind"], found["scope"]) == (kind, scope)
    assert found["known"] == ""


def test_a_leak_that_the_recipe_declares_is_known_and_hides_nothing_else():
    clips = [used("a", "train", "g"), used("b", "test", "g")]
    audit = audit_of(clips, [("a", "1", "3"), ("b", "2", "3")], known={"g": "by the publisher"})
    assert {found["kind"]: found["known"] for found in audit["findings"]} == {
        "shared_group": "by the publisher",
        "identical_audio": "",
    }
    assert leaks_message(audit) == (
        "birds/grouped-3fold: expected train, valid and test without anything in common, got 1 leaks: identical_audio samples "
        "3: a, b; use a grouped split, take the clips out, or set split.on_leak: warn"
    )
    assert " Known: by the publisher." in to_markdown(audit)
    assert "  1 shared group across (known, declared by the recipe)" in summary_lines(audit)


def test_many_leaks_are_counted():
    clips = [used(f"{group}{role}", role, f"g{group}") for group in range(7) for role in ("train", "test")]
    assert "got 7 leaks: shared_group group g0: 0test, 0train; " in (message := leaks_message(audit_of(clips)))
    assert message.endswith("; and 2 more; use a grouped split, take the clips out, or set split.on_leak: warn")


@pytest.mark.parametrize("on_leak", ["fail", "warn"])
def test_a_leak_fails_the_stage_or_warns(prepared, tmp_path, capsys, on_leak):
    shutil.copytree(prepared.out, tmp_path / "copy")
    run = Run(prepared.root, tmp_path / "copy")
    for path in run.layout.cuts.glob("*.jsonl"):  # three published folds, and one group that is in all of them
        cuts = read_cuts(path)
        for cut in cuts:
            cut["custom"]["fold"] = 1 + int(cut["id"][-1]) % 3
            if cut["id"] in ("bell--0", "bell--1", "bell--2"):
                cut["custom"]["group"] = "bells"
        write_cuts(path, cuts)
    before = (run.layout.splits / "audit.json").read_bytes()
    message = (
        r"small/official-3fold: expected train, valid and test without anything in common, got 1 leaks: shared_group group "
        r"bells: bell--0, bell--1, bell--2; use a grouped split, take the clips out, or set split\.on_leak: warn$"
    )
    if on_leak == "fail":
        with pytest.raises(SplitError, match=message):
            split(run.layout, "official-3fold", SplitRule())
        assert (run.layout.splits / "audit.json").read_bytes() == before
    else:
        split(run.layout, "official-3fold", SplitRule(on_leak="warn"))
        assert re.search(message, capsys.readouterr().out.strip())
        assert (run.layout.splits / "official-3fold.parquet").exists()
