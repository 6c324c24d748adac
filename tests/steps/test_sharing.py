"""What is checked and said around DVC's commands, which are played here; tests/pipeline has the real ones."""

import json
import subprocess

import pytest

from audioprep.errors import DvcError, ShareError
from audioprep.steps import sharing
from audioprep.steps.sharing import restore, share
from audioprep.steps.sharing_objects import SharedFile

LOCK = """\
schema: '2.0'
stages:
  features@esc50-logmel:
    cmd: python stages/features.py esc50 logmel
    deps:
    - path: data/esc50/audio
      hash: md5
      md5: a.dir
    outs:
    - path: data/esc50/logmel
      hash: md5
      md5: b.dir
      size: 1500000
      nfiles: 10
  card@esc50:
    cmd: python stages/card.py esc50
    outs:
    - path: data/esc50/card
      hash: md5
      md5: c.dir
      size: 500000
      nfiles: 3
    - path: data/esc50/card.md
      hash: md5
      md5: d
      size: 10
  card@demo:
    cmd: python stages/card.py demo
    outs:
    - path: data/demo/card.md
      hash: md5
      md5: e
      size: 2000
"""
STAGES = "features@esc50-logmel\ncard@esc50\ncard@demo\ntrain@esc50\n"
CARD = SharedFile("data/esc50/card.md", "card@esc50", "d")
LOGMEL = SharedFile("data/esc50/logmel/", "features@esc50-logmel", "b.dir")
SHARD = SharedFile("data/esc50/logmel/part-000000.parquet", "features@esc50-logmel", "f")


class Dvc:
    """Plays DVC: `answers` by the first words of a command; an exception is raised."""

    def __init__(self):
        self.calls = []
        self.answers = {
            "remote list": "http\thttps://host/path\nteam\ts3://bucket/path\t(default)\n",
            "stage list": STAGES,
            "status": "{}",
        }
        # What `send_lost` and `not_here` say: sent or on the remote, and nowhere; an exception is raised.
        self.files = ([], [])

    def asked(self, stages, remote):
        self.calls.append(f"{remote}: {' '.join(stages)}")
        if isinstance(self.files, Exception):
            raise self.files
        return self.files

    def __call__(self, *arguments, quiet=False, shows_output=True):
        command = " ".join(arguments)
        self.calls.append(command)
        answer = next((text for start, text in self.answers.items() if command.startswith(start)), "")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def dvc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.lock").write_text(LOCK)
    (tmp_path / "params.yaml").write_text("datasets: [esc50, demo]\n")
    for path in ("esc50/logmel", "esc50/card", "esc50/card.md", "demo/card.md"):
        (tmp_path / "data" / path).mkdir(parents=True)
    played = Dvc()
    monkeypatch.setattr(sharing, "dvc", played)
    monkeypatch.setattr(sharing, "send_lost", played.asked)
    monkeypatch.setattr(sharing, "not_here", played.asked)
    return played


@pytest.mark.parametrize(
    ("listed", "name", "message"),
    [
        ("", None, "remote: expected a place to share, got none; dvc remote add -d team s3://bucket/path"),
        ("a\ts3://a\nb\ts3://b\n", None, "remote: expected a default one of a, b, got none; dvc remote default NAME"),
        ("a\ts3://a\n", "b", "remote: expected one of a, got 'b'; choose one of them"),
    ],
)
@pytest.mark.parametrize("act", [share, lambda names, remote: restore(names, (), remote)])
def test_without_a_remote_nothing_starts(dvc, listed, name, message, act):
    dvc.answers["remote list"] = listed
    with pytest.raises(ShareError) as failure:
        act((), name)
    assert str(failure.value) == message
    assert dvc.calls == ["remote list"]


def test_unknown_corpora_and_stages_are_named(dvc):
    with pytest.raises(
        ShareError, match=r"corpus in params.yaml: expected one of demo, esc50, got 'esc5'; did you mean"
    ):
        share(["esc5"], None)
    with pytest.raises(
        ShareError, match=r"stage: expected one of card, features, train, got 'crad'; did you mean 'card'"
    ):
        restore((), ["crad"], None)


def test_a_lock_that_names_nothing_says_how_to_get_one(dvc, tmp_path):
    message = r"dvc.lock: expected the outputs of train@esc50, got none; dvc repro makes them, dvc repro --pull takes"
    with pytest.raises(ShareError, match=message):
        restore(["esc50"], ["train"], None)
    (tmp_path / "dvc.lock").unlink()
    with pytest.raises(ShareError, match=r"dvc.lock: expected the outputs of card@demo, got none"):
        share(["demo"], None)


def test_share_pushes_the_run_cache_and_says_what_is_there(dvc, capsys):
    share((), None)
    assert dvc.calls[2:] == ["status --json", "push --run-cache", "team: features@esc50-logmel card@esc50 card@demo"]
    said = capsys.readouterr().out
    assert "never run, so not shared: train@esc50; dvc repro makes them" in said
    assert "on team (s3://bucket/path): 3 stages, 15 files, 2.0 MB" in said


def test_share_of_one_corpus_to_another_remote_over_http(dvc, capsys):
    share(["demo"], "http")
    assert "push --remote http card@demo" in dvc.calls
    said = capsys.readouterr().out
    assert "on http (https://host/path): 1 stages, 1 files, 2.0 kB" in said
    assert "a remote over HTTP holds no run cache" in said


def test_share_warns_where_the_pipeline_is_not_reproduced(dvc, capsys):
    deps = {
        "audioprep/dsp/mel.py": "modified",
        "data/esc50/audio": "deleted",
        "params.yaml": {"features.logmel": "modified"},
    }
    dvc.answers["status"] = json.dumps(
        {
            "features@esc50-logmel": [{"changed deps": deps}, {"changed outs": {"data/esc50/logmel": "deleted"}}],
            "card@esc50": [{"changed outs": {"data/esc50/card": "not in cache"}}],
            "card@demo": ["changed command"],
            "train@esc50": [{"changed deps": {"params.yaml": "new"}}],
        }
    )
    share((), None)
    expected = (
        "not up to date: features@esc50-logmel (audioprep/dsp/mel.py, params.yaml: features.logmel), card@demo (changed "
        "command), and what follows from them; what is shared is what dvc.lock names; for what is here: dvc repro, then share"
    )
    assert expected in capsys.readouterr().out


def test_share_names_what_the_remote_had_lost(dvc, capsys):
    dvc.files = ([SHARD], [])
    share((), None)
    assert f"sent again, as team had lost it: {SHARD.path} (features@esc50-logmel)\n" in capsys.readouterr().out


def test_share_fails_where_something_is_not_on_the_remote_afterwards(dvc):
    dvc.files = ([], [CARD])
    with pytest.raises(
        ShareError, match=r"remote team: .* got no data/esc50/card.md \(card@esc50\), and it is not here either"
    ):
        share((), None)


def test_restore_leaves_alone_what_has_never_run(dvc, capsys):
    restore((), (), None)
    assert "pull --allow-missing" in dvc.calls, "each name would cost DVC a second"
    said = capsys.readouterr().out
    assert "restored from team (s3://bucket/path): 3 stages, 15 files, 2.0 MB; no stage was run" in said
    assert "not in dvc.lock, so not restored: train@esc50; dvc repro --pull takes or makes them" in said


@pytest.mark.parametrize(
    ("stages", "targets"), [(["features@esc50-logmel"], "features@esc50-logmel"), (["card"], "card@esc50")]
)
def test_restore_of_single_stages(dvc, stages, targets):
    restore(["esc50"], stages, "team")
    assert f"pull --allow-missing --remote team {targets}" in dvc.calls


@pytest.mark.parametrize("failure", [DvcError("dvc pull", "2 files failed to download"), ""])
def test_restore_names_what_is_missing_and_keeps_the_rest(dvc, failure):
    dvc.answers["pull"] = failure
    dvc.files = ([], [CARD])
    expected = (
        r"^remote team: expected all that dvc.lock names, got no data/esc50/card.md \(card@esc50\); the rest is restored; "
        r"run audioprep share where it was made, or make it here: dvc repro card@esc50$"
    )
    with pytest.raises(ShareError, match=expected):
        restore((), (), None)
    assert ("checkout --allow-missing" in dvc.calls) == bool(failure)


def test_all_that_was_asked_for_may_be_missing(dvc):
    dvc.answers["pull"] = DvcError("dvc pull", "failed to transfer 'b40e' (exit status 1)")
    dvc.files = ([], [LOGMEL])
    with pytest.raises(
        ShareError, match=r"got no data/esc50/logmel/ \(features@esc50-logmel\); look whether s3:"
    ) as error:
        restore(["esc50"], ["features"], None)
    assert "b40e" not in str(error.value)


def test_what_a_broken_line_has_kept_back_is_not_called_missing(dvc):
    dvc.answers["pull"] = DvcError("dvc pull", "timed out (exit status 1)")
    dvc.files = ([SHARD], [CARD])
    with pytest.raises(
        ShareError, match=r"card@esc50\); not fetched though it is there: .*part-000000.parquet .*; run"
    ):
        restore((), (), None)
    dvc.files = ([SHARD], [])
    with pytest.raises(DvcError, match=r"timed out"):
        restore((), (), None)


@pytest.mark.parametrize("asked", [([], []), ShareError("remote team: expected an answer, got none; look at it")])
def test_where_nothing_is_missing_or_known_dvc_has_said_why(dvc, asked):
    dvc.answers["pull"] = DvcError("dvc pull", "Unable to locate credentials (exit status 1)")
    dvc.files = asked
    with pytest.raises(DvcError, match=r"dvc pull: expected it to end well, got: Unable to locate credentials"):
        restore((), (), None)


def test_a_remote_that_does_not_answer_ends_restore(dvc):
    dvc.files = ShareError("remote team: expected an answer, got none; look at it")
    with pytest.raises(ShareError, match=r"^remote team: expected an answer"):
        restore((), (), None)


def test_what_dvc_could_not_write_is_named(dvc, tmp_path):
    (tmp_path / "data/esc50/logmel").rmdir()
    expected = r"expected data/esc50/logmel after the pull, got nothing there; dvc checkout data/esc50/logmel says why$"
    with pytest.raises(ShareError, match=expected):
        restore((), (), None)


def test_what_git_lacks_is_said(dvc, tmp_path, monkeypatch, capsys):
    def git(*arguments, at=tmp_path):
        options = ("-c", "user.name=t", "-c", "user.email=t")
        subprocess.run(["git", *options, *arguments], cwd=at, check=True, capture_output=True)

    def advice():
        return list(sharing._advice_on_git())

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "this folder is in no repository" in advice()[0]
    git("init", "-q", "-b", "main")
    assert advice() == [
        "git: others need what is not committed: dvc.lock, params.yaml; git add --all && git commit",
        "git: others need this repository, which is on no server: git remote add origin URL && git push -u origin HEAD",
    ]
    git("add", "--all")
    git("commit", "-q", "-m", "all")
    git("init", "-q", "--bare", "../server.git")
    git("remote", "add", "origin", "../server.git")
    assert advice() == ["git: others need this branch, which is on no server: git push -u origin HEAD"]
    git("push", "-q", "-u", "origin", "HEAD")
    assert advice() == ["git: all is pushed; elsewhere: git pull && audioprep restore"]
    git("commit", "-q", "--allow-empty", "-m", "more")
    assert advice() == ["git: others need what is committed and not pushed (commits: 1): git push"]
    monkeypatch.setenv("PATH", "")
    assert "this folder is in no repository" in advice()[0]
