"""Copies are marked column by column as a plain rule marks them one by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audioprep.errors import DatasetError
from audioprep.io.tables import FACTS, STATUS, rows_to_table
from audioprep.steps.statuses import check_usable, mark_duplicates

IDS = st.text("abÄ0", min_size=1, max_size=3)
CLIPS = st.dictionaries(
    IDS, st.tuples(st.sampled_from(["ok", "silent", "missing"]), st.sampled_from("xyz")), max_size=12
)


def marked(clips):
    """The rule of `mark_duplicates` for one clip after the other."""
    first, rows = {}, []
    for clip_id, (status, pcm) in sorted(clips.items()):
        original = clip_id if status == "missing" else first.setdefault(pcm, clip_id)
        if status == "ok" and original != clip_id:
            rows.append((clip_id, "duplicate", f"same samples as {original}"))
        else:
            rows.append((clip_id, status, ""))
    return rows


@settings(max_examples=200, deadline=None)
@given(CLIPS, st.randoms(use_true_random=False))
def test_copies_are_marked_whatever_the_order_of_rows(clips, random):
    names = list(clips)
    random.shuffle(names)
    status = [{"id": name, "member": f"{name}.wav", "status": clips[name][0], "reason": ""} for name in names]
    random.shuffle(names)
    facts = [{"id": name, "pcm_sha256": clips[name][1]} for name in names if clips[name][0] != "missing"]
    found = mark_duplicates(rows_to_table(status, STATUS), rows_to_table(facts, FACTS))
    assert found.schema == STATUS
    rows = [(row["id"], row["member"], row["status"], row["reason"]) for row in found.to_pylist()]
    assert rows == [(name, f"{name}.wav", *values) for name, *values in marked(clips)]


def table_of(*statuses):
    rows = [{"id": f"c{n}", "member": f"{n}.wav", "status": name, "reason": "why"} for n, name in enumerate(statuses)]
    return rows_to_table(rows, STATUS)


def test_counts_are_said_and_few_bad_files_borne(tmp_path, capsys):
    status = table_of("ok", "ok", "missing", "silent")
    check_usable("birds", status, 0.25, tmp_path / "list.csv", is_partial=False)
    assert capsys.readouterr().out == "birds: 1 missing, 2 ok, 1 silent\n"
    check_usable("birds", status, 0.0, tmp_path / "list.csv", is_partial=True)
    assert capsys.readouterr().out.endswith("birds: 3 of 4 requested clips were obtained, 75.0%\n")
    assert not (tmp_path / "list.csv").exists()


@pytest.mark.parametrize(
    ("statuses", "most", "remedy"),
    [
        (["ok", "missing"], 0.4, r"mend the files, or raise resample\.max_bad_fraction$"),
        (["missing", "missing"], 1.0, r"mend the files, or the names in the metadata$"),
    ],
)
def test_too_many_bad_files_are_refused_and_listed(tmp_path, statuses, most, remedy):
    listing = tmp_path / "work" / "list.csv"
    message = rf"^birds: expected at most {most:g} of 2 files unusable: .*1\.wav \(missing: why\).* {remedy}"
    with pytest.raises(DatasetError, match=message):
        check_usable("birds", table_of(*statuses), most, listing, is_partial=False)
    assert "c1,1.wav,missing,why" in listing.read_text()
