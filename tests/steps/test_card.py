"""The dataset card: what it says is true, it reads as Markdown, and the same corpus gives the same bytes."""

import csv
import json
import re
import shutil
from xml.etree import ElementTree as ET

import pytest
from ruamel.yaml import YAML
from steps.card_corpus import BY, ZERO, change_audit, clip_rows, write_corpus
from steps.small_corpus import tree

from audioprep.errors import ShardError
from audioprep.io.layout import Layout
from audioprep.steps.card.licenses import front_matter, license_name
from audioprep.steps.card.page import card, size_category

HUB_KEYS = {"pretty_name", "license", "task_categories", "size_categories"}


def made(layout):
    """Write a card and return its text, and its summary."""
    card(layout)
    return (layout.data / "card.md").read_text(), json.loads((layout.data / "card/summary.json").read_text())


def front(text):
    return YAML(typ="safe").load(text.split("---\n")[1])


def tables(text):
    """Return the tables of a Markdown page as rows of cells; a bar after a backslash is text."""
    found, rows = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif rows:
            found.append(rows)
            rows = []
    return found


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A corpus without a card; not to be changed."""
    return write_corpus(tmp_path_factory.mktemp("toy") / "data")


@pytest.fixture
def layout(toy, tmp_path):
    """A corpus of one's own."""
    shutil.copytree(toy.data, tmp_path / "toy")
    return Layout.in_folder("toy", tmp_path / "toy")


def test_the_summary_counts_what_is_there(layout):
    _, summary = made(layout)
    # Of 40 clips one is missing, one cannot be decoded and one is silent; 37 are used.
    assert summary["counts"] == {"declared": 40, "missing": 1, "decoded": 38, "used": 37, "groups": 20, "classes": 4}
    assert summary["coverage"] == 39 / 40
    used = [number for number in range(40) if number not in (3, 7, 11)]
    assert summary["hours"] == round(sum((0.5, 1.0, 4.0)[number % 3] for number in used) / 3600, 4)
    assert {row["status"]: (row["clips"], row["used"]) for row in summary["statuses"]} == {
        "ok": (37, 37),
        "decode_error": (1, 0),
        "missing": (1, 0),
        "silent": (1, 0),
    }
    classes = {row["label"]: row["clips"] for row in summary["classes"]}
    assert classes == {"bell": 20, "_silence_": 10, "a | b": 10, "<b>rain</b>": 7}
    assert summary["labels_per_clip"] == round(47 / 37, 3)
    assert (summary["durations"]["shortest_s"], summary["durations"]["longest_s"]) == (0.5, 4.0)
    assert sum(summary["durations"]["clips"]) == 37
    assert sum(summary["loudness"]["clips"]) + summary["loudness"]["without"] == 37
    assert summary["source_rates"] == [{"rate_hz": 44_100, "clips": 37}]


def test_the_split_table_says_what_each_role_holds(layout):
    _, summary = made(layout)
    rows = {row["role"]: row for row in summary["split"]["roles"]}
    assert rows["train"]["clips"] + rows["valid"]["clips"] + rows["test"]["clips"] == 37
    assert (rows["test"]["clips"], rows["test"]["groups"], rows["test"]["classes"]) == (8, 8, 2)
    tested = [number for number in range(40) if number % 10 in (2, 4)]
    assert rows["test"]["minutes"] == round(sum((0.5, 1.0, 4.0)[number % 3] for number in tested) / 60, 2)
    assert summary["split"]["num_folds"] == 1


def test_the_card_says_it_in_words(layout):
    text, _ = made(layout)
    for said in (
        "37 clips in 4 classes",
        "Of the 40 clips that the corpus has, 97.5 % were there.",
        "> **Notice:** recordings of real people's voices",
        "Licence of the corpus: CC-BY-4.0.",
        "> Toys, 2020",
        "Homepage: <https://example.org/toy>",
        "`toy.zip` | 3.0 MiB | `abab",
        "its published hash | <https://example.org/toy.zip> |",
        "- toy_00 is upside down",
        "| missing | 1 | 0 | `audio/toy_03.wav` (it is missing) |",
        "Known: cut twice.",
        "published formats | WAV/PCM_16 (",
        "1 clip is silent or too short for a loudness",
    ):
        assert said in text
    assert str(layout.data) not in text + (layout.data / "card/summary.json").read_text()


def test_the_card_is_sound_markdown(layout):
    text, _ = made(layout)
    assert text.endswith("\n")
    assert "\n\n\n" not in text
    for rows in tables(text):
        assert len({len(row) for row in rows}) == 1, rows[0]
        assert all(re.fullmatch(r"-{3}:?", cell) for cell in rows[1])
    assert r"# Toy: sounds \*of\* toys" in text
    names = next(rows for rows in tables(text) if rows[0][0] == "class")
    assert [row[0] for row in names[2:]] == ["bell", r"\_silence\_", r"a \| b", r"\<b\>rain\</b\>"]
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert all((layout.data / link).is_file() for link in links)


def test_the_pictures_are_drawings(layout):
    card(layout)
    pictures = sorted((layout.data / "card").glob("*.svg"))
    assert [path.name for path in pictures] == ["classes.svg", "durations.svg", "loudness.svg"]
    for path in pictures:
        assert ET.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert "dc:date" not in path.read_text()


def test_the_same_corpus_gives_the_same_bytes_in_whatever_order_its_rows_are(layout, tmp_path):
    card(layout)
    first = tree(layout.data / "card") | {"card.md": (layout.data / "card.md").read_text()}
    card(layout)
    assert tree(layout.data / "card") | {"card.md": (layout.data / "card.md").read_text()} == first
    other = write_corpus(tmp_path / "elsewhere", backwards=True)
    card(other)
    assert tree(other.data / "card") | {"card.md": (other.data / "card.md").read_text()} == first


def test_the_front_matter_is_what_the_hub_reads(layout):
    text, _ = made(layout)
    values = front(text)
    assert values.keys() == HUB_KEYS
    assert values["license"] == ["cc-by-3.0", "cc-by-4.0", "cc0-1.0"]
    assert values["task_categories"] == ["audio-classification"]
    assert values["size_categories"] == ["n<1K"]
    assert values["pretty_name"] == "Toy: sounds *of* toys"


@pytest.mark.parametrize(
    ("licenses", "expected"),
    [
        (["CC-BY-NC-3.0"], {"license": "cc-by-nc-3.0"}),
        (["CC BY 4.0"], {"license": "cc-by-4.0"}),
        (["of each video; labels CC-BY-4.0"], {"license": "other", "license_name": "of-each-video-labels-cc-by-4.0"}),
        (["CC-BY-3.0", "CC-Sampling-Plus-1.0", "mine"], {"license": ["cc-by-3.0", "other"]}),
        ([""], {}),
    ],
)
def test_licences_in_the_words_of_the_hub(licenses, expected):
    assert front_matter(licenses) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (BY, "CC-BY-3.0"),
        (ZERO, "CC0-1.0"),
        ("https://creativecommons.org/licenses/by-nc-nd/2.0/fr/", "CC-BY-NC-ND-2.0-FR"),
        ("public domain", "public domain"),
    ],
)
def test_a_licence_has_a_name(text, name):
    assert license_name(text) == name


def test_clips_with_a_licence_of_their_own_are_listed_and_attributed(layout):
    text, summary = made(layout)
    # Clip 5 has none of its own: the corpus's holds.
    assert summary["licenses"] == [
        {"license": "CC0-1.0", "clips": 20},
        {"license": "CC-BY-3.0", "clips": 19},
        {"license": "CC-BY-4.0", "clips": 1},
    ]
    assert "[attribution.csv](card/attribution.csv)" in text
    with (layout.data / "card/attribution.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert rows[4] == {"id": "toy_04", "license": ZERO, "group": "g2", "uploader": "user 1"}
    assert rows[5] == {"id": "toy_05", "license": "CC-BY-4.0", "group": "g2", "uploader": ""}


def test_without_attributes_there_is_nothing_to_attribute(tmp_path):
    layout = write_corpus(tmp_path / "toy", clips=[row | {"attributes": {"device": "a"}} for row in clip_rows()])
    text, summary = made(layout)
    assert "attribution.csv" not in text
    assert not (layout.data / "card/attribution.csv").exists()
    assert summary["licenses"] == []
    assert front(text)["license"] == "cc-by-4.0"


def test_a_corpus_with_nothing_to_say_has_no_empty_sections(tmp_path):
    silent = dict.fromkeys(("license", "homepage", "cite", "notice"), "") | {"defects": [], "is_multi_label": False}
    layout = write_corpus(tmp_path / "toy", about=silent, durations_s=(2.0,))
    text, summary = made(layout)
    for left_out in ("Notice", "Cite", "Homepage", "Known defects", "labels on average", "Licence of the corpus"):
        assert left_out not in text
    assert "Every clip lasts 2 s." in text
    assert summary["durations"]["clips"][-1] == 37


def test_many_classes_are_all_in_a_file(tmp_path):
    labels = tuple(f"class {number:02d}" for number in range(70))
    text, summary = made(write_corpus(tmp_path / "toy", clips=clip_rows(400, labels)))
    rows = next(rows for rows in tables(text) if rows[0][0] == "class")
    assert len(rows) == 2 + 50
    assert "and 20 more, all of them in [classes.csv](card/classes.csv)." in text
    assert len(summary["classes"]) == 70
    assert len((tmp_path / "toy/card/classes.csv").read_text().splitlines()) == 71
    assert "<text" not in (tmp_path / "toy/card/classes.svg").read_text()  # fonts differ from machine to machine


def test_lengths_that_are_far_apart_get_widening_bins(tmp_path):
    layout = write_corpus(tmp_path / "toy", durations_s=(0.5,) * 12 + (700.0,))
    _, summary = made(layout)
    edges_s = summary["durations"]["edges_s"]
    assert edges_s == [0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert sum(summary["durations"]["clips"]) == 37


def test_no_sort_of_finding_hides_another(layout):
    found = {"severity": "warning", "scope": "inside", "known": "", "ids": ["toy_01"], "num_ids": 4}
    findings = [found | {"kind": "identical_file", "what": f"file {number}"} for number in range(90)]
    findings.append(found | {"kind": "missing_class", "what": "fold1 test lacks bell"})
    findings.append(found | {"kind": "shared_group", "severity": "leak", "known": "cut twice", "what": "group g1"})
    change_audit(layout, findings=findings)
    text, _ = made(layout)
    assert text.count("identical file, file") == 5
    assert "- warning, inside: missing class, fold1 test lacks bell: `toy_01` and 3 more." in text
    new, known = text.split("### New")[1].split("### Known")
    assert "group g1" in known
    assert "group g1" not in new


def test_an_audit_that_found_nothing(layout):
    change_audit(layout, findings=[], counts=[])
    text, _ = made(layout)
    assert "found no new leaks between train, valid and test." in text
    assert "Nothing was found: train, valid and test share no group, no file, no audio." in text


def test_everything_is_said_of_a_split_once(layout):
    change_audit(layout, about="as published", valid="drawn from train", notes=["no valid part; drawn from train"])
    assert made(layout)[1]["split"]["about"] == ["as published", "no valid part; drawn from train"]
    change_audit(layout, about="", valid="as published", notes=[])
    assert made(layout)[1]["split"]["about"] == ["valid: as published"]


def test_a_card_needs_a_split(layout):
    (layout.splits / "audit.json").unlink()
    with pytest.raises(ShardError, match=r"audit.json: expected the audit of a split, got none; run the split stage"):
        card(layout)


@pytest.mark.parametrize(
    ("num_clips", "category"),
    [(999, "n<1K"), (1000, "1K<n<10K"), (51_197, "10K<n<100K"), (305_979, "100K<n<1M"), (2_084_320, "1M<n<10M")],
)
def test_sizes_as_the_hub_has_them(num_clips, category):
    assert size_category(num_clips) == category


def test_a_prepared_folder_gets_its_card(prepared, tmp_path):
    shutil.copytree(prepared.out, tmp_path / "small")
    text, summary = made(Layout.in_folder("small", tmp_path / "small"))
    assert "# small: A folder of your own recordings" in text
    assert "21 clips in 3 classes" in text
    assert summary["split"]["num_folds"] == 3
    assert [row["role"] for row in summary["split"]["roles"]] == ["train", "valid", "test"] * 3
    assert "the header declares 16000 bytes of samples more than there are" in text
