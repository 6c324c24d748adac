"""An own corpus: where no groups are given nothing keeps takes of one recording together, and nobody is told otherwise."""

from steps.card_corpus import ABOUT, clip_rows, write_corpus
from steps.clip_rows import BASE, audit_of, facts_of

from audioprep.steps.audit.report import to_markdown
from audioprep.steps.card.page import _verified, card

LINE = "groups: none given; every file counts as its own"


def ungrouped(rows):
    return [row | {"group": row["member"]} for row in rows]


def test_the_audit_says_it():
    rows = ungrouped(BASE)
    found = audit_of(rows, facts_of(rows))
    assert found["notes"] == [LINE]
    assert f"- {LINE}" in to_markdown(found)
    assert audit_of(BASE, facts_of(BASE))["notes"] == []
    one = [*rows[1:], rows[0] | {"group": "g"}]
    assert audit_of(one, facts_of(one))["notes"] == []


def test_the_card_of_an_own_corpus_says_how_to_name_them(tmp_path):
    layout = write_corpus(tmp_path, clips=ungrouped(clip_rows()), about={**ABOUT, "recipe": "folder"})
    card(layout)
    text = (layout.data / "card.md").read_text()
    assert "; no groups are given, so that every file counts as its own." in text
    assert r"- groups: none given; every file counts as its own (name them in metadata.csv, column group)" in text
    assert "| groups |" not in text.split("## Split")[0]


def test_the_card_of_an_own_corpus_names_no_page_and_where_its_hashes_are(tmp_path):
    layout = write_corpus(tmp_path, about={**ABOUT, "recipe": "folder", "homepage": "README.md"})
    card(layout)
    assert "Homepage" not in (layout.data / "card.md").read_text()
    source = {"verified": False, "published": False, "files": []}
    assert _verified(source) == "nothing; each file's sha256 is in facts.parquet"
