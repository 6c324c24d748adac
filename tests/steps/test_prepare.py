"""One command for a corpus: straight to a folder, and what it writes into params.yaml."""

import fcntl
import shutil

import pytest
from steps.small_corpus import Run, tree

from audioprep.config.data import DataParams, load_data_params
from audioprep.config.engine import EngineRule
from audioprep.errors import ConfigError, DatasetError, FetchError, ShardError, SplitError
from audioprep.io.layout import Layout
from audioprep.steps import prepare
from audioprep.steps.prepare import Asked

PARAMS = """\
# Every parameter.
datasets: [demo]              # what is prepared

recipes:
  demo:                       # the demo
    recipe: demo
    window_s: 2.0
    split: official-5fold

resample:
  max_bad_fraction: 0.05      # one in twenty
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Return an empty folder, which is the current one."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_folder_is_prepared_without_dvc_and_with_the_same_bytes(corpus, here, capsys):
    (here / "params.yaml").write_text(PARAMS)
    prepare.prepare_in_folder("small", here / "out", Asked(root=corpus))
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "small: 1 duplicate, 21 ok, 1 silent, 1 truncated"
    assert out[1].startswith("small: 21 clips of 5 s in 4 shards, from 16.7 s of audio")
    by_stage = Run(
        corpus, here / "stages", load_data_params(), {"window_s": 5.0, "split": "grouped-5fold", "num_shards": None}
    )
    by_stage.all()
    assert tree(here / "stages") == tree(here / "out")
    assert (here / "params.yaml").read_text() == PARAMS, "only a project's parameters are changed"
    before = {path: path.stat().st_mtime_ns for path in (here / "out" / "logmel").iterdir()}
    prepare.prepare_in_folder("small", here / "out", Asked(root=corpus))
    assert {path: path.stat().st_mtime_ns for path in (here / "out" / "logmel").iterdir()} == before


def test_a_changed_file_is_noticed(corpus, here):
    (here / "params.yaml").write_text(PARAMS)
    shutil.copytree(corpus, here / "corpus")
    prepare.prepare_in_folder("small", here / "out", Asked(root=here / "corpus"))
    before = tree(here / "out" / "audio" / "shar")
    shutil.copyfile(corpus / "rain" / "5.wav", here / "corpus" / "rain" / "1.wav")
    prepare.prepare_in_folder("small", here / "out", Asked(root=here / "corpus"))
    changed = {name for name, digest in tree(here / "out" / "audio" / "shar").items() if before[name] != digest}
    assert {name.split(".")[0] for name in changed} == {"recording", "cuts"}
    assert len({name.split(".")[1] for name in changed}) <= 2, "the shard of the file, and that of its new duplicate"


def test_parameters_that_do_not_fit_the_new_corpus_are_refused_first(corpus, here):
    (here / "params.yaml").write_text("resample: {rate_hz: 4000}\nfeatures: {logmel: {n_fft: 32768}}\n")
    message = r"^params\.yaml: recipes\.small\.window_s: expected at least one frame of 32768 samples, got 5 s = 20000"
    with pytest.raises(ConfigError, match=message):
        prepare.prepare_in_folder("small", here / "out", Asked(root=corpus))
    assert not (here / "out" / "raw").exists()


DATA = DataParams.model_validate(
    {"recipes": {"birds": {"recipe": "folder", "root": "/b", "window_s": 1, "split": "grouped-5fold"}}}
)


@pytest.mark.parametrize(
    ("name", "archive", "root", "error", "message"),
    [
        (
            "demoo",
            None,
            None,
            DatasetError,
            r"^corpus: expected one of .+, got 'demoo'; did you mean 'demo'",
        ),
        (
            "demoo",
            "a.zip",
            None,
            DatasetError,
            r"^corpus: expected one of .+, got 'demoo'; did you mean",
        ),
        ("esc50", "a.zip", ".", DatasetError, r"^esc50: expected --archive or --root, got both; give one$"),
        ("new", None, "gone", FetchError, r"gone: expected a folder, found none; give the folder with the recordings$"),
        (
            "folder",
            None,
            None,
            DatasetError,
            r"^folder: expected the folder with the recordings, got none; give it with --root PATH$",
        ),
        (
            "birds",
            "a.zip",
            None,
            DatasetError,
            r"^birds: expected --root PATH for a folder of recordings, got --archive; give the folder$",
        ),
        (
            "esc50",
            "gone.zip",
            None,
            FetchError,
            r"gone\.zip: expected an archive, found none; check the path given with --archive$",
        ),
        ("esc50", ".", None, FetchError, r": expected ESC-50\.zip in it, found none; place them there$"),
        ("nsynth", "a.zip", None, FetchError, r"a\.zip: expected an archive, found none; check"),
        (
            "My-Birds",
            None,
            ".",
            DatasetError,
            r"^corpus: expected a name of a-z, 0-9 and _, not archives, got 'My-Birds'; rename it$",
        ),
        (
            "archives",
            None,
            ".",
            DatasetError,
            r"^corpus: expected a name of a-z, 0-9 and _, not archives, got 'archives'; rename",
        ),
        ("empty", None, ".", DatasetError, r"^folder: expected audio files, got an empty folder; use class/"),
    ],
)
def test_names_and_options_that_do_not_go_together(here, name, archive, root, error, message):
    asked = Asked((here / archive,) if archive else (), root and here / root)
    with pytest.raises(error, match=message):
        prepare._resolve(name, DATA, Layout.in_project(name), asked)
    assert not list(here.iterdir()), "nothing half-written"


@pytest.mark.parametrize(
    ("columns", "values", "split"),
    [
        (",fold", ["1", "2", "3", "4"], "official-4fold"),
        (",split", ["train", "train", "val", "test"], "official"),
        ("", [""] * 10, "grouped-5fold"),
    ],
)
def test_a_folders_own_split_is_the_default(here, columns, values, split):
    rows = [f"{number}.wav,{'ab'[number % 2]}{',' if columns else ''}{value}" for number, value in enumerate(values)]
    (here / "metadata.csv").write_text("\n".join([f"file_name,label{columns}", *rows]))
    assert prepare._resolve("birds", DataParams(), Layout.in_project("birds"), Asked(root=here)).split == split


def placed(layout, name, *paths, variant=None):
    recipe = prepare.load_recipe(name)
    return prepare._place_all(recipe, recipe.variant(variant), layout, paths)


def test_an_archive_is_put_in_its_place(here, corpus):
    shutil.make_archive(str(here / "ESC-50"), "zip", corpus)
    layout = Layout.in_project("esc50")
    assert placed(layout, "esc50", here / "ESC-50.zip") == "user-ESC-50.zip"
    target = layout.archives / "esc50" / "user-ESC-50.zip"
    assert target.read_bytes() == (here / "ESC-50.zip").read_bytes()
    assert placed(layout, "esc50", target) == "user-ESC-50.zip", "where it lies it may stay"
    (here / "other.zip").write_bytes(b"other")
    assert placed(layout, "esc50", here / "other.zip") == "other.zip"
    assert sorted(path.name for path in target.parent.glob("*.zip")) == ["other.zip", "user-ESC-50.zip"]


def test_archives_of_a_corpus_of_many_are_known_by_name(here):
    layout = Layout.in_project("voxceleb1")
    for name in ("vox1_dev_wav_partaa", "vox1_test_wav.zip", "notes.txt"):
        (here / name).write_bytes(name.encode())
    assert placed(layout, "voxceleb1", here) is None, "a folder gives what is named as published"
    found = layout.archives / "voxceleb1"
    assert sorted(path.name for path in found.iterdir()) == ["vox1_dev_wav_partaa", "vox1_test_wav.zip"]
    with pytest.raises(FetchError, match=r"notes\.txt: expected one of .+; rename it as published$"):
        placed(layout, "voxceleb1", here / "notes.txt")


def test_an_archive_on_another_disk_is_copied(here, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(prepare.os, "link", refuse)
    (here / "a.zip").write_bytes(b"a")
    layout = Layout.in_project("esc50")
    assert placed(layout, "esc50", here / "a.zip") == "a.zip"
    assert (layout.archives / "esc50" / "a.zip").read_bytes() == b"a"


def test_a_variant_and_a_split_are_written_down(here):
    layout = Layout.in_project("speech_commands")
    chosen = prepare._resolve("speech_commands", DataParams(), layout, Asked(variant="v2-12"))
    assert (chosen.variant, chosen.split) == ("v2-12", "v2-12")
    chosen = prepare._resolve("speech_commands", DataParams(), layout, Asked(variant="v2-12", split="grouped"))
    assert (chosen.variant, chosen.split) == ("v2-12", "grouped")
    with pytest.raises(DatasetError, match=r"^speech_commands: variant: expected one of .+, got 'v2-13'; did you mean"):
        prepare._resolve("speech_commands", DataParams(), layout, Asked(variant="v2-13"))


@pytest.mark.parametrize("split", ["nosuch", "grouped-03fold", "official"])
def test_a_split_that_the_corpus_lacks_is_refused_before_anything_is_done(here, corpus, split):
    message = rf"^esc50: split: expected one of grouped, grouped-5fold, official-5fold, got '{split}'; "
    with pytest.raises(SplitError, match=message):
        prepare._resolve("esc50", DataParams(), Layout.in_project("esc50"), Asked(split=split))
    with pytest.raises(SplitError, match=rf"^birds: split: expected one of grouped, grouped-5fold, got '{split}'; "):
        prepare._resolve("birds", DataParams(), Layout.in_project("birds"), Asked(root=corpus, split=split))


def test_two_runs_in_one_folder_do_not_meet(here, corpus):
    (here / "params.yaml").write_text(PARAMS)
    lock = here / "out" / ".audioprep" / "lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        message = r"out: expected no other run there, got one that is at work; wait until it has ended$"
        with pytest.raises(DatasetError, match=message):
            prepare.prepare_in_folder("small", here / "out", Asked(root=corpus))
    prepare.prepare_in_folder("small", here / "out", Asked(root=corpus))
    assert not lock.exists()


def test_ray_that_is_not_installed_is_said_before_anything_is_written(here, corpus, monkeypatch):
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)
    message = r"^engine: expected Ray, found none; run: pip install 'audioprep\[ray\]'$"
    with pytest.raises(ConfigError, match=message):
        prepare.prepare_in_folder("small", here / "out", Asked(root=corpus, engine="ray"))
    assert not list(here.iterdir())
    (here / "params.yaml").write_text(PARAMS)
    with pytest.raises(ConfigError, match=message):
        prepare.prepare_in_project("small", Asked(root=corpus, engine="ray"))
    assert (here / "params.yaml").read_text() == PARAMS


def test_a_name_that_is_unknown_may_be_that_of_a_folder(here):
    message = r"^corpus: expected one of .+, got 'birds'; .+; for recordings of your own add --root FOLDER$"
    with pytest.raises(DatasetError, match=message):
        prepare.prepare_in_folder("birds", here / "out", Asked())
    assert not list(here.iterdir())


def test_a_file_that_is_no_archive_is_refused_before_it_is_taken(here):
    (here / "notes.txt").write_text("no archive")
    message = r"notes\.txt: expected an archive, zip or tar, got a file of another kind; give another --archive$"
    with pytest.raises(FetchError, match=message):
        prepare.prepare_in_folder("esc50", here / "out", Asked(archives=(here / "notes.txt",)))
    assert not (here / "out").exists()


def test_params_yaml_keeps_its_comments_and_says_what_changed(corpus, here, capsys):
    (here / "params.yaml").write_text(PARAMS)
    params = load_data_params()
    rule = prepare._resolve("birds", params, Layout.in_project("birds"), Asked(root=corpus))
    prepare._write_params("birds", rule, params)
    said = capsys.readouterr().out.splitlines()
    assert said == [
        (
            f"params.yaml: recipes.birds is now {{recipe: folder, root: {corpus}, window_s: 5.0, split: grouped-5fold, "
            "exclude: [silent, duplicate]}"
        ),
        "params.yaml: datasets is now [demo, birds]",
    ]
    text = (here / "params.yaml").read_text()
    assert all(
        comment in text for comment in ("# Every parameter.", "# what is prepared", "# the demo", "# one in twenty")
    )
    assert "    split: official-5fold\n  birds:\n" in text, "no blank line between recipes"
    assert text.count("\n\n") == PARAMS.count("\n\n")
    assert "\n\nresample:\n" in text
    assert load_data_params().recipes["birds"] == rule
    prepare._write_params("birds", rule, load_data_params())
    assert capsys.readouterr().out == ""
    assert (here / "params.yaml").read_text() == text


def test_a_params_yaml_that_cannot_be_written_is_said(corpus, here, monkeypatch):
    (here / "params.yaml").write_text(PARAMS)
    params = load_data_params()
    rule = prepare._resolve("birds", params, Layout.in_project("birds"), Asked(root=corpus))

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(
        ConfigError, match=r"^params\.yaml: expected to write it, got Read-only file system; make it writable$"
    ):
        prepare._write_params("birds", rule, params)
    assert (here / "params.yaml").read_text() == PARAMS


def test_a_corpus_that_cannot_be_had_leaves_params_yaml_as_it_was(corpus, here, monkeypatch):
    def fail(*_):
        raise ShardError("birds: expected its stages to finish")

    (here / "params.yaml").write_text(PARAMS)
    monkeypatch.setattr(prepare, "repro", fail)
    with pytest.raises(ShardError, match="birds: expected its stages to finish"):
        prepare.prepare_in_project("birds", Asked(root=corpus))
    assert (here / "params.yaml").read_text() == PARAMS


def test_stages_are_run_through_dvc_and_listed_again_when_the_source_may_have_changed(
    corpus, here, monkeypatch, capsys
):
    calls = []
    (here / "params.yaml").write_text(PARAMS)
    monkeypatch.setattr(prepare, "repro", lambda *arguments: calls.append(arguments) or [])
    monkeypatch.setattr(prepare, "_check_split", lambda *_: None)
    monkeypatch.setattr(prepare, "prepared_lines", lambda *_: iter(["done"]))
    prepare.prepare_in_project("birds", Asked(root=corpus))
    prepare.prepare_in_project("demo", Asked())
    (here / "data" / "archives" / "demo").mkdir(parents=True)
    (here / "data" / "archives" / "demo" / "demo.zip").touch()
    prepare.prepare_in_project("demo", Asked())
    forced = ["--force" in call for call in calls if "--single-item" in call]
    assert forced == [True, True, False]
    assert calls[1] == ("birds", EngineRule(), "features@birds-logmel", "features@birds-mfcc", "card@birds")
    assert capsys.readouterr().out.splitlines()[-1] == "done"


@pytest.mark.parametrize(
    ("ran", "said"),
    [
        ([["download"], ["trim", "features-logmel"]], "demo: ran: trim, features-logmel"),
        ([["download"], []], "demo: nothing had changed"),
    ],
)
def test_what_ran_is_said(here, monkeypatch, capsys, ran, said):
    (here / "params.yaml").write_text(PARAMS)
    monkeypatch.setattr(prepare, "repro", lambda *_: ran.pop(0))
    monkeypatch.setattr(prepare, "_check_split", lambda *_: None)
    monkeypatch.setattr(prepare, "prepared_lines", lambda *_: iter(()))
    prepare.prepare_in_project("demo", Asked())
    assert capsys.readouterr().out.splitlines() == [said]


def test_a_split_that_the_groups_do_not_allow_is_refused_before_anything_is_done(here):
    (here / "params.yaml").write_text(PARAMS)
    root = here / "rec"
    for name in ("a/1.wav", "a/2.wav", "a/3.wav", "a/4.wav", "b/1.wav"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    message = r"^birds: expected a class of at least 5 clips for grouped-5fold, got at most 4 .+; give --split grouped-4fold, "
    with pytest.raises(SplitError, match=message):
        prepare.prepare_in_project("birds", Asked(root=root))
    assert (here / "params.yaml").read_text() == PARAMS


def test_a_corpus_that_fails_later_is_said_to_stay(corpus, here, monkeypatch, capsys):
    def fail(*arguments):
        if "--single-item" not in arguments:
            raise SystemExit(1)
        return []

    (here / "params.yaml").write_text(PARAMS)
    monkeypatch.setattr(prepare, "repro", fail)
    monkeypatch.setattr(prepare, "_check_split", lambda *_: None)
    with pytest.raises(SystemExit):
        prepare.prepare_in_project("birds", Asked(root=corpus))
    assert capsys.readouterr().out.splitlines()[-1].startswith("params.yaml: birds stays in datasets, ")
    assert load_data_params().datasets == ("demo", "birds")


@pytest.mark.parametrize(("out", "message"), [("mine", "got other files"), ("root", "one inside the other")])
def test_out_never_touches_the_users_own_files(tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("mine/raw", "root/raw", "root/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.wav").write_bytes(b"x")
    with pytest.raises(DatasetError, match=message):
        prepare.prepare_in_folder("birds", tmp_path / out, Asked(root=tmp_path / "root"))
    assert len(list(tmp_path.rglob("1.wav"))) == 3
