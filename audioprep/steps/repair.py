"""Making damaged shards anew, by the rule in the index of their folder, and nothing else.

The step that made the folder runs again: it takes the whole shards as they are, and computes the damaged ones. Where a
table beside the shards is damaged that tells of all of them (facts, statistics), all are computed.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any

from audioprep.config.augment import AugmentRule
from audioprep.config.base import parse_section
from audioprep.config.data import DenoiseRule, FeatureRules, ResampleRule, TrimRule, load_data_params
from audioprep.engine import alone, dvc_cache, link_or_copy
from audioprep.engine.tasks import CACHE
from audioprep.errors import AudioprepError, DatasetError, ShardError
from audioprep.io.layout import Layout
from audioprep.io.ledger import read_ledger
from audioprep.io.places import source_places
from audioprep.steps import augment as augment_step
from audioprep.steps import features as features_step
from audioprep.steps import resample as resample_step
from audioprep.steps.out_folder import alone_in
from audioprep.steps.project import PARAMS, project_root
from audioprep.steps.trim import trim
from audioprep.steps.verify import Checked, verify

# What reads from another comes after it.
_ORDER = ("raw", "audio", "loudness", "cuts")
# What a folder is made from; made from damaged input it would be vouched for all the same.
_INPUTS = {"resample": (), "trim": ("audio",), "features": ("audio", "cuts"), "augment": ("audio", "cuts")}
# The stage of a folder without an index, which nothing but that stage can make.
_STAGES = {
    "raw": "download",
    "audio": "resample",
    "loudness": "loudness",
    "cuts": "trim",
    "splits": "split",
    "card": "card",
}
_VERSIONS = {
    "resample": resample_step.VERSION,
    "features": features_step.VERSION,
    "augment": augment_step.VERSION,
}


def repair(folders: Sequence[Checked], root: Path | None = None) -> Iterator[str]:
    """Make what is damaged anew, and yield what was done, line by line.

    Args:
        folders: What `verify` found.
        root: The user's folder, for a corpus that is one, where params.yaml does not name it.

    Raises:
        ShardError: Something could not be repaired, or did not come out as it was.
    """
    failures = []
    for checked in sorted((f for f in folders if f.num_wrong), key=lambda f: _rank(f.folder)):
        try:
            yield _repaired(checked, root)
        except AudioprepError as error:
            failures.append(str(checked.folder))
            yield f"{checked.folder}: not repaired: {error}"
    if failures:
        raise ShardError(f"repair: could not repair {', '.join(failures)}; the lines above say why")


def cache_objects(files: Sequence[Path]) -> dict[Path, Path]:
    """Return what DVC's cache holds of files that are links into it: the same bytes, so damaged with them.

    Args:
        files: Files of a DVC project.
    """
    linked = [file for file in files if file.exists() and (file.is_symlink() or file.stat().st_nlink > 1)]
    project = project_root(linked[0].parent.resolve()) if linked else None
    if project is None:
        return {}
    file_of = {(file.stat().st_dev, file.stat().st_ino): file for file in linked}
    objects = ((path, path.lstat()) for path in dvc_cache(project).rglob("*"))
    return {file_of[key]: path for path, stat in objects if (key := (stat.st_dev, stat.st_ino)) in file_of}


def stage_commands(folders: Sequence[Checked]) -> list[str]:
    """Return the commands that make the damaged folders which have no index to repair them by.

    Args:
        folders: What `verify` found.
    """
    lost = [checked.folder for checked in folders if checked.num_wrong and checked.index is None]
    return list(dict.fromkeys(map(_command, sorted(lost, key=_rank))))


def _command(folder: Path) -> str:
    corpus, name = _corpus(folder.resolve()), folder.name
    if corpus != folder.resolve().parent:
        return f"dvc repro augment@{corpus.name}"
    project = project_root(corpus)
    if project is None or corpus.parent != project / "data":
        try:
            dataset = _dataset(corpus)
        except AudioprepError:  # what would say it is damaged
            dataset = corpus.name
        return f"audioprep prepare {dataset} --out {corpus}"
    instance = f"{_STAGES[name]}@{corpus.name}" if name in _STAGES else f"features@{corpus.name}-{name}"
    return f"dvc repro {instance}"


def _corpus(folder: Path) -> Path:
    """Return the corpus that a folder is part of; those of augmented copies stand one deeper than others."""
    return folder.parents[1] if folder.parent.name == "augmented" else folder.parent


def _rank(folder: Path) -> tuple[str, int]:
    rank = _ORDER.index(folder.name) if folder.name in _ORDER else len(_ORDER)
    return str(folder.parent), rank


def _repaired(checked: Checked, root: Path | None) -> str:
    folder = checked.folder.resolve()
    if checked.index is None:
        raise ShardError(f"{checked.folder}: expected an index with the rule, got none; run `{_command(folder)}`")
    project, corpus = project_root(folder), _corpus(folder)
    in_project = project is not None and corpus.parent == project / "data"
    # A project's paths are relative to its folder, as those in dvc.lock are.
    with chdir(project) if project is not None and in_project else nullcontext():
        layout = Layout.in_project(corpus.name) if in_project else Layout.in_folder(_dataset(corpus), corpus)
        again = _step(layout, checked.index, root)
        for name in _INPUTS[checked.index["stage"]]:
            if any(found.num_wrong for found in verify(corpus / name)):
                raise ShardError(
                    f"{corpus / name}: expected it whole, to make {folder.name} from, got damage; repair it first"
                )
        objects = cache_objects([folder / name for name in checked.damaged])
        with _undone_on_failure(folder, layout.work.absolute() / f"before-{folder.name}"):
            # The step takes a folder for whole when every file has its size.
            for name in (*checked.damaged, *checked.extra):
                (folder / name).unlink(missing_ok=True)
            if checked.damaged:
                # What the step says counts all shards, the whole ones too; what was repaired is said below.
                with (
                    alone(layout.lock(_stage_run(checked.index))) if in_project else alone_in(layout),
                    redirect_stdout(io.StringIO()),
                ):
                    again()
            (after,) = verify(folder)
            if after.num_wrong or after.listing != checked.listing:
                raise ShardError(
                    f"{checked.folder}: expected the bytes that its index listed, got others: its input, rule or version "
                    "has changed since; run its stage, and those after it"
                )
        did = [_made(checked, layout)] if checked.damaged else []
    _mend(objects)
    did += [f"removed {', '.join(checked.extra)}"] if checked.extra else []
    did += [f"DVC's cache mended too ({len(objects)})"] if objects else []
    return f"{checked.folder}: repaired: {'; '.join(did)}"


def _made(checked: Checked, layout: Layout) -> str:
    """Return how the damaged files came back: computed, or taken from DVC's cache, which the run log tells."""
    index = checked.index or {}
    kind = index.get("kind", index["stage"])
    log = layout.log / f"{f'augmented-{kind}' if index['stage'] == 'augment' else kind}.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    origin_of = {line["shard"]: line["origin"] for line in map(json.loads, lines)}
    shards = [entry["shard"] for entry in index["shards"] if entry["files"].keys() & checked.damaged.keys()]
    num_taken = sum(origin_of.get(shard) == CACHE for shard in shards)
    files = f"{len(checked.damaged)} of {len(checked.listing)} files"
    if not num_taken:
        return f"{files} made anew, bytes equal to the index"
    others = f"{len(shards) - num_taken} made anew" if len(shards) > num_taken else ""
    shards_text = ", ".join(filter(None, (f"shards taken from DVC's cache: {num_taken}", others)))
    return f"{files}, bytes equal to the index ({shards_text})"


def _stage_run(index: dict[str, Any]) -> str:
    """Return the name of the one run that a stage may have, as its script says it: `resample`, `features-logmel`."""
    return "-".join(filter(None, (index["stage"], index.get("kind"))))


def _link(source: str, target: str) -> None:
    link_or_copy(Path(source), Path(target))


@contextmanager
def _undone_on_failure(folder: Path, kept: Path) -> Iterator[None]:
    """Leave a folder as it was, damage and all, where what is done to it fails."""
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept, symlinks=True, copy_function=_link)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept, folder, symlinks=True, copy_function=_link)
        raise
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def _mend(objects: dict[Path, Path]) -> None:
    """Give DVC's cache the right bytes again: what it has hashed once, it takes for whole ever after."""
    for file, path in objects.items():
        with file.open("rb") as opened:
            md5 = hashlib.file_digest(opened, "md5").hexdigest()
        if md5 == f"{path.parent.name}{path.name}":
            part = path.with_name(f"{path.name}.part")
            shutil.copyfile(file, part)
            shutil.copymode(path, part)
            part.replace(path)


def _dataset(corpus: Path) -> str:
    layout = Layout.in_folder(corpus.name, corpus)
    return str(read_ledger(layout)["dataset"]) if layout.raw.is_dir() else corpus.name


def _step(layout: Layout, index: dict[str, Any], root: Path | None) -> Callable[[], None]:
    """Return the call that makes a folder again, with everything checked that can be before anything is touched."""
    stage = index.get("stage", "")
    if (version := index.get("version")) != _VERSIONS.get(stage):
        raise ShardError(
            f"{layout.data}: expected version {_VERSIONS.get(stage)} of stage {stage}, got a folder of version {version}; "
            "run the stage"
        )
    rule = dict(index.get("rule", {}))
    if stage == "resample":
        # What was unusable then is unusable now, and was borne.
        resample_rule = parse_section(ResampleRule, "resample", {**rule, "max_bad_fraction": 1.0})
        places = source_places(layout, _root(layout, root))
        return lambda: resample_step.resample(layout, places, resample_rule, index["num_shards"])
    if stage == "trim":
        window_s, hop_s = rule.pop("window_s"), rule.pop("hop_s", None)
        trim_rule = parse_section(TrimRule, "trim", rule)
        return lambda: trim(layout, trim_rule, window_s, hop_s=hop_s)
    if stage == "augment" and not index["copies"]:
        return lambda: None  # there is nothing but its index
    kind = index["kind"]
    feature_rules = parse_section(FeatureRules, "features", {"kinds": [kind], kind: rule})
    denoise = parse_section(DenoiseRule, "denoise", index.get("denoise", {}))
    if stage == "augment":
        augment_rule = parse_section(AugmentRule, "augment", index["augment"])
        return lambda: augment_step.augment(layout, kind, feature_rules, augment_rule, denoise=denoise)
    return lambda: features_step.features(layout, kind, feature_rules, denoise=denoise)


def _root(layout: Layout, root: Path | None) -> str | None:
    recipes = load_data_params(PARAMS).recipes if PARAMS.is_file() else {}
    known = str(root) if root else recipes[layout.dataset].root if layout.dataset in recipes else None
    if not any(source["in_root"] for source in read_ledger(layout)["sources"]):
        return known
    if known is None:
        raise DatasetError(
            f"{layout.dataset}: expected the folder with the recordings, got none; give it with --root PATH"
        )
    if not Path(known).expanduser().is_dir():
        raise DatasetError(
            f"{known}: expected the folder with the recordings of {layout.dataset}, found none; if it has moved, give the "
            "place where it is now with --root PATH"
        )
    return known
