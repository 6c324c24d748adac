"""Where a corpus is read from: fetched, placed by the user, in pieces, in a folder, or nowhere."""

import hashlib
import shutil
import zipfile

import pytest

from audioprep.config.data import RecipeRule
from audioprep.datasets.recipe import Archive, Recipe, Variant
from audioprep.errors import FetchError
from audioprep.steps import sources as step


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def corpus(*archives, **changes):
    """Return a corpus that is published as these archives."""
    about = {"title": "T", "license": "L", "homepage": "H", "cite": "C", "get": "get it", "window_s": 1.0}
    values = {"name": "corpus", "archives": archives, "clips": lambda *_: (), "variants": (Variant(),)}
    return Recipe(**(about | values | changes))


def find(recipe, store, **rule):
    rule = RecipeRule(**{"recipe": recipe.name, "window_s": 1, "split": "grouped", **rule})
    return step.find_sources(recipe, recipe.variant(rule.variant), rule, store)


@pytest.fixture
def store(tmp_path):
    folder = tmp_path / "archives" / "corpus"
    folder.mkdir(parents=True)
    return folder


def test_what_is_there_is_verified_and_what_is_not_is_fetched(store, monkeypatch, capsys):
    def fetch(wanted):
        for file in wanted:
            file.path.write_bytes(b"fetched")
        fetched.append([(file.path.name, file.urls) for file in wanted])

    fetched = []
    monkeypatch.setattr(step, "fetch", fetch)
    (store / "a.zip").write_bytes(b"a")
    recipe = corpus(
        Archive("a.zip", url="https://x.org/a.zip", sha256=sha256(b"a")),
        Archive("b.zip", url="https://x.org/b.zip", mirrors=("https://y.org/b.zip",), folder="b"),
    )
    found = find(recipe, store)
    assert fetched == [[("b.zip", ("https://x.org/b.zip", "https://y.org/b.zip"))]]
    assert capsys.readouterr().out == "corpus: downloading b.zip\n"
    assert found[0] == {
        "files": [{"name": "a.zip", "bytes": 1, "sha256": sha256(b"a")}],
        "folder": "",
        "in_root": False,
        "origin": "https://x.org/a.zip",
        "sha256": sha256(b"a"),
        "published": True,
        "verified": True,
    }
    assert (found[1]["folder"], found[1]["verified"]) == ("b", False)


def test_a_wrong_hash_is_refused_and_the_file_kept(store):
    (store / "a.zip").write_bytes(b"other")
    recipe = corpus(Archive("a.zip", url="https://x.org/a.zip", sha256=sha256(b"a")))
    with pytest.raises(FetchError, match=rf"a\.zip: expected sha256 {sha256(b'a')}.*, got .*{sha256(b'other')}"):
        find(recipe, store)
    assert (store / "a.zip").read_bytes() == b"other"


def test_a_closed_corpus_says_where_to_ask_and_what_to_place(store):
    recipe = corpus(
        Archive("a.zip", pieces=(Archive("a.1", sha256="1" * 64), Archive("a.2", md5="2" * 32))),
        Archive("b.zip"),
        ask="https://x.org/form",
    )
    message = (
        rf"^corpus: expected a\.1 \(sha256 1+\), a\.2 \(md5 2+\), b\.zip \(no hash is published\) in {store}, found none; "
        r"ask for them at https://x\.org/form, then place them there, or give their folder with --archive PATH$"
    )
    with pytest.raises(FetchError, match=message):
        find(recipe, store)
    with pytest.raises(FetchError, match=r"found none; get it, then place them there"):
        find(corpus(Archive("b.zip")), store)


PIECES = Archive(
    "a.zip",
    pieces=(Archive("a.z01", md5=hashlib.md5(b"1").hexdigest()), Archive("a.zip", md5=hashlib.md5(b"2").hexdigest())),
)


def test_pieces_come_in_their_order_and_each_is_verified(store):
    (store / "a.z01").write_bytes(b"1")
    (store / "a.zip").write_bytes(b"2")
    (source,) = find(corpus(PIECES), store)
    assert [file["name"] for file in source["files"]] == ["a.z01", "a.zip"]
    assert source["verified"]
    assert source["sha256"] == sha256(f"{sha256(b'1')}\n{sha256(b'2')}".encode())


def test_pieces_that_the_user_has_joined_are_one_file(store):
    (store / "a.zip").write_bytes(b"12")
    (source,) = find(corpus(PIECES), store)
    assert [file["name"] for file in source["files"]] == ["a.zip"]
    assert not source["verified"], "no hash of the joined file is published"
    (store / "a.zip").write_bytes(b"2")
    with pytest.raises(FetchError, match=r"^corpus: expected a\.z01 \(md5 \w+\) in"):
        find(corpus(PIECES), store)


def test_only_the_archives_of_the_variant_are_needed(store):
    (store / "b.zip").write_bytes(b"b")
    recipe = corpus(
        Archive("a.zip", variants=("a",)), Archive("b.zip", variants=("b",)), variants=(Variant("a"), Variant("b"))
    )
    (source,) = find(recipe, store, variant="b")
    assert source["files"][0]["name"] == "b.zip"


def test_a_folder_takes_the_place_of_archives_but_not_of_metadata(store, tmp_path, monkeypatch):
    root = tmp_path / "unpacked"
    root.mkdir()
    with zipfile.ZipFile(root / "audio.zip", "w") as archive:
        archive.writestr("1.wav", b"")
    monkeypatch.setattr(step, "fetch", lambda wanted: [file.path.write_bytes(b"x") for file in wanted])
    recipe = corpus(
        Archive("audio.zip", folder="audio"),
        Archive("list.csv", url="https://x.org/list.csv", is_metadata=True),
    )
    folder, packed, metadata = find(recipe, store, root=str(root))
    assert (folder["in_root"], folder["files"]) == (True, [])
    assert (packed["in_root"], packed["files"][0]["name"], packed["folder"]) == (True, "audio.zip", "audio")
    assert (metadata["in_root"], metadata["files"][0]["name"]) == (False, "list.csv")
    shutil.copyfile(store / "list.csv", root / "list.csv")
    assert len(find(recipe, store, root=str(root))) == 2, "a copy in the folder will do"


@pytest.mark.parametrize(
    ("recipe", "rule", "message"),
    [
        (corpus(), {}, r"^corpus: expected a folder, got none; give it with --root PATH$"),
        (
            corpus(),
            {"root": "/nowhere"},
            r"^/nowhere: expected a folder, found none; give the folder with the recordings with --root PATH$",
        ),
        (
            corpus(Archive("a.zip")),
            {"archive": "mine.zip"},
            r"mine\.zip: expected the user-placed archive, found none; give it again with --archive PATH$",
        ),
    ],
)
def test_a_source_that_is_not_there_is_one_line(store, recipe, rule, message):
    with pytest.raises(FetchError, match=message):
        find(recipe, store, **rule)


@pytest.mark.parametrize(
    ("archive", "verified", "said"),
    [
        (Archive("a.zip", sha256=sha256(b"mine")), True, ""),
        (Archive("a.zip", md5="0" * 32), False, "published 000000000000…); it is used as it is\n"),
        (Archive("a.zip"), False, "none is published); it is used as it is\n"),
    ],
)
def test_a_user_placed_archive_is_used_and_compared(store, capsys, archive, verified, said):
    (store / "mine.zip").write_bytes(b"mine")
    (source,) = find(corpus(archive), store, archive="mine.zip")
    assert (source["origin"], source["verified"]) == ("user-placed", verified)
    assert capsys.readouterr().out.endswith(said)
