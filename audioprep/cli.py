"""The command line. What a command needs is imported when it runs: `--help` answers at once."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from audioprep.console import say, show_table
from audioprep.errors import DatasetError, one_line_errors
from audioprep.io.layout import Layout

app = typer.Typer(
    name="audioprep",
    help="Audio classification corpora to verified, leak-checked, shareable feature shards.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        from importlib.metadata import version

        say(f"audioprep {version('audioprep')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _asked: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Take the options that stand before a command; `main` looks for --debug itself."""


@app.command()
def datasets() -> None:
    """List the corpora: clips, hours, classes, licence, and how to get them."""
    from audioprep.datasets import all_recipes

    rows = [
        (
            recipe.name,
            _number(recipe.num_clips),
            _number(recipe.hours),
            _number(recipe.num_classes),
            recipe.split,
            recipe.license,
            recipe.get,
        )
        for recipe in all_recipes()
    ]
    show_table("Corpora", ("name", "clips", "hours", "classes", "split", "licence", "how to get it"), rows)


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A corpus of `audioprep datasets`, or any name with --root.")],
    archive: Annotated[Path | None, typer.Option(help="An archive that you have already.")] = None,
    root: Annotated[Path | None, typer.Option(help="A folder of your own recordings.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write here, without DVC.")] = None,
) -> None:
    """Take a corpus from archive or folder to feature shards and splits."""
    import os

    from audioprep.steps import prepare as steps

    archive, root, out = (path and path.expanduser().resolve() for path in (archive, root, out))
    if out is not None:
        steps.prepare_in_folder(name, out, archive, root)
        return
    project = steps.project_root(Path.cwd())
    if project is None:
        raise DatasetError(f"{Path.cwd()}: expected an audioprep project (.dvc, dvc.yaml, params.yaml); give --out DIR")
    os.chdir(project)
    steps.prepare_in_project(name, archive, root)


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(metavar="ID_OR_SHARD", help="A clip's id, or the path of a shard.")],
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = Path("data"),
    picture: Annotated[Path | None, typer.Option(help="Where the picture goes.")] = None,
) -> None:
    """Show the facts and decisions of one clip, with a picture, or the content of one shard."""
    from audioprep.steps.inspect import describe_clip, describe_shard

    if Path(what).is_file():
        lines = describe_shard(Path(what))
    else:
        lines = describe_clip(_layouts(data), what, picture or Path("reports", "inspect", f"{what}.png"))
    for line in lines:
        say(line)


@app.command()
def audit(
    name: Annotated[str, typer.Argument(help="A prepared corpus.")],
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = Path("data"),
) -> None:
    """Show what the audit of a corpus's split found."""
    import json

    from audioprep.errors import unknown_name
    from audioprep.steps.audit import summary_lines

    audits = {layout.dataset: layout.splits / "audit.json" for layout in _layouts(data)}
    prepared = {dataset: path for dataset, path in audits.items() if path.is_file()}
    if not prepared:
        raise DatasetError(f"{data}: expected a prepared corpus, found none; run `audioprep prepare {name}` first")
    if name not in prepared:
        raise DatasetError(unknown_name("prepared corpus", name, prepared))
    for line in summary_lines(json.loads(prepared[name].read_text(encoding="utf-8"))):
        say(line)
    say(f"  details in {prepared[name].with_suffix('.md')}")


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Audio files.")],
    model: Annotated[Path, typer.Option(help="A bundle that the export stage made.")],
    top: Annotated[int, typer.Option(min=1, help="How many classes to print.")] = 3,
) -> None:
    """Classify audio files with an exported bundle."""
    from audioprep.edge.predict import Predictor
    from audioprep.errors import AudioprepError, summarise

    predictor = Predictor(model)
    failures = []
    for file in files:
        try:
            best = predictor.predict(file)[:top]
        except AudioprepError as error:
            failures.append(str(error))
        else:
            say(f"{file}: " + ", ".join(f"{label} {probability:.3f}" for label, probability in best))
    if failures:
        raise DatasetError(summarise("predict", failures, "give files that hold audio"))


def main() -> None:
    """Run the command line; an error is one line and exit status 1."""
    with one_line_errors(debug="--debug" in sys.argv):
        app()


def _layouts(data: Path) -> list[Layout]:
    if (data / "audio").is_dir():
        return [Layout.in_folder(data.resolve().name, data)]
    names = sorted(folder.name for folder in data.iterdir() if folder.is_dir()) if data.is_dir() else []
    return [Layout.in_folder(name, data / name) for name in names]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"
