"""One command for a whole corpus: its rules into params.yaml, then its data stages, through DVC or straight to a folder."""

import importlib.util
import io
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from audioprep.config.base import parse_section
from audioprep.config.data import DataParams, RecipeRule, load_data_params
from audioprep.config.engine import EngineRule, load_engine
from audioprep.console import say
from audioprep.datasets import load_recipe, recipe_names
from audioprep.datasets.recipe import Archive, Recipe, Variant
from audioprep.engine import INDEX_NAME, write_atomically
from audioprep.errors import ConfigError, DatasetError, FetchError, ShardError, SplitError, unknown_name
from audioprep.io.archives import Place, is_archive, open_members
from audioprep.io.layout import Layout
from audioprep.io.places import source_places
from audioprep.io.tables import read_table
from audioprep.steps.card.page import card
from audioprep.steps.download import download, list_clips
from audioprep.steps.features import features
from audioprep.steps.loudness import loudness
from audioprep.steps.out_folder import alone_in, check_out
from audioprep.steps.prepared import prepared_lines
from audioprep.steps.project import PARAMS
from audioprep.steps.repro import repro
from audioprep.steps.resample import resample
from audioprep.steps.sources import archives_of, files_of, is_published
from audioprep.steps.split import split
from audioprep.steps.splits.enough import check_enough
from audioprep.steps.splits.roles import is_generated
from audioprep.steps.trim import trim

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
_RESERVED = {"archives"}


@dataclass(frozen=True)
class Asked:
    """What the user asks for; what is left open comes from params.yaml, then from the recipe.

    Attributes:
        archives: Archives that the user has, or folders with them.
        root: A folder of recordings: the user's own, or a published corpus that is unpacked.
        variant: The task on the corpus.
        split: The split.
        engine: What runs the shards' tasks.
    """

    archives: tuple[Path, ...] = ()
    root: Path | None = None
    variant: str | None = None
    split: str | None = None
    engine: str | None = None


def prepare_in_project(name: str, asked: Asked) -> None:
    """Run the data stages of a corpus through DVC; the current folder is the project's.

    Args:
        name: The corpus.
        asked: The options.

    Raises:
        DatasetError: The corpus is unknown, or it and the options do not go together.
        ConfigError: params.yaml cannot be read or changed.
        ShardError: DVC could not run the stages.
        SystemExit: A stage failed; it has said why.
    """
    params = load_data_params(PARAMS)
    layout = Layout.in_project(name)
    engine = load_engine(PARAMS, asked.engine)
    _check_engine(engine)
    rule = _resolve(name, params, layout, asked)
    before = PARAMS.read_text(encoding="utf-8")
    _write_params(name, rule, params)
    # DVC cannot see a user's folder or archive: the download stage looks again where either may have changed.
    look_again = ["--force"] if rule.root or asked.archives or _lacks_archive(layout, rule) else []
    is_new = name not in params.datasets
    try:
        ran = repro(name, engine, *look_again, "--single-item", f"download@{name}")
        _check_split(layout, rule.split)
    except (ShardError, SplitError, SystemExit):
        # A corpus that cannot be had must not stand in the way of the others at the next `dvc repro`.
        if before != PARAMS.read_text(encoding="utf-8"):
            write_atomically(PARAMS, before)
            say(f"params.yaml: as it was before{f', without {name}' if is_new else ''}")
        raise
    kinds = params.features.kinds
    try:
        rest = repro(name, engine, *(f"features@{name}-{kind}" for kind in kinds), f"card@{name}")
    except (ShardError, SystemExit):
        if is_new:
            say(f"params.yaml: {name} stays in datasets, to go on with; take it out there to do without it")
        raise
    # A stage that was forced, to look again, has run whether or not anything was new.
    ran = [stage for stage in (*ran, *rest) if not (look_again and stage == "download")]
    say(f"{name}: {'ran: ' + ', '.join(ran) if ran else 'nothing had changed'}")
    for line in prepared_lines(layout, rule.split, kinds):
        say(line)


def prepare_in_folder(name: str, out: Path, asked: Asked) -> None:
    """Run the data stages of a corpus without DVC; the bytes are the same.

    Args:
        name: The corpus.
        out: Folder for everything.
        asked: The options.

    Raises:
        AudioprepError: As the stages do.
    """
    params = load_data_params(PARAMS) if PARAMS.exists() else DataParams()
    layout = Layout.in_folder(name, out)
    check_out(name, layout, asked.root)
    _check_engine(load_engine(PARAMS, asked.engine))
    with alone_in(layout):
        _run_stages(name, layout, params, asked)


def _run_stages(name: str, layout: Layout, params: DataParams, asked: Asked) -> None:
    engine = load_engine(PARAMS, asked.engine)
    rule = _resolve(name, params, layout, asked)
    params = parse_section(DataParams, "", {**params.model_dump(), "recipes": {name: rule.model_dump()}})
    download(layout, rule)
    _check_split(layout, rule.split)
    resample(layout, source_places(layout, rule.root), params.resample, rule.num_shards, engine)
    loudness(layout, params.loudness_rule(name))
    trim(layout, params.trim_rule(name), rule.window_s, engine, params.window.hop_s)
    for kind in params.features.kinds:
        features(layout, kind, params.features, engine, params.denoise)
    split(layout, rule.split, params.split)
    card(layout)
    for line in prepared_lines(layout, rule.split, params.features.kinds):
        say(line)


def _resolve(name: str, params: DataParams, layout: Layout, asked: Asked) -> RecipeRule:
    """Return the corpus's rules, with what the options change, and put given archives in their place."""
    rule = params.recipes.get(name) or _new_rule(name, params, asked.root)
    recipe = load_recipe(rule.recipe)
    variant = recipe.variant(asked.variant or rule.variant)
    _check_options(name, recipe, rule, asked)
    changes: dict[str, Any] = {"root": str(asked.root)} if asked.root else {}
    if asked.variant and asked.variant != rule.variant:
        changes |= {"variant": variant.name, "split": variant.default_split}
    declared = {split.name for split in variant.splits}
    if asked.root and not recipe.archives:
        # What cannot be read is refused before anything is written.
        clips = list_clips(name, recipe, variant, open_members([Place((str(asked.root),))], layout.work / "archives"))
        declared = {split for clip in clips for split in clip.splits}
        if name not in params.recipes:
            # Folds before fixed parts.
            changes["split"] = max(declared, default=rule.split)
        grouped = ((clip.group or clip.member, clip.labels) for clip in clips)
        check_enough(name, asked.split or changes.get("split", rule.split), grouped)
    if asked.split:
        if not is_generated(asked.split) and (recipe.archives or asked.root) and asked.split not in declared:
            raise SplitError(unknown_name(f"{name}: split", asked.split, {*declared, "grouped", "grouped-5fold"}))
        changes["split"] = asked.split
    if asked.archives:
        changes["archive"] = _place_all(recipe, variant, layout, asked.archives)
    return RecipeRule.model_validate(rule.model_dump() | changes)


def _check_split(layout: Layout, name: str) -> None:
    """Refuse a split that cannot be made as soon as the groups are known."""
    declared = read_table(layout.raw / "clips.parquet", ["group", "labels"])
    check_enough(layout.dataset, name, zip(declared["group"].to_pylist(), declared["labels"].to_pylist(), strict=True))


def _check_options(name: str, recipe: Recipe, rule: RecipeRule, asked: Asked) -> None:
    if asked.archives and asked.root:
        raise DatasetError(f"{name}: expected --archive or --root, got both; give one")
    if asked.root and not asked.root.is_dir():
        raise FetchError(f"{asked.root}: expected a folder, found none; give the folder with the recordings")
    if asked.archives and not recipe.archives:
        raise DatasetError(f"{name}: expected --root PATH for a folder of recordings, got --archive; give the folder")
    if not recipe.archives and not rule.root and not asked.root:
        raise DatasetError(f"{name}: expected the folder with the recordings, got none; give it with --root PATH")


def _check_engine(rule: EngineRule) -> None:
    """Refuse an engine that is not installed before anything is written."""
    if rule.engine == "ray" and importlib.util.find_spec("ray") is None:
        raise ConfigError("engine: expected Ray, found none; run: pip install 'audioprep[ray]'")


def _new_rule(name: str, params: DataParams, root: Path | None) -> RecipeRule:
    if name in recipe_names():
        recipe = load_recipe(name)
    elif root is None:
        known = {*params.recipes, *recipe_names()}
        raise DatasetError(f"{unknown_name('corpus', name, known)}; for recordings of your own add --root FOLDER")
    elif not _NAME.fullmatch(name) or name in _RESERVED:
        raise DatasetError(f"corpus: expected a name of a-z, 0-9 and _, not {min(_RESERVED)}, got '{name}'; rename it")
    else:
        recipe = load_recipe("folder")
    variant = recipe.variant()
    values = {
        "recipe": recipe.name,
        "variant": variant.name if len(recipe.variants) > 1 else None,
        "window_s": recipe.window_s,
        "split": variant.default_split,
        "loudness_mode": recipe.loudness_mode,
        "exclude": recipe.exclude,
        "fit_on": recipe.fit_on,
    }
    return RecipeRule.model_validate(values)


def _place_all(recipe: Recipe, variant: Variant, layout: Layout, given: Sequence[Path]) -> str | None:
    """Put the user's archives where the stages look; return the name of one that takes the published one's place."""
    published = archives_of(recipe, variant)
    expected = {file.name: file for archive in published for file in (*archive.pieces, archive)}
    store = layout.archives / recipe.store_name
    own = None
    for path in given:
        if path.is_dir():
            found = [path / name for name in sorted(expected) if (path / name).is_file()]
            if not found:
                raise FetchError(
                    f"{path}: expected {', '.join(sorted(expected)[:5])} in it, found none; place them there"
                )
            for file in found:
                _place(file, store / file.name)
        elif not path.is_file():
            raise FetchError(f"{path}: expected an archive, found none; check the path given with --archive")
        elif len(expected) > 1:
            if path.name not in expected:
                raise FetchError(f"{path}: expected one of {', '.join(sorted(expected)[:5])}; rename it as published")
            _place(path, store / path.name)
        else:
            own = _place_own(path, published[0], store)
    return own


def _place_own(path: Path, published: Archive, store: Path) -> str | None:
    """Place the only archive of a corpus; return its name there, or None if it is the published one."""
    if is_published(published, path):
        _place(path, store / published.name)
        return None
    if not published.is_metadata and not is_archive(path):
        raise FetchError(f"{path}: expected an archive, zip or tar, got a file of another kind; give another --archive")
    name = path.name
    if name == published.name and (store / name).resolve() != path.resolve():
        name = f"user-{name}"
    _place(path, store / name)
    return name


def _place(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.resolve() == path.resolve():
        return
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(path, part)
    except OSError:
        shutil.copyfile(path, part)
    part.replace(target)


def _lacks_archive(layout: Layout, rule: RecipeRule) -> bool:
    """Tell whether an archive is gone and needed: who has the audio shards, from a colleague say, can do without."""
    recipe = load_recipe(rule.recipe)
    store = layout.archives / recipe.store_name
    files = [file for archive in archives_of(recipe, recipe.variant(rule.variant)) for file in files_of(archive, store)]
    names = [rule.archive] if rule.archive else [file.name for file in files]
    return not all((store / name).exists() for name in names) and not (layout.audio / INDEX_NAME).exists()


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
        said = (f"{key}: {_plain(value)}" for key, value in rule if value is not None)
        say(f"params.yaml: recipes.{name} is now {{{', '.join(said)}}}")
    if name not in params.datasets:
        values.setdefault("datasets", []).append(name)
        say(f"params.yaml: datasets is now [{', '.join(values['datasets'])}]")
    dumped = io.StringIO()
    yaml.dump(values, dumped)
    # The blank line behind the last recipe has come to stand before the new one.
    text = re.sub(rf"\n\n(  {re.escape(name)}:\n(?:    .*\n)+)(?=\S)", r"\n\1\n", dumped.getvalue())
    try:
        write_atomically(PARAMS, text)
    except OSError as error:
        raise ConfigError(f"{PARAMS}: expected to write it, got {error.strerror}; make it writable") from None


def _plain(value: object) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)
