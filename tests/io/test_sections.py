from import_closure import ROOT

from audioprep.io.sections import split_sections

PARAMS = """\
datasets: [demo]

recipes:                      # one entry a corpus
  demo:
    window_s: 2.0             # every clip

  'a: b': {recipe: demo}

# what follows
resample:
  rate_hz: 16000
"""


def test_parts_are_the_file_again():
    for name, key in (("params.yaml", "recipes"), ("dvc.yaml", "stages"), ("dvc.lock", "stages")):
        text = (ROOT / name).read_text(encoding="utf-8")
        sections = split_sections(text, key)
        assert sections is not None
        assert sections.text() == text


def test_entries_keep_their_comments_and_blank_lines():
    sections = split_sections(PARAMS, "recipes")
    assert sections is not None
    assert sections.blocks == {
        "demo": "  demo:\n    window_s: 2.0             # every clip\n\n",
        "a: b": "  'a: b': {recipe: demo}\n",
    }
    assert sections.head.endswith("# one entry a corpus\n")
    assert sections.tail.startswith("\n# what follows\nresample:")


def test_what_has_no_such_entries_is_not_split():
    assert split_sections("a: 1\n", "recipes") is None
    assert split_sections("recipes: {}\n", "recipes") is None
    assert split_sections("recipes:\n  a: 1\nrecipes:\n  a: 1\n", "recipes") is None
    assert split_sections("recipes:\n  a: 1\n  a: 2\n", "recipes") is None


def test_an_empty_mapping_has_no_entries():
    sections = split_sections("recipes:\nother: 1\n", "recipes")
    assert sections is not None
    assert (sections.head, sections.blocks, sections.tail) == ("recipes:\n", {}, "other: 1\n")
