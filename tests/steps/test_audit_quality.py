"""What makes a split poor without being a leak: imbalance, missing classes, and clips that stand out or are broken."""

import pytest
from steps.clip_rows import BASE, SAME_FILE, audit_of, clip, fact, facts_of, pair, summary


def test_silence_is_no_copy_of_silence():
    rows = [*BASE, *pair("train", "test")]
    status = {"x": "silent", "y": "silent"}
    (found,) = audit_of(rows, facts_of(rows, **SAME_FILE), status=status)["findings"]
    assert summary(found) == {
        "kind": "silent_clips",
        "severity": "warning",
        "scope": "inside",
        "what": "2 of 10 clips",
        "ids": ["x", "y"],
    }


def test_copies_that_are_left_out_are_no_leak():
    rows = [*BASE, *pair("train", "test")]
    used = {row["id"] for row in rows} - {"y"}
    (found,) = audit_of(rows, facts_of(rows, **SAME_FILE), used=used)["findings"]
    assert (found["kind"], found["severity"], found["scope"]) == ("identical_file", "info", "left_out")
    rows[-1]["group"] = rows[-2]["group"] = "g"
    assert {one["scope"] for one in audit_of(rows, facts_of(rows, **SAME_FILE), used=used)["findings"]} == {"left_out"}


def test_what_is_missing_is_said_by_part():
    rows = [*BASE, *pair("train", "test"), clip("z", "a")]
    facts = facts_of([row for row in rows if row["id"] not in "xyz"])
    status = {"x": "missing", "y": "decode_error", "z": "missing"}
    (found,) = audit_of(rows, facts, status=status, used={row["id"] for row in BASE})["findings"]
    assert (found["kind"], found["severity"], found["ids"]) == ("missing_clips", "warning", ["x", "y", "z"])
    assert found["what"] == (
        "3 of 11 declared clips cannot be used: 1 decode_error, 2 missing; 1 of 3 in test, 1 of 5 in train, 0 of 2 in valid"
    )


def test_a_part_that_lacks_a_class_is_said():
    rows = [*BASE, *(clip(f"x{n}", [f"class {n:02}"], part="train") for n in range(12))]
    found = audit_of(rows)["findings"]
    named = ", ".join(f"class {n:02}" for n in range(10))
    assert [(one["kind"], one["severity"], one["what"]) for one in found] == [
        ("missing_class", "warning", f"fold1 valid lacks {named} and 2 more"),
        ("missing_class", "warning", f"fold1 test lacks {named} and 2 more"),
    ]


def test_a_class_that_is_much_larger_is_said():
    rows = [*BASE, *(clip(f"x{n:02}", "a", part="train") for n in range(41))]
    (found,) = audit_of(rows)["findings"]
    assert (found["kind"], found["severity"]) == ("class_imbalance", "info")
    assert found["what"] == "a has 45 clips, b 4: 11 times as many (noted above 10)"
    assert audit_of(rows[:-5])["findings"] == []


def test_a_group_that_is_much_larger_is_said():
    rows = [*BASE, *(clip(f"x{n:02}", "a", "big", part="train") for n in range(10))]
    found = audit_of(rows)["findings"]
    assert [(one["kind"], one["severity"], one["what"]) for one in found] == [
        ("group_imbalance", "info", "group big has 10 of 18 clips"),
        ("group_imbalance", "info", "one group has over half of the clips of a (10 of 14)"),
    ]
    # Six speakers that all say as much are no imbalance.
    speakers = [clip(f"{n:02}", "ab"[n // 6 % 2], f"speaker {n % 6}") for n in range(60)]
    assert audit_of(speakers, split="grouped-3fold")["findings"] == []


MANY = [clip(f"{number:03}", "ab"[number % 2]) for number in range(200)]


@pytest.mark.parametrize(
    ("name", "usual", "odd", "kind", "what"),
    [
        (
            "loudness_lufs",
            lambda n: -23.0 + n % 5,
            -60.0,
            "loudness_outlier",
            "2 of 200 clips: -60 to -60 LUFS, over 6 robust deviations from the median of -21 LUFS",
        ),
        (
            "duration_s",
            lambda n: 5.0,
            2.5,
            "duration_outlier",
            "2 of 200 clips: 2.5 to 2.5 s, over 6 robust deviations from the median of 5 s",
        ),
        (
            "bandwidth_hz",
            lambda n: 7000.0 + n,
            500.0,
            "bandwidth_outlier",
            "2 of 200 clips: 500 to 500 Hz, over 6 robust deviations from the median of 7100 Hz",
        ),
        (
            "source_rate_hz",
            lambda n: 44100,
            8000,
            "rate_outlier",
            "1 of 200 clips: 8000 Hz (1), where 44100 Hz is usual (199)",
        ),
        (
            "clipped_fraction",
            lambda n: 0.0,
            0.02,
            "clipped_clips",
            "2 of 200 clips: over 1% of the samples are clipped, up to 2%",
        ),
    ],
)
def test_clips_that_stand_out(name, usual, odd, kind, what):
    num_odd = 1 if kind == "rate_outlier" else 2
    facts = [fact(row["id"], **{name: odd if number < num_odd else usual(number)}) for number, row in enumerate(MANY)]
    (found,) = audit_of(MANY, facts, split="grouped")["findings"]
    expected = {"kind": kind, "severity": "info", "scope": "inside", "what": what, "ids": ["000", "001"][:num_odd]}
    assert summary(found) == expected
    usual_facts = [fact(row["id"], **{name: usual(number)}) for number, row in enumerate(MANY)]
    assert audit_of(MANY, usual_facts, split="grouped")["findings"] == []


def test_what_was_upsampled_is_said_and_a_low_rate_is_no_oddity():
    rows = MANY[:30]
    values = [(44100, 3800.0), (8000, 3900.0), *[(44100, 7900.0)] * 4]
    facts = [
        fact(row["id"], source_rate_hz=values[n % 6][0], bandwidth_hz=values[n % 6][1]) for n, row in enumerate(rows)
    ]
    (found,) = audit_of(rows, facts, split="grouped")["findings"]
    assert (found["kind"], found["severity"], found["ids"]) == (
        "upsampled",
        "info",
        ["000", "006", "012", "018", "024"],
    )
    assert found["what"] == (
        "5 of 30 clips: a rate of 16,000 Hz or more, and no sound above 4,450 Hz: upsampled from 8,000 Hz, by the look of it"
    )
