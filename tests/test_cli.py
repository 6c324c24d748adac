"""The command line: frozen options, one line for an error, and nothing heavy imported before it is needed."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from audioprep import cli
from audioprep.engine import fresh_folder

COMMANDS = {
    "datasets": ["name", "--json"],
    "prepare": ["name", "--archive", "--root", "--variant", "--split", "--out", "--engine"],
    "inspect": ["what", "--data", "--picture"],
    "audit": ["name", "--split", "--data", "--json"],
    "predict": [],  # its arguments are those of audioprep/edge/classify.py
    "monitor": ["log", "--bundle", "--out"],
    "models": ["--classes"],
    "compare": ["first", "second"],
    "events": [
        "name",
        "--fold",
        "--truth",
        "--threshold",
        "--median",
        "--gap",
        "--shortest",
        "--out",
        "--checkpoints",
        "--data",
    ],
    "verify": ["folder", "--repair", "--root"],
    "export": ["name", "--to", "--kind", "--audio", "--split", "--fold", "--out", "--data"],
    "share": ["name", "--remote"],
    "restore": ["name", "--stage", "--remote"],
    "merge-lock": ["base", "ours", "theirs"],
    "merge-params": ["base", "ours", "theirs"],
    "init": ["folder", "--update"],
}
# Git calls them, people need not.
HIDDEN = {"merge-lock", "merge-params"}
HEAVY = (
    "torch",
    "torchaudio",
    "lhotse",
    "scipy",
    "numpy",
    "pyarrow",
    "pandas",
    "sklearn",
    "matplotlib",
    "onnxruntime",
    "dvc",
)


def run(*arguments):
    return CliRunner().invoke(cli.app, arguments, catch_exceptions=False)


@pytest.fixture
def fails(monkeypatch, capsys):
    """Run the command line as a user would, and return the one line with which it fails."""

    def call(*arguments, status=1):
        monkeypatch.setattr(sys, "argv", ["audioprep", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        assert leaving.value.code == status
        return capsys.readouterr().err

    return call


def test_commands_and_options_are_frozen():
    group = typer.main.get_command(cli.app)
    found = {
        name: [param.opts[0] if param.opts[0].startswith("-") else param.name for param in command.params]
        for name, command in group.commands.items()
    }
    assert found == COMMANDS
    assert {param.opts[0] for param in group.params} == {"--debug", "--version"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    for option in COMMANDS[command]:
        if option.startswith("--"):
            assert option in result.output
    group = typer.main.get_command(cli.app)
    assert group.commands[command].help
    assert all(param.help for param in group.commands[command].params if command not in HIDDEN)


def test_version():
    result = run("--version")
    assert re.fullmatch(r"audioprep \d+\.\d+\.\d+\S*\n", result.output)


def test_without_a_command_there_is_help():
    assert {name for name in COMMANDS if f" {name} " not in run().output} == HIDDEN


def imported_after(code):
    """Return the heavy modules that are loaded after running some code in a fresh interpreter."""
    script = f"{code}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True).stdout.split()


def test_the_command_line_imports_nothing_heavy():
    assert imported_after("import audioprep.cli") == []


@pytest.mark.parametrize(
    "module",
    [
        "resample",
        "features",
        "download",
        "loudness",
        "trim",
        "split",
        "prepare",
        "inspect",
        "verify",
        "repair",
        "export_shards",
    ],
)
def test_the_data_path_imports_neither_torch_nor_lhotse(module):
    found = imported_after(f"import audioprep.steps.{module}")
    assert not {"torch", "torchaudio", "lhotse", "sklearn", "matplotlib", "dvc"} & set(found)


def test_datasets_lists_every_corpus():
    output = run("datasets").output
    for text in ("demo", "esc50", "folder", "2,000", "CC-BY-NC-3.0", "official-5fold", "2.78"):
        assert text in output


def test_datasets_shows_one_corpus_in_full():
    output = run("datasets", "gtzan").output
    for text in (
        "GTZAN",
        "defect",
        "jazz_00054",
        "fault-filtered",
        "train 443, valid 197, test 290",
        "genres.tar.gz",
        "24347e0223",
    ):
        assert text in output
    assert "nothing published" in run("datasets", "mtg_jamendo").output
    assert "none; grouped-5fold" in run("datasets", "folder").output


def test_datasets_as_json_is_for_scripts(fails):
    every, one = (json.loads(run("datasets", *arguments, "--json").output) for arguments in ((), ("esc50",)))
    assert one in every
    assert one["variants"][0]["splits"][0]["sizes"] == dict.fromkeys("12345", 400)
    assert "expected one of 22 names, got 'ecs50'; did you mean 'esc50'?" in fails("datasets", "ecs50")


def test_an_error_is_one_line_without_a_traceback(fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    err = fails("prepare", "ecs50", "--out", tmp_path / "out")
    hint = "did you mean 'esc50'?; for recordings of your own add --root FOLDER\n"
    assert err == f"error: corpus: expected one of 22 names, got 'ecs50'; {hint}"
    err = fails("--debug", "prepare", "ecs50", "--out", tmp_path / "out")
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith(hint)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_option_is_said(fails):
    assert "No such option: --arhive" in fails("prepare", "esc50", "--arhive", "a.zip", status=2)


def test_prepare_outside_a_project(fails, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert re.fullmatch(
        r"error: .+: expected an audioprep project \(\.dvc, dvc\.yaml, params\.yaml\), got none; go to one, or give --out DIR\n",
        fails("prepare", "demo"),
    )


def test_init_says_in_one_line_why_not(fails, tmp_path):
    (tmp_path / "dvc.yaml").write_text("mine")
    assert "expected a folder without the files of a project, got dvc.yaml; " in fails("init", tmp_path)
    assert "expected a project that `audioprep init` has started" in fails("init", "--update", tmp_path)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """Return a folder of two classes of three sounds each."""
    root = tmp_path_factory.mktemp("sounds")
    for number in range(6):
        path = root / "ab"[number % 2] / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, np.random.default_rng(number).uniform(-0.5, 0.5, 8000), 16000)
    return root


@pytest.fixture(scope="module")
def data(sounds, tmp_path_factory):
    """Return a data folder in which the corpus `birds` is prepared by the command line."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        patch.chdir(fresh_folder(folder / "here"))
        (folder / "here" / "params.yaml").write_text(
            "recipes:\n  birds: {recipe: folder, window_s: 0.5, split: grouped-3fold}\n"
        )
        result = run("prepare", "birds", "--root", str(sounds), "--out", str(folder / "birds"))
    shutil.rmtree(folder / "here")
    assert "birds: 6 clips of 0.5 s in " in result.output
    return folder


def test_audit_shows_the_findings(data, fails):
    output = run("audit", "birds", "--data", str(data)).output
    assert output.startswith("birds/grouped-3fold: 6 clips, 6 groups, 2 classes\n")
    assert output.endswith("Nothing found.\n")
    found = json.loads(run("audit", "birds", "--split", "grouped", "--data", str(data), "--json").output)
    assert (found["split"], len(found["folds"])) == ("grouped", 1)
    assert {one["kind"] for one in found["findings"]} == {"missing_class"}, "six clips are too few"
    assert run("audit", "birds", "--data", str(data / "birds")).exit_code == 0
    assert "prepared corpus: expected one of birds, got 'brids'; did you mean 'birds'?" in fails(
        "audit", "brids", "--data", data
    )
    assert "none: expected a prepared corpus, found none; run `audioprep prepare birds` first" in fails(
        "audit", "birds", "--data", data / "none"
    )


def test_inspect_shows_a_clip_or_a_shard(data, tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    output = run("inspect", "a--0", "--data", str(data)).output
    assert "a--0 in birds" in output
    assert "reports/inspect/a--0.png" in output
    assert (tmp_path / "reports" / "inspect" / "a--0.png").exists()
    assert ": 6 rows, " in run("inspect", str(data / "birds" / "audio" / "facts.parquet")).output
    assert "clip: expected one of 6 ids, got 'a--00'; did you mean 'a--0'?" in fails("inspect", "a--00", "--data", data)


def test_a_corpus_that_is_here_in_part_is_not_called_missing(data, tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    for part in ("logmel", "splits"):
        shutil.copytree(data / "birds" / part, tmp_path / "data" / "birds" / part)
    have = "got splits, logmel only"
    assert f"data/birds: expected raw, {have}; `audioprep prepare birds`" in fails("audit", "birds")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text("datasets: [demo]\n")
    line = f"error: data/birds: expected raw, cuts, {have}; `audioprep restore birds` fetches, `dvc repro` makes it\n"
    assert fails("export", "birds", "--to", "hf") == line
    assert fails("export", "birds", "--to", "hf", "--data", "data/birds") == line
    assert f"data/birds: expected raw, audio, {have}; `audioprep restore birds`" in fails("inspect", "a--0")
    assert f"data/birds: expected raw, audio, {have}; `audioprep" in fails("inspect", "a--0", "--data", "data/birds")
    shutil.copytree(data / "birds" / "raw", tmp_path / "data" / "birds" / "raw")
    assert "data/birds: expected audio, got raw, splits, logmel only; `audioprep" in fails("inspect", "a--0")
    assert "data/birds: expected cuts, got raw, splits, logmel only; `audioprep" in fails(
        "export", "birds", "--to", "hf"
    )
    assert run("audit", "birds").exit_code == 0


def test_verify_names_what_is_damaged_and_repairs_it(data, sounds, tmp_path, fails):
    folder = shutil.copytree(data / "birds", tmp_path / "birds")
    assert run("verify", str(folder)).output.endswith(f"{folder}: 21 files are as their indexes say\n")
    part = next((folder / "logmel").glob("part-*.parquet"))
    part.write_bytes(b"")
    line = f"error: {folder}: expected what was prepared, got 1 wrong in logmel; make the shards anew with `audioprep verify {folder} --repair`"
    assert fails("verify", folder).startswith(line)
    output = run("verify", str(folder), "--repair", "--root", str(sounds)).output
    assert f"{part}: expected " in output
    assert output.endswith("logmel: repaired: 1 of 4 files made anew, bytes equal to the index\n")
    assert run("verify", str(folder)).exit_code == 0
    part.write_bytes(b"")
    (folder / "cuts" / "_index.json").write_text("{")
    err = fails("verify", folder, "--repair")
    assert err == f"error: repair: could not repair {folder}/cuts, {folder}/logmel; the lines above say why\n"


def test_verify_knows_a_corpus_by_its_name_and_what_only_its_stage_can_mend(data, tmp_path, monkeypatch, fails):
    (tmp_path / ".dvc").mkdir()
    for name in ("dvc.yaml", "params.yaml"):
        (tmp_path / name).touch()
    folder = shutil.copytree(data / "birds", tmp_path / "data" / "birds")
    (folder / "splits" / "audit.json").unlink()
    monkeypatch.chdir(tmp_path)
    line = (
        "error: data/birds: expected what was prepared, got 1 wrong in splits; run `dvc repro split@birds`, or, where"
    )
    assert fails("verify", "birds").startswith(line)
    monkeypatch.chdir(tmp_path / "data")
    assert "got 1 wrong in birds/splits; run `dvc repro split@birds`" in fails("verify")
    shutil.copytree(data / "birds" / "splits", folder / "splits", dirs_exist_ok=True)
    assert run("audit", "birds").output.startswith("birds/grouped-3fold: ")


def test_where_there_is_no_project_that_is_said(tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    where = (
        f"error: {tmp_path}: expected an audioprep project (.dvc, dvc.yaml, params.yaml), got none; go to one, or give"
    )
    assert fails("audit", "demo") == f"{where} --data DIR\n"
    assert fails("inspect", "a--0") == f"{where} --data DIR\n"
    assert fails("verify") == f"{where} DIR\n"
    assert fails("prepare", "demo") == f"{where} --out DIR\n"


def test_export_writes_a_corpus_for_others(data, tmp_path, monkeypatch, fails):
    monkeypatch.chdir(tmp_path)
    output = run("export", "birds", "--to", "numpy", "--data", str(data)).output
    assert "exports/birds-numpy: grouped-3fold, fold 1 of 3: train " in output
    assert (tmp_path / "exports" / "birds-numpy" / "features.npy").exists()
    assert "got one that holds something" in fails("export", "birds", "--to", "numpy", "--data", data)
    assert "--to: expected one of hf, " in fails("export", "birds", "--to", "parquet", "--data", data)
    assert "prepared corpus: expected one of birds, got 'brids'; did you mean 'birds'?" in fails(
        "export", "brids", "--to", "hf", "--data", data
    )
    assert "none: expected a prepared corpus, found none; run `audioprep prepare birds` first" in fails(
        "export", "birds", "--to", "hf", "--data", data / "none"
    )


def test_models_shows_what_each_network_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = run("models").output
    assert "Networks on 501 frames of 64 bins, 10 classes" in output
    assert re.search(r"resnet8 +│ 309,194 +│ 32\.", output)
    assert re.search(r"crnn .*recurrent layer", output)
    (tmp_path / "params.yaml").write_text("model: {features: mfcc, width: 8}\n")
    output = run("models", "--classes", "527").output
    assert "Networks on 501 frames of 13 bins, 527 classes" in output
    assert re.search(r"cnn14 +│ - +│ - ", output)
    assert "cnn14: model.arch cnn14: expected at least 32 frames and bins, got 501 frames of 13 bins" in output
    (tmp_path / "params.yaml").write_text("model: {arch: ast_pretrained, init_checkpoint: nowhere}\n")
    assert "ast_pretrained: nowhere: expected a checkpoint, got FileNotFoundError" in run("models").output


def test_predict_without_a_bundle_is_one_line(fails, tmp_path):
    err = fails("predict", "a.wav", "--model", tmp_path / "none")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_monitor_says_in_one_line_what_is_no_log(fails, tmp_path):
    assert fails("monitor", tmp_path / "log") == (
        f"error: {tmp_path / 'log'}: expected a log of predictions, found no file; write one: audioprep predict FILES --log log\n"
    )
    (tmp_path / "log").write_text("a,b\n1,2\n")
    assert "expected a log of predictions, got something else" in fails("monitor", tmp_path / "log")
    assert not (tmp_path / "log.html").exists()
