"""Commands on what is prepared: whether it is whole, and taking it elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import DATA, app, data_folder, prepared_layout
from audioprep.console import say
from audioprep.errors import ShardError


@app.command()
def verify(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="data, a corpus (esc50, data/esc50), or a folder of one (data/esc50/logmel)."
        ),
    ] = DATA,
    again: Annotated[  # noqa: FBT002 - typer calls it so
        bool, typer.Option("--repair", help="Compute the damaged shards anew, and nothing else.")
    ] = False,
    root: Annotated[
        Path | None, typer.Option(help="With --repair: the recordings of a corpus that is a folder of yours.")
    ] = None,
) -> None:
    """Recheck every shard against its index, and name the damaged ones."""
    from audioprep.steps.project import project_root
    from audioprep.steps.verify import report
    from audioprep.steps.verify import verify as check

    folder = _named(folder)
    folders = check(folder)
    for line in report(folders):
        say(line)
    if not (num_wrong := sum(checked.num_wrong for checked in folders)):
        if num_files := sum(len(checked.listing) for checked in folders):
            say(f"{folder}: {num_files} files are as their indexes say")
        return
    from audioprep.steps.repair import cache_objects, repair, stage_commands

    objects = cache_objects([checked.folder / name for checked in folders for name in checked.damaged])
    for path in sorted(objects.values()):
        say(f"  {path}: DVC's cache holds the same damaged bytes, and takes them for whole")
    if again:
        for line in repair(folders, root and root.expanduser().resolve()):
            say(line)
        return
    wrong = [checked.folder.relative_to(folder).as_posix() for checked in folders if checked.num_wrong]
    where = f" in {', '.join(wrong)}" if wrong != ["."] else ""
    can_repair = any(checked.num_wrong and checked.index is not None for checked in folders)
    remedies = [f"make the shards anew with `audioprep verify {folder} --repair`"] if can_repair else []
    if commands := stage_commands(folders):
        remedies.append(f"run {', '.join(f'`{command}`' for command in commands)}")
    remedy = ", and ".join(remedies)
    if project_root(folder.resolve()):
        pull = "delete them, and those objects of the cache, and `dvc pull`" if objects else "`dvc pull --force`"
        remedy += f", or, where a DVC remote has them, {pull}"
    raise ShardError(f"{folder}: expected what was prepared, got {num_wrong} wrong{where}; {remedy}")


def _named(folder: Path) -> Path:
    """Return the folder that is meant: a path, or a corpus of the project by its name."""
    if folder == DATA:
        return data_folder(folder, "go to one, or give DIR")
    if folder.exists() or folder.name != str(folder):
        return folder
    from audioprep.steps.project import project_root

    root = project_root(Path.cwd())
    corpus = (root if root and root != Path.cwd() else Path()) / DATA / folder
    return corpus if corpus.is_dir() else folder


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A corpus that is prepared.")],
    to: Annotated[str, typer.Option(help="webdataset, hf, lhotse-shar or numpy.")],
    kind: Annotated[
        str | None,
        typer.Option(
            help="The features; where neither these nor the sound are asked for: logmel, for lhotse-shar both."
        ),
    ] = None,
    audio: Annotated[  # noqa: FBT002 - typer calls it so
        bool, typer.Option("--audio", help="The sound of the clips; with --kind both.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="The split, if several are prepared.")] = None,
    fold: Annotated[int | None, typer.Option(help="The fold that is tested; the first where none is named.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new folder; exports/<name>-<format> where none is named.")] = None,
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = DATA,
) -> None:
    """Write a prepared corpus for WebDataset, Hugging Face datasets, lhotse or NumPy."""
    from audioprep.steps.export_shards import check_target, contents_wanted, export_shards
    from audioprep.steps.export_shards.content import open_content

    layout = prepared_layout(data, name, ("raw", "cuts", "splits"))
    out = out or Path("exports", f"{name}-{to}")
    check_target(to, out)
    kind, audio = contents_wanted(to, kind, with_audio=audio)
    content = open_content(layout, kind=kind, with_audio=audio, split_name=split, fold=fold)
    export_shards(content, to, out)
    said = ", ".join(f"{role} {count}" for role, count in content.counts.items())
    folds = f", fold {content.fold} of {len(content.split.roles)}" if len(content.split.roles) > 1 else ""
    say(f"{out}: {content.split_name}{folds}: {said}; see {out / 'README.md'}")
