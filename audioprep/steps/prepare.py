"""One command for a whole corpus: its rules into params.yaml, then its data stages, through DVC or straight to a folder."""

import io
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from audioprep.config.base import parse_section
from audioprep.config.data import DataParams, RecipeRule, load_data_params
from audioprep.console import say
from audioprep.datasets import load_recipe, recipe_names
from audioprep.datasets.recipe import Archive, Clip, Recipe
from audioprep.engine import INDEX_NAME, file_sha256, read_index, write_atomically
from audioprep.errors import ConfigError, DatasetError, FetchError, ShardError, unknown_name
from audioprep.io.archives import open_members
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger, source_path
from audioprep.io.tables import read_table
from audioprep.steps.download import download, list_clips
from audioprep.steps.features import features
from audioprep.steps.loudness import loudness
from audioprep.steps.resample import resample
from audioprep.steps.split import split
from audioprep.steps.trim import trim

PARAMS = Path("params.yaml")
_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_RESERVED = {"archives"}
_KINDS = ("logmel", "mfcc")


def prepare_in_project(name: str, archive: Path | None, root: Path | None) -> None:
    """Run the data stages of a corpus through DVC; the current folder is the project's.

    Args:
        name: The corpus.
        archive: A user-placed archive.
        root: The folder, for a corpus of the user's own.

    Raises:
        DatasetError: The corpus is unknown, or it and the options do not go together.
        ConfigError: params.yaml cannot be read or changed.
        ShardError: A stage failed; it has said why.
    """
    params = load_data_params(PARAMS)
    layout = Layout.in_project(name)
    rule = _resolve(name, params, layout, archive, root)
    before = PARAMS.read_text(encoding="utf-8")
    _write_params(name, rule, params)
    # DVC cannot see a user's folder or archive: the download stage looks again where either may have changed.
    look_again = ["--force"] if rule.root or archive or _lacks_archive(layout, rule) else []
    try:
        _repro(name, *look_again, "--single-item", f"download@{name}")
    except ShardError:
        # A corpus that cannot be had must not stand in the way of the others at the next `dvc repro`.
        write_atomically(PARAMS, before)
        raise
    _repro(name, *(f"features@{name}-{kind}" for kind in _KINDS), f"split@{name}")
    for line in _summary(layout, rule.split):
        say(line)


def prepare_in_folder(name: str, out: Path, archive: Path | None, root: Path | None) -> None:
    """Run the data stages of a corpus without DVC; the bytes are the same.

    Args:
        name: The corpus.
        out: Folder for everything.
        archive: A user-placed archive.
        root: The folder, for a corpus of the user's own.

    Raises:
        AudioprepError: As the stages do.
    """
    params = load_data_params(PARAMS) if PARAMS.exists() else DataParams()
    layout = Layout.in_folder(name, out)
    _check_out(name, layout, root)
    rule = _resolve(name, params, layout, archive, root)
    params = parse_section(DataParams, "", {**params.model_dump(), "recipes": {name: rule.model_dump()}})
    download(layout, rule)
    resample(layout, source_path(layout, rule.root), params.resample, rule.num_shards)
    loudness(layout, params.loudness_rule(name))
    trim(layout, params.trim, rule.window_s)
    for kind in _KINDS:
        features(layout, kind, getattr(params.features, kind))
    split(layout, rule.split, params.split)
    for line in _summary(layout, rule.split):
        say(line)


def project_root(start: Path) -> Path | None:
    """Return the DVC project that a folder is in, if it is one of ours."""
    for folder in (start, *start.parents):
        if (folder / ".dvc").is_dir():
            return folder if (folder / "dvc.yaml").is_file() and (folder / PARAMS).is_file() else None
    return None


def _check_out(name: str, layout: Layout, root: Path | None) -> None:
    """Refuse a folder that holds anything but this corpus: the stages empty the folders that they write."""
    out = layout.data
    if root and (out == root or out in root.parents or root in out.parents):
        raise DatasetError(
            f"{out}: expected --out apart from --root {root}, got one inside the other; give another --out"
        )
    found = {path.name for path in out.iterdir()} if out.is_dir() else set()
    is_ours = (layout.raw / "download.json").is_file() and read_ledger(layout)["dataset"] == name
    if found - {"archives", ".audioprep"} and not is_ours:
        raise DatasetError(
            f"{out}: expected a new folder or one that holds {name}, got other files; give another --out"
        )


def _resolve(name: str, params: DataParams, layout: Layout, archive: Path | None, root: Path | None) -> RecipeRule:
    """Return the corpus's rules, with what the options change, and put a given archive in its place."""
    rule = params.recipes.get(name) or _new_rule(name, params, root)
    recipe = load_recipe(rule.recipe)
    _check_options(name, recipe, archive, root)
    if root:
        rule = rule.model_copy(update={"root": str(root)})
    if not recipe.archives and not rule.root:
        raise DatasetError(f"{name}: expected the folder with the recordings, got none; give it with --root PATH")
    if archive or root:
        # What cannot be read is refused before anything is written.
        clips = list_clips(name, recipe, open_members(archive or Path(str(rule.root)), layout.work / "archives"))
        if root and name not in params.recipes:
            rule = rule.model_copy(update={"split": _declared_split(clips) or recipe.split})
    if archive:
        rule = rule.model_copy(update={"archive": _place(recipe.archives[0], layout, archive)})
    return rule


def _check_options(name: str, recipe: Recipe, archive: Path | None, root: Path | None) -> None:
    if archive and root:
        raise DatasetError(f"{name}: expected --archive or --root, got both; give one")
    if root and recipe.archives:
        raise DatasetError(f"{name}: expected --archive or nothing, got --root; give your own corpus another name")
    if root and not root.is_dir():
        raise FetchError(f"{root}: expected a folder, found none; give the folder with the recordings")
    if archive and not recipe.archives:
        raise DatasetError(f"{name}: expected --root PATH for a folder of recordings, got --archive; give the folder")
    if archive and archive.is_dir():
        raise FetchError(f"{archive}: expected an archive, got a folder; pack it as a zip")


def _new_rule(name: str, params: DataParams, root: Path | None) -> RecipeRule:
    if name in recipe_names():
        recipe = load_recipe(name)
    elif root is None:
        raise DatasetError(unknown_name("corpus", name, {*params.recipes, *recipe_names()}))
    elif not _NAME.fullmatch(name) or name in _RESERVED:
        raise DatasetError(f"corpus: expected a name of a-z, 0-9 and _, not {min(_RESERVED)}, got '{name}'; rename it")
    else:
        recipe = load_recipe("folder")
    values = {"recipe": recipe.name, "window_s": recipe.window_s, "split": recipe.split, "fit_on": recipe.fit_on}
    return RecipeRule.model_validate(values)


def _declared_split(clips: list[Clip]) -> str | None:
    """Return the name of the split that a user's folder comes with, if it does."""
    folds = {clip.fold or 0 for clip in clips}
    if 0 not in folds and len(folds) >= 3:
        return f"official-{max(folds)}fold"
    return "official" if {"train", "test"} <= {clip.subset for clip in clips} else None


def _place(published: Archive, layout: Layout, archive: Path) -> str | None:
    """Put a user's archive where the stages look, and return its name there, or None if it is the published one."""
    is_published = published.sha256 is not None and file_sha256(archive) == published.sha256
    target = layout.archives / (published.name if is_published else archive.name)
    if not is_published and archive.name == published.name and target.resolve() != archive.resolve():
        target = layout.archives / f"user-{archive.name}"
    layout.archives.mkdir(parents=True, exist_ok=True)
    if target.resolve() != archive.resolve():
        part = target.with_name(f"{target.name}.part")
        part.unlink(missing_ok=True)
        try:
            os.link(archive, part)
        except OSError:
            shutil.copyfile(archive, part)
        part.replace(target)
    return None if is_published else target.name


def _lacks_archive(layout: Layout, rule: RecipeRule) -> bool:
    """Tell whether the archive is gone and needed: who has the audio shards, from a colleague say, can do without."""
    name = rule.archive or load_recipe(rule.recipe).archives[0].name
    return not (layout.archives / name).exists() and not (layout.audio / INDEX_NAME).exists()


def _write_params(name: str, rule: RecipeRule, params: DataParams) -> None:
    """Bring params.yaml up to date and say what changed; comments and order stay."""
    if params.recipes.get(name) == rule and name in params.datasets:
        return
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    values: Any = yaml.load(PARAMS.read_text(encoding="utf-8"))
    if params.recipes.get(name) != rule:
        entry = values.setdefault("recipes", {}).setdefault(name, {})
        for key, value in rule.model_dump(mode="json").items():
            if key not in entry or entry[key] != value:
                entry[key] = value
        say(f"params.yaml: recipes.{name} is now {', '.join(f'{k}={v}' for k, v in rule if v is not None)}")
    if name not in params.datasets:
        values.setdefault("datasets", []).append(name)
        say(f"params.yaml: datasets is now [{', '.join(values['datasets'])}]")
    text = io.StringIO()
    yaml.dump(values, text)
    try:
        write_atomically(PARAMS, text.getvalue())
    except OSError as error:
        raise ConfigError(f"{PARAMS}: expected to write it, got {error.strerror}; make it writable") from None


def _repro(name: str, *arguments: str) -> None:
    """Run `dvc repro` with this interpreter as the `python` of the stages; they say themselves what they do."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = [sys.executable, "-m", "dvc", "repro", "--quiet", *arguments]
    result = subprocess.run(command, env={**os.environ, "PATH": path}, check=False)  # noqa: S603 - our own arguments
    if result.returncode:
        raise ShardError(
            f"{name}: expected its stages to finish, got exit status {result.returncode} of dvc; mend what the line above "
            f"says, or see more with: dvc repro {' '.join(arguments)}"
        )


def _summary(layout: Layout, split_name: str) -> Iterator[str]:
    audio, logmel = read_index(layout.audio), read_index(layout.features("logmel"))
    durations_s = read_table(layout.audio / "facts.parquet", ["duration_s"])["duration_s"].to_pylist()
    hours = sum(durations_s) / 3600
    rows, shards = sum(shard["rows"] for shard in logmel["shards"]), len(logmel["shards"])
    yield f"{layout.dataset}: {rows} clips of {logmel['window_s']:g} s in {shards} shards, from {hours:.2f} hours of audio"
    yield f"  lengths   {min(durations_s):.1f} to {max(durations_s):.1f} s, median {statistics.median(durations_s):.1f} s"
    yield f"  audio     {layout.audio} ({audio['rule']['rate_hz']} Hz FLAC, lhotse Shar in {layout.shar})"
    yield f"  features  {', '.join(str(layout.features(kind)) for kind in _KINDS)} (Parquet)"
    yield f"  split     {layout.splits / split_name}.parquet, audit in {layout.splits / 'audit.md'}"
