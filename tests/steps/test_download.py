"""Archives and folders: verified, listed, and one clear line for what is wrong with them."""

import json
import zipfile
from dataclasses import replace

import pytest
from steps.small_corpus import Run, tree

from audioprep.config.data import RecipeRule, ResampleRule
from audioprep.datasets.esc50 import RECIPE
from audioprep.engine import file_sha256
from audioprep.errors import DatasetError, FetchError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_about, read_ledger
from audioprep.io.places import source_places
from audioprep.io.tables import read_table
from audioprep.steps import download as step
from audioprep.steps.resample import resample

HEADER = "filename,fold,target,category,esc10,src_file,take\n"
TABLE = HEADER + "1-1-A-0.wav,1,0,dog,True,1,A\n2-2-A-1.wav,2,1,rain,True,2,A\n"


def write_archive(path, table=TABLE):
    """Write a zip in the layout of ESC-50 with one of its two files."""
    files = {"ESC/audio/1-1-A-0.wav": b"no audio"}
    if table is not None:
        files["ESC/meta/esc50.csv"] = table.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return path


@pytest.fixture
def layout(tmp_path):
    return Layout.in_folder("esc50", tmp_path)


@pytest.fixture
def recipe(monkeypatch):
    """Let a test replace parts of the ESC-50 recipe."""

    def change(archive, num_clips=None, num_classes=None, **changes):
        variant = replace(RECIPE.variants[0], num_clips=num_clips, num_classes=num_classes, splits=())
        archive = replace(RECIPE.archives[0], num_bytes=None, **archive)
        recipe = replace(RECIPE, archives=(archive,), variants=(variant,), **changes)
        monkeypatch.setattr(step, "load_recipe", lambda _: recipe)

    return change


def rule(**changes):
    return RecipeRule(**{"recipe": "esc50", "window_s": 5, "split": "official-5fold", **changes})


def test_a_user_placed_archive_is_used_and_said(layout, capsys):
    path = write_archive(layout.archives / "esc50" / "mine.zip")
    step.download(layout, rule(archive="mine.zip"))
    sha256 = file_sha256(path)
    assert capsys.readouterr().out.splitlines() == [
        f"esc50: mine.zip is not the published archive (sha256 {sha256[:12]}…, published 661183a6f53e…); it is used as it is",
        (
            "esc50: not the published counts: 2 of 2000 clips; 2 of 50 classes; 1 of 400 clips in official-5fold/1; "
            "1 of 400 clips in official-5fold/2; 0 of 400 clips in official-5fold/3; and 2 more"
        ),
    ]
    assert read_ledger(layout)["sources"] == [
        {
            "files": [{"name": "mine.zip", "bytes": path.stat().st_size, "sha256": sha256}],
            "folder": "",
            "in_root": False,
            "origin": "user-placed",
            "sha256": sha256,
            "published": True,
            "verified": False,
        }
    ]
    assert read_about(layout)["splits"]["official-5fold"]["known"]["134049"] == "hen in fold 2, rooster in fold 3"
    clips = read_table(layout.raw / "clips.parquet").to_pylist()
    assert [(row["id"], row["group"], row["splits"], row["labels"]) for row in clips] == [
        ("1-1-A-0", "1", [("official-5fold", "1")], ["dog"]),
        ("2-2-A-1", "2", [("official-5fold", "2")], ["rain"]),
    ]
    files = read_table(layout.raw / "files.parquet").to_pylist()
    assert files[0]["digest"].startswith("crc32:")
    assert files[1]["digest"] is None, "its file is not there"
    with pytest.raises(
        DatasetError, match=r"2 failed: .+A-0\.wav \(decode_error: Format not recognised\.\); .+ \(missing: the"
    ):
        resample(layout, source_places(layout, None), ResampleRule())


def test_a_published_archive_must_have_the_published_counts(layout, recipe):
    path = write_archive(layout.archives / "esc50" / "ESC-50.zip")
    recipe(archive={"sha256": file_sha256(path)}, num_clips=2, num_classes=2)
    step.download(layout, rule())
    assert read_ledger(layout)["sources"][0]["verified"]
    recipe(archive={"sha256": file_sha256(path)}, num_clips=3)
    message = r"^esc50: expected the published counts, got 2 of 3 clips; recipe and archive disagree, see audioprep/datasets/esc50"
    with pytest.raises(DatasetError, match=message):
        step.download(layout, rule())


def test_a_published_archive_that_was_placed_by_the_user_is_verified(layout, recipe, capsys):
    path = write_archive(layout.archives / "esc50" / "mine.zip")
    recipe(archive={"sha256": file_sha256(path)}, num_clips=2, num_classes=2)
    step.download(layout, rule(archive="mine.zip"))
    assert read_ledger(layout)["sources"][0]["verified"]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            None,
            FetchError,
            r"mine\.zip: expected a member 'meta/esc50\.csv', found none among 1; the archive is incomplete",
        ),
        (
            "filename,fold\n1-1-A-0.wav,1\n",
            DatasetError,
            (
                r"^esc50: expected metadata as published, got KeyError '(category|src_file)'; recipe and archive disagree, see "
                r"audioprep/datasets/esc50\.py$"
            ),
        ),
        (
            TABLE.replace(",2,", ",two,"),
            DatasetError,
            r"^esc50: expected a fold from 1, or train, valid, test, got 'two' for clip 2-2-A-1 in split official-5fold; recipe",
        ),
        (
            HEADER + "1-1-A-0.wav,1,0,dog,True,1,A\n",
            DatasetError,
            r"^esc50: expected at least two classes, got 1 clips of dog; a classifier needs two$",
        ),
        (HEADER, DatasetError, r"^esc50: expected at least two classes, got 0 clips of none; a classifier needs two$"),
    ],
)
def test_metadata_that_does_not_fit_is_one_line(layout, table, error, message):
    write_archive(layout.archives / "esc50" / "mine.zip", table)
    with pytest.raises(error, match=message):
        step.download(layout, rule(archive="mine.zip"))
    assert not layout.raw.exists(), "nothing half-written"


def test_a_generated_archive_is_made_anew_as_one_that_is_there_may_be_of_earlier_code(layout, recipe):
    made = []

    def make(path):
        made.append(path)
        write_archive(path)

    recipe(archive={"url": None, "sha256": None, "make": make})
    step.download(layout, rule())
    first = (layout.raw / "download.json").read_bytes()
    step.download(layout, rule())
    assert made == [layout.archives / "esc50" / "ESC-50.zip"] * 2
    assert read_ledger(layout)["sources"][0]["origin"] == "generated"
    assert (layout.raw / "download.json").read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"archive": "gone.zip"},
            r"gone\.zip: expected the user-placed archive, found none; give it again with --archive PATH$",
        ),
        ({"recipe": "folder"}, r"^folder: expected a folder, got none; give it with --root PATH$"),
        (
            {"recipe": "folder", "root": "/nowhere"},
            r"^/nowhere: expected a folder, found none; give the folder with the recordings with --root PATH$",
        ),
    ],
)
def test_a_source_that_is_not_there_is_one_line(layout, changes, message):
    with pytest.raises(FetchError, match=message):
        step.download(layout, rule(**changes))


def test_a_folder_is_listed_with_its_hashes_and_what_is_left_out(corpus, tmp_path, capsys):
    root = tmp_path / "birds"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        (root / label / "1.wav").write_bytes((corpus / "bell" / "0.wav").read_bytes())
    (root / "a" / "2.wav").write_bytes(b"")
    (root / "notes.txt").touch()
    (root / "metadata.csv").write_text("file_name,label\na/1.wav,a\nb/1.wav,b\nb/9.wav,b\n")
    run = Run(root, tmp_path / "out")
    run.download()
    assert capsys.readouterr().out.splitlines() == [
        f"{root}: 1 audio files are not in the metadata and are left out, a/2.wav among them",
        f"{root}: left out as no audio: 1 .txt",
    ]
    sha256 = file_sha256(root / "a" / "1.wav")
    files = read_table(run.layout.raw / "files.parquet").to_pylist()
    assert {row["member"]: row["digest"] for row in files} == {
        "a/1.wav": f"sha256:{sha256}",
        "b/1.wav": f"sha256:{sha256}",
        "b/9.wav": None,
    }
    first = tree(run.layout.raw)
    run.download()
    assert tree(run.layout.raw) == first
    (root / "a" / "1.wav").write_bytes(b"changed")
    run.download()
    assert {name for name, digest in tree(run.layout.raw).items() if first[name] != digest} == {"files.parquet"}
    assert str(root) not in json.dumps(read_ledger(run.layout))


def test_a_file_that_changes_after_the_download_stage_is_said(corpus, tmp_path):
    root = tmp_path / "birds"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        (root / label / "1.wav").write_bytes((corpus / "bell" / "0.wav").read_bytes())
    run = Run(root, tmp_path / "out")
    run.download()
    (root / "b" / "1.wav").write_bytes((corpus / "rain" / "0.wav").read_bytes())
    message = r"^b/1\.wav: expected the file that was listed, got another or none; prepare the corpus again$"
    with pytest.raises(FetchError, match=message):
        run.resample()
    (root / "b" / "1.wav").unlink()
    with pytest.raises(FetchError, match=message):
        run.resample()
    assert not run.layout.audio.exists()


def test_a_file_that_cannot_be_opened_is_counted(corpus, tmp_path, monkeypatch):
    root = tmp_path / "birds"
    for label in ("a", "b"):
        (root / label).mkdir(parents=True)
        (root / label / "1.wav").write_bytes((corpus / "bell" / "0.wav").read_bytes())

    def refuse(path):
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied")
        return file_sha256(path)

    monkeypatch.setattr("audioprep.io.archives.folders.file_sha256", refuse)
    run = Run(root, tmp_path / "out")
    run.download()
    with pytest.raises(
        DatasetError, match=r"1 failed: b/1\.wav \(unreadable: it is there, and cannot be opened\); the full"
    ):
        run.resample()


def test_a_damaged_member_is_counted_without_this_machines_path(tmp_path, layout, corpus):
    path = layout.archives / "esc50" / "mine.zip"
    path.parent.mkdir(parents=True)
    sound = (corpus / "bell" / "0.wav").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("meta/esc50.csv", TABLE)
        archive.writestr("audio/1-1-A-0.wav", sound)
        archive.writestr("audio/2-2-A-1.wav", sound)
    data = path.read_bytes()
    path.write_bytes(data[:-2000] + bytes([data[-2000] ^ 1]) + data[-1999:])
    step.download(layout, rule(archive="mine.zip"))
    resample(layout, source_places(layout, None), ResampleRule(max_bad_fraction=0.5))
    statuses = read_table(layout.audio / "status.parquet").to_pylist()
    assert [(row["status"], row["reason"]) for row in statuses] == [
        ("ok", ""),
        (
            "unreadable",
            (
                "expected a whole zip at audio/2-2-A-1.wav, got a damaged one (Bad CRC-32 for file 'audio/2-2-A-1.wav'); "
                "delete it and get it again"
            ),
        ),
    ]


def test_files_that_differ_in_their_suffix_alone_are_said_to_be_numbered(corpus, tmp_path, capsys):
    root = tmp_path / "birds"
    for name in ("a/1.wav", "a/1.ogg", "b/1.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    Run(root, tmp_path / "out").download()
    (line,) = capsys.readouterr().out.splitlines()
    assert (
        "1 name of several files, as a/1.ogg and a/1.wav: their clips are numbered, a--1-1 and on, and anew where"
        in line
    )
