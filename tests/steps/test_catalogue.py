"""The corpora as plain values: whole, JSON, and what the README's table says of them."""

import json
import re

from import_closure import ROOT

from audioprep.datasets import all_recipes
from audioprep.steps.catalogue import catalogue

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_corpus_is_there_in_full_and_fits_json():
    corpora = json.loads(json.dumps(catalogue()))
    assert [corpus["name"] for corpus in corpora] == [recipe.name for recipe in all_recipes()]
    (esc50,) = [corpus for corpus in corpora if corpus["name"] == "esc50"]
    (variant,) = esc50["variants"]
    assert (variant["num_clips"], variant["num_classes"], variant["default_split"]) == (2000, 50, "official-5fold")
    assert "131943" in variant["splits"][0]["known"]
    assert esc50["archives"][0]["num_bytes"] == 645_832_161


def test_the_readme_has_one_row_for_each_corpus():
    _, table = README.split("| corpus | clips |")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \| ([^|]*) \|", table.split("\n\n")[0], flags=re.MULTILINE)
    corpora = {corpus["name"]: corpus["variants"][0] for corpus in catalogue()}
    assert [name for name, *_ in rows] == sorted(corpora)
    for name, num_clips, num_classes in rows:
        declared = (corpora[name]["num_clips"], corpora[name]["num_classes"])
        assert (num_clips, num_classes) == tuple("-" if value is None else f"{value:,}" for value in declared), name
