"""The audit: every kind of finding where it should be, with its scope and in plain words; and nothing where nothing is."""

import json

import pytest
from steps.clip_rows import BASE, SAME_FILE, SAME_PCM, audit_of, clip, fact, facts_of, pair, summary, write_corpus

from audioprep.config.data import SplitRule
from audioprep.errors import ShardError, SplitError
from audioprep.io.layout import Layout
from audioprep.steps.audit import audit
from audioprep.steps.audit.report import headline, leaks_message, show, to_markdown
from audioprep.steps.split import split


def test_nothing_suspicious_is_no_finding():
    found = audit_of(BASE, facts_of(BASE))
    assert (found["findings"], found["counts"], found["suspects"], found["dropped"]) == ([], [], [], {})
    assert found["folds"] == {"fold1": {"test": 2, "train": 4, "valid": 2}}
    assert (found["schema"], found["basis"], found["num_clips"], found["num_groups"], found["num_classes"]) == (
        1,
        "audio",
        8,
        8,
        2,
    )
    assert leaks_message(found) == ""
    assert headline(found) == "no new leaks"
    assert "8 clips, 8 groups, 2 classes." in to_markdown(found)
    assert to_markdown(found).endswith("## Findings\n\nNone.\n")


SLICES = [
    clip("x", "a", "g", part="train", source_start_s=0.0, source_end_s=4.0),
    clip("y", "a", "g", part="train", source_start_s=3.5, source_end_s=7.5),
    clip("z", "a", "g", part="train", source_start_s=7.5, source_end_s=9.0),
]
PARTS = [
    clip("x", "a", "g1", part="train", member="long.wav", start_s=0.0, end_s=4.0),
    clip("y", "a", "g2", part="test", member="long.wav", start_s=3.5),
    clip("z", "a", "g3", part="valid", member="other.wav", end_s=2.0),
]


@pytest.mark.parametrize(
    ("more", "of", "expected"),
    [
        pytest.param(pair("train", "test", group="g"), {}, ("shared_group", "leak", "across", "group g"), id="group"),
        pytest.param(pair("train", "train", group="g"), {}, None, id="group-inside"),
        pytest.param(
            pair("train", "valid"), SAME_FILE, ("identical_file", "leak", "across", f"sha256 {'f' * 16}"), id="file"
        ),
        pytest.param(
            pair("test", "test"),
            SAME_FILE,
            ("identical_file", "warning", "inside", f"sha256 {'f' * 16}"),
            id="file-inside",
        ),
        pytest.param(
            pair("train", None),
            SAME_FILE,
            ("identical_file", "warning", "inside", f"sha256 {'f' * 16}"),
            id="file-unused",
        ),
        pytest.param(
            pair("valid", "test"), SAME_PCM, ("identical_audio", "leak", "across", f"samples {'p' * 16}"), id="samples"
        ),
        pytest.param(
            SLICES,
            {},
            (
                "overlapping_slices",
                "info",
                "inside",
                "1 of 11 clips, in 1 recordings, begin before an earlier clip of their recording ends",
                ["y"],
            ),
            id="slices-of-a-group",
        ),
    ],
)
def test_what_clips_have_in_common(more, of, expected):
    rows = [*BASE, *more]
    found = audit_of(rows, facts_of(rows, **of))["findings"]
    if expected is None:
        assert found == []
        return
    kind, severity, scope, what, *ids = expected
    assert [summary(one) for one in found] == [
        {"kind": kind, "severity": severity, "scope": scope, "what": what, "ids": ids[0] if ids else ["x", "y"]}
    ]
    assert found[0]["known"] == ""


def test_slices_that_overlap_across_are_a_leak():
    rows = [*BASE, *PARTS]
    leak, inside = audit_of(rows, facts_of(rows))["findings"]
    assert summary(leak) == {
        "kind": "overlapping_slices",
        "severity": "leak",
        "scope": "across",
        "what": "group g1",
        "ids": ["x", "y"],
    }
    assert (inside["scope"], inside["ids"]) == ("inside", ["y"])


@pytest.mark.parametrize(("start_s", "is_leak"), [(3.0, True), (3.999, True), (4.0, False), (5.0, False)])
@pytest.mark.parametrize("later", ["train", "test"])
def test_slices_that_touch_do_not_overlap(start_s, is_leak, later):
    first = "test" if later == "train" else "train"
    rows = [
        clip("x", "a", part=first, member="m", start_s=0.0, end_s=4.0),
        clip("y", "b", part=later, member="m", start_s=start_s, end_s=6.0),
        clip("z", "a", part="valid", member="n", start_s=0.0, end_s=6.0),
    ]
    kinds = {found["kind"] for found in audit_of([*BASE, *rows])["findings"] if found["severity"] == "leak"}
    assert kinds == ({"overlapping_slices"} if is_leak else set())


def test_a_slice_inside_a_long_one_is_found_behind_others():
    rows = [
        clip("long", "a", part="test", member="m", start_s=0.0, end_s=100.0),
        *(clip(f"m{n}", "ab"[n % 2], part="valid", member="m", start_s=200.0 + n, end_s=200.5 + n) for n in range(5)),
        clip("deep", "a", part="train", member="m", start_s=99.0, end_s=99.5),
    ]
    (leak, _) = audit_of([*BASE, *rows])["findings"]
    assert leak["ids"] == ["deep", "long"]


def test_slices_that_overlap_are_on_one_side_of_a_generated_split():
    rows = [
        clip(f"{n:03}", "ab"[n % 2], member=f"m{n // 10}", start_s=float(n % 10), end_s=n % 10 + 1.5) for n in range(90)
    ]
    (found,) = audit_of(rows, split="grouped")["findings"]
    assert (found["kind"], found["scope"], found["num_ids"]) == ("overlapping_slices", "inside", 81)
    apart = [row | {"end_s": row["start_s"] + 1.0} for row in rows]
    assert audit_of(apart, split="grouped")["findings"] == []


def test_parts_of_one_file_are_no_copies_and_equal_parts_are():
    rows = [
        clip(name, "ab"[n % 2], part=part, member="m", start_s=float(n // 2), end_s=n // 2 + 1.0)
        for n, (name, part) in enumerate([("p", "train"), ("q", "train"), ("r", "train"), ("s", "train")])
    ]
    facts = [fact(row["id"], file="one") for row in rows]
    kinds = [(found["kind"], found["ids"]) for found in audit_of([*BASE, *rows], [*facts_of(BASE), *facts])["findings"]]
    assert kinds[:2] == [("identical_file", ["p", "q"]), ("identical_file", ["r", "s"])]


def test_clips_that_sound_alike():
    found = audit_of(BASE, facts_of(BASE), alike=[("t0", "e0", 0.91), ("t2", "t1", 0.875), ("t3", "v1", 0.8)])
    assert [
        (one["severity"], one["scope"], one["what"], one["ids"], one["similarity"]) for one in found["findings"]
    ] == [
        ("leak", "across", "similarity 0.91", ["e0", "t0"], 0.91),
        ("leak", "across", "similarity 0.80", ["t3", "v1"], 0.8),
        ("warning", "inside", "similarity 0.88", ["t1", "t2"], 0.875),
        ("info", "inside", "similarity 0.88", ["t1", "t2"], 0.875),
    ]
    assert found["findings"][2]["kind"] == "label_conflict"


def test_a_pair_is_found_once_by_the_strictest_sign():
    rows = [*BASE, *pair("train", "train")]
    kinds = [
        found["kind"] for found in audit_of(rows, facts_of(rows, **SAME_FILE), alike=[("x", "y", 1.0)])["findings"]
    ]
    assert kinds == ["identical_file"]
    kinds = [found["kind"] for found in audit_of(rows, facts_of(rows, **SAME_PCM), alike=[("x", "y", 1.0)])["findings"]]
    assert kinds == ["identical_audio"]


def test_a_copy_in_another_container_is_found_beside_copies_of_the_file():
    rows = [*BASE, *pair("train", "train"), clip("z", "a", part="test")]
    found = audit_of(rows, facts_of(rows, **SAME_FILE, z={"pcm": "p" * 64}))["findings"]
    assert [(one["kind"], one["scope"], one["ids"]) for one in found] == [
        ("identical_audio", "across", ["x", "y", "z"]),
        ("identical_file", "inside", ["x", "y"]),
    ]


def test_copies_with_other_labels_are_a_conflict():
    rows = [*BASE, clip("x", "a", part="train"), clip("y", "ba", part="train"), clip("z", "ab", part="train")]
    of = {name: {"pcm": "p" * 64} for name in "xyz"}
    copies, conflict = audit_of(rows, facts_of(rows, **of))["findings"]
    assert (conflict["kind"], conflict["severity"], conflict["scope"]) == ("label_conflict", "warning", "inside")
    assert conflict["what"] == f"samples {'p' * 16}"
    assert conflict["labels"] == [["a"], ["b", "a"], ["a", "b"]]
    assert copies["kind"] == "identical_audio"
    same = [*BASE, clip("y", "ba", part="train"), clip("z", "ab", part="train")]
    assert [one["kind"] for one in audit_of(same, facts_of(same, **of))["findings"]] == ["identical_audio"]


def leaky(num_groups, clips_each=2):
    rows = [
        clip(f"{g:03}-{n:02}", "ab"[n % 2], f"g{g}", part=("train", "test")[n // 2 % 2])
        for g in range(num_groups)
        for n in range(clips_each * 2)
    ]
    return [*rows, clip("va", "a", part="valid"), clip("vb", "b", part="valid")]


def test_known_leaks_are_apart_and_hide_nothing_else():
    rows = leaky(3)
    official = {"known": {"g0": "by the publisher", "001-00": "a copy", "001-01": "a copy", "001-02": "a copy"}}
    found = audit_of(rows, official=official)
    assert [(one["what"], one["known"]) for one in found["findings"]] == [
        ("group g2", ""),
        ("group g0", "by the publisher"),
        ("group g1", "a copy"),
    ]
    assert found["counts"] == [
        {
            "severity": "leak",
            "kind": "shared_group",
            "scope": "across",
            "known": False,
            "num_findings": 1,
            "num_ids": 4,
        },
        {"severity": "leak", "kind": "shared_group", "scope": "across", "known": True, "num_findings": 2, "num_ids": 8},
    ]
    assert leaks_message(found) == (
        "birds/official: expected train, valid and test without anything in common, got 1 leak: shared_group group g2: 002-00, "
        "002-01, 002-02; use a grouped split, take the clips out, or set split.on_leak to drop or warn"
    )
    assert headline(found) == "1 new leaks, 2 known"
    page = to_markdown(found)
    assert "- **leak, across**: shared group, group g2: 002-00, 002-01, 002-02, 002-03.\n" in page
    assert "group g0: 000-00, 000-01, 000-02, 000-03. Known: by the publisher.\n" in page


@pytest.mark.parametrize(
    ("known", "expected"),
    [({}, ""), ({"x": "a copy"}, "a copy"), ({"g": "one group"}, "one group"), ({"z": "another"}, "")],
)
def test_a_copy_is_known_by_its_id_or_its_group(known, expected):
    rows = [*BASE, *pair("train", "test", group="g")]
    found = audit_of(rows, facts_of(rows, **SAME_PCM), official={"known": known})["findings"]
    assert [one["known"] for one in found if one["kind"] == "identical_audio"] == [expected]


def test_a_copy_between_two_groups_is_not_known_by_one_of_them():
    rows = [*BASE, clip("x", "a", "g", part="train"), clip("y", "a", "h", part="test")]
    (found,) = audit_of(rows, facts_of(rows, **SAME_PCM), official={"known": {"g": "one group"}})["findings"]
    assert found["known"] == ""


def test_groups_that_are_shared_by_design_are_one_finding():
    rows = leaky(3)
    found = audit_of(rows, official={"shares_groups": "every speaker is on both sides"})
    (finding,) = found["findings"]
    assert (finding["what"], finding["known"]) == (
        "3 of 5 groups are on more than one side",
        "every speaker is on both sides",
    )
    assert (finding["num_ids"], found["counts"][0]["num_findings"]) == (12, 3)
    assert leaks_message(found) == ""


def test_many_findings_are_counted_and_some_are_listed():
    found = audit_of(leaky(1030, clips_each=55))
    assert found["counts"][0]["num_findings"] == 1030
    assert found["counts"][0]["num_ids"] == 1030 * 110
    assert len(found["findings"]) == 1001
    first, *_, last = found["findings"]
    assert (len(first["ids"]), first["num_ids"]) == (100, 110)
    assert (last["what"], len(last["ids"]), last["num_ids"]) == ("30 more like these", 100, 3300)
    assert "got 1,030 leaks: shared_group group g0: " in leaks_message(found)
    assert "; and 1,025 more, see `audioprep audit`; use a grouped split" in leaks_message(found)
    assert " and 90 more.\n" in to_markdown(found)


def test_pairs_worth_listening_to():
    rows = [*BASE, *pair("train", "train"), clip("z", "b", part="test")]
    of = {**SAME_PCM, "z": {"pcm": "p" * 64}}
    alike = [("t0", "t2", 0.99), ("v0", "e0", 0.8), ("v1", "e1", 0.9)]
    found = audit_of(rows, facts_of(rows, **of), alike=alike)
    assert found["suspects"] == [
        {
            "kind": "label_conflict",
            "scope": "across",
            "known": False,
            "similarity": 1.0,
            "ids": ["x", "z"],
            "labels": [["a"], ["b"]],
        },
        {
            "kind": "near_duplicate",
            "scope": "across",
            "known": False,
            "similarity": 0.9,
            "ids": ["e1", "v1"],
            "labels": [["b"], ["b"]],
        },
        {
            "kind": "near_duplicate",
            "scope": "across",
            "known": False,
            "similarity": 0.8,
            "ids": ["e0", "v0"],
            "labels": [["a"], ["a"]],
        },
        {
            "kind": "near_duplicate",
            "scope": "inside",
            "known": False,
            "similarity": 0.99,
            "ids": ["t0", "t2"],
            "labels": [["a"], ["a"]],
        },
    ]
    assert (
        "## Worth listening to\n\n- x and z: label conflict, across; a | b\n- e1 and v1: near duplicate"
        in to_markdown(found)
    )


def test_twenty_pairs_are_enough():
    rows = [clip(f"{n:03}", "ab"[n % 2]) for n in range(200)]
    alike = [(f"{n:03}", f"{n + 2:03}", 0.5 + n / 1000) for n in range(0, 196, 4)]
    found = audit_of(rows, facts_of(rows), split="grouped", alike=alike)["suspects"]
    assert len(found) == 20
    assert found[0]["ids"] == ["192", "194"]


def test_what_is_printed_for_people(capsys):
    rows = [*BASE, *pair("train", "test", group="g"), clip("z", "a")]
    show(audit_of(rows, official={"about": "as the authors say"}))
    said = capsys.readouterr().out
    for line in (
        "birds/official: 11 clips, 10 groups, 2 classes\n",
        "  as the authors say; valid: as published\n",
        "  1 of 11 clips are not in official, and stay unused\n",
        "  From the metadata alone: no audio was looked at.\n",
        "  leak: shared group, group g: x, y\n",
    ):
        assert line in said
    assert "fold1" in said
    show(audit_of(BASE, facts_of(BASE)))
    assert capsys.readouterr().out.endswith("Nothing found.\n")
    show(audit_of(leaky(9)))
    assert capsys.readouterr().out.endswith("  and 4 more\n")


@pytest.fixture
def layout(tmp_path):
    return Layout.in_folder("birds", tmp_path / "birds")


def test_a_prepared_split_has_its_audit_and_others_are_made(layout):
    rows = [*leaky(4), *(clip(f"w{n:02}", "ab"[n % 2], part="train") for n in range(20))]
    write_corpus(layout, rows, [fact(row["id"]) for row in rows], {"official": {"about": "published", "known": {}}})
    assert audit(layout)["split"] == "official"
    split(layout, "grouped", SplitRule())
    stored = json.loads((layout.splits / "audit.json").read_text())
    assert audit(layout) == audit(layout, "grouped") == stored
    other = audit(layout, "official")
    assert (other["split"], other["about"], other["basis"]) == ("official", "published", "audio")
    assert other["counts"][0]["num_findings"] == 4
    assert audit(layout, "grouped-3fold", SplitRule(seed=3))["about"].startswith("generated with seed 3")
    with pytest.raises(
        SplitError, match=r"^split: expected one of grouped, grouped-5fold, official, got 'ofical'; did you"
    ):
        audit(layout, "ofical")
    (layout.splits / "audit.json").write_text("{}")
    assert audit(layout)["split"] == "official"


def test_the_metadata_alone_is_audited_too(layout):
    rows = [*BASE, clip("x", "a", part="train", sha256="f" * 64), clip("y", "a", part="test", sha256="f" * 64)]
    rows += [clip("p", "a", part="train", member="same"), clip("q", "a", part="valid", member="same")]
    write_corpus(layout, rows)
    found = audit(layout)
    assert found["basis"] == "metadata"
    assert [(one["kind"], one["what"], one["ids"]) for one in found["findings"]] == [
        ("identical_file", "file same", ["p", "q"]),
        ("identical_file", f"sha256 {'f' * 16}", ["x", "y"]),
    ]
    assert "From the metadata alone: no audio was looked at." in to_markdown(found)


def test_a_corpus_without_official_split_is_audited_as_generated(layout):
    write_corpus(layout, [clip(f"{number:03}", "ab"[number % 2]) for number in range(20)])
    assert audit(layout)["split"] == "grouped-5fold"


def test_a_corpus_that_is_not_there_is_one_line(layout):
    with pytest.raises(
        ShardError, match=r"about\.json: expected a file of the download stage, got none; run that stage$"
    ):
        audit(layout)
