"""Which files are in the cache and on a remote, with DVC's own code and a folder for a remote."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from audioprep.errors import ShareError
from audioprep.steps.sharing_objects import SharedFile, not_here, send_lost

STAGES = """\
stages:
  make:
    cmd: mkdir -p out && echo a > out/a && echo b > out/b && echo c > card.md
    outs: [out, card.md]
  other:
    cmd: echo d > other
    outs: [other]
  never:
    cmd: echo e > never
    outs: [never]
"""
LISTING, A, B, CARD = "out/", "out/a", "out/b", "card.md"


def run(*command):
    subprocess.run([sys.executable, "-m", "dvc", *command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pushed(tmp_path_factory):
    """Return a project whose stages `make` and `other` are on the remote `team`, a folder beside it."""
    folder = tmp_path_factory.mktemp("pushed")
    (folder / "project").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "project")
        Path("dvc.yaml").write_text(STAGES)
        run("init", "--no-scm")
        run("config", "core.analytics", "false")
        run("remote", "add", "team", "../team")
        run("repro", "make", "other")
        run("push", "--remote", "team", "make", "other")
    return folder


@pytest.fixture
def project(pushed, tmp_path, monkeypatch):
    """Return a copy of it that may be damaged; it is the current folder."""
    folder = shutil.copytree(pushed, tmp_path / "copy")
    monkeypatch.chdir(folder / "project")
    return folder


def objects(place, *paths):
    """Return where the objects of some files lie, on the remote or in the cache."""
    of = {
        A: "60/b725f10c9c85c70d97880dfe8191b3",
        B: "3b/5d5c3712955042212316173ccf37be",
        CARD: "2c/d6ee2c70b0bde53fbe6cac3c8b8bb1",
    }
    root = Path("../team/files/md5" if place == "team" else ".dvc/cache/files/md5")
    listing = next(root.glob("*/*.dir"), root / "gone")
    return [listing if path == LISTING else root / of[path] for path in paths]


def paths(files):
    return [file.path for file in files]


def test_a_whole_remote_needs_nothing(project):
    assert send_lost(["make", "other", "never"], "team") == ([], [])
    assert not_here(["make", "other", "never"], "team") == ([], [])


def test_a_lost_file_of_a_folder_is_sent_again(project):
    lost = objects("team", A, CARD)
    kept = [path.read_bytes() for path in lost]
    for path in lost:
        path.unlink()
    run("push", "--remote", "team", "make")
    assert not lost[0].exists(), "if DVC mends this itself, much of the module can go"
    sent, nowhere = send_lost(["make"], "team")
    assert (paths(sent), nowhere) == ([A], [])
    assert [path.read_bytes() for path in lost] == kept
    assert send_lost(["make"], "team") == ([], [])


def test_what_is_nowhere_is_named_and_the_rest_is_sent(project):
    for path in [*objects("team", A, B), *objects("cache", A)]:
        path.unlink()
    sent, nowhere = send_lost(["make"], "team")
    assert (paths(sent), paths(nowhere)) == ([B], [A])
    assert str(nowhere[0]) == "out/a (make)"
    assert send_lost(["other"], "team") == ([], [])


def test_what_the_cache_lacks_is_on_the_remote_or_nowhere(project):
    for path in [*objects("team", A), *objects("cache", LISTING, A, B)]:
        path.unlink()
    on_remote, nowhere = not_here(["make", "other"], "team")
    assert (paths(on_remote), paths(nowhere)) == ([B], [A])


def test_a_folder_whose_listing_is_nowhere_is_named_itself(project):
    for path in [*objects("team", LISTING, A), *objects("cache", LISTING)]:
        path.unlink()
    on_remote, (listing,) = not_here(["make"], "team")
    assert on_remote == []
    assert (listing.path, listing.stage, listing.is_listing) == (LISTING, "make", True)
    assert listing > SharedFile(CARD, "make", "")


def test_a_remote_that_takes_nothing_says_why(project, monkeypatch):
    from dvc_data.hashfile.db import HashFileDB

    def add(_self, _paths, _fs, names, *, on_error, **_options):
        for name in names:
            on_error(name, PermissionError("read-only"))

    for path in objects("team", A):
        path.unlink()
    monkeypatch.setattr(HashFileDB, "add", add)
    expected = (
        r"^remote team: expected it to take 1 lost files, got 60b7\w+: PermissionError: read-only; run this again$"
    )
    with pytest.raises(ShareError, match=expected):
        send_lost(["make"], "team")


def test_a_remote_that_cannot_be_asked_is_one_line(project):
    with pytest.raises(
        ShareError, match=r"^remote tea: expected an answer, got RemoteNotFoundError: .*; look at the remote$"
    ):
        not_here(["make"], "tea")
