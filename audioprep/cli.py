"""The command line. What a command needs is imported when it runs: `--help` answers at once."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

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
def datasets(
    name: Annotated[str | None, typer.Argument(help="One corpus, in full.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,  # noqa: FBT002 - typer calls it so
) -> None:
    """List the corpora, or the variants, official splits, archives and known defects of one."""
    from audioprep.datasets import load_recipe
    from audioprep.steps.catalogue import catalogue, describe

    found = catalogue() if name is None else describe(load_recipe(name))
    if as_json:
        _say_json(found)
    elif isinstance(found, list):
        columns = ("name", "clips", "hours", "classes", "split", "licence", "how to get it")
        show_table("Corpora", columns, [_corpus_row(corpus) for corpus in found])
    else:
        _show_corpus(found)


@app.command()
def prepare(
    name: Annotated[str, typer.Argument(help="A corpus of `audioprep datasets`, or any name with --root.")],
    archive: Annotated[
        list[Path] | None, typer.Option(help="An archive that you have already, or a folder with archives; repeatable.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="A folder of your own recordings, or a published corpus that is unpacked.")
    ] = None,
    variant: Annotated[
        str | None, typer.Option(help="The task, of those that `audioprep datasets NAME` lists.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="An official split, grouped or grouped-<K>fold.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write here, without DVC.")] = None,
) -> None:
    """Take a corpus from archive or folder to feature shards and splits."""
    import os

    from audioprep.steps import prepare as steps

    root, out = (path and path.expanduser().resolve() for path in (root, out))
    archives = tuple(path.expanduser().resolve() for path in archive or ())
    asked = steps.Asked(archives, root, variant, split)
    if out is not None:
        steps.prepare_in_folder(name, out, asked)
        return
    project = steps.project_root(Path.cwd())
    if project is None:
        raise DatasetError(f"{Path.cwd()}: expected an audioprep project (.dvc, dvc.yaml, params.yaml); give --out DIR")
    os.chdir(project)
    steps.prepare_in_project(name, asked)


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
    name: Annotated[str, typer.Argument(help="A corpus that is prepared, or whose metadata are there.")],
    split: Annotated[
        str | None, typer.Option(help="Any split of the corpus; the prepared one where none is named.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = Path("data"),
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,  # noqa: FBT002 - typer calls it so
) -> None:
    """Show what would make a score on a split untrue: leaks, copies, conflicting labels, outliers."""
    from audioprep.config.data import DataParams, load_data_params
    from audioprep.errors import unknown_name
    from audioprep.steps.audit import audit as find
    from audioprep.steps.audit.report import show

    layouts = {layout.dataset: layout for layout in _layouts(data)}
    if not layouts:
        raise DatasetError(f"{data}: expected a prepared corpus, found none; run `audioprep prepare {name}` first")
    if name not in layouts:
        raise DatasetError(unknown_name("prepared corpus", name, layouts))
    params = load_data_params() if Path("params.yaml").is_file() else DataParams()
    found = find(layouts[name], split, params.split)
    _say_json(found) if as_json else show(found)


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
    """Return the corpora below a folder, or the one that lies in it."""
    from audioprep.io.ledger import read_ledger

    if (data / "raw").is_dir():
        here = Layout.in_folder(data.resolve().name, data)
        return [replace(here, dataset=read_ledger(here)["dataset"])]
    folders = sorted(data.iterdir()) if data.is_dir() else []
    return [Layout.in_folder(folder.name, folder) for folder in folders if (folder / "raw").is_dir()]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _say_json(values: object) -> None:
    import json

    say(json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False))


def _corpus_row(corpus: dict[str, Any]) -> tuple[str, ...]:
    variant = corpus["variants"][0]
    return (
        corpus["name"],
        _number(variant["num_clips"]),
        _number(corpus["hours"]),
        _number(variant["num_classes"]),
        variant["default_split"],
        corpus["license"],
        corpus["get"],
    )


def _show_corpus(corpus: dict[str, Any]) -> None:
    say(f"{corpus['name']}: {corpus['title']}")
    for label, key in (("licence", "license"), ("described at", "homepage"), ("cite", "cite"), ("to get it", "get")):
        say(f"  {label:<13} {corpus[key] or '-'}")
    for label, lines in (("ask at", [corpus["ask"]]), ("notice", [corpus["notice"]]), ("defect", corpus["defects"])):
        for line in filter(None, lines):
            say(f"  {label:<13} {line}")
    columns = ("variant", "clips", "classes", "official split", "parts", "known leaks", "what it is")
    show_table("Variants and official splits", columns, _split_rows(corpus))
    files = [file for archive in corpus["archives"] for file in archive["pieces"] or [archive]]
    rows = [(file["name"], _number(file["num_bytes"]), _verified_by(file)) for file in files]
    show_table(f"Files in data/archives/{corpus['store']}/", ("file", "bytes", "verified by"), rows)


def _split_rows(corpus: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for variant in corpus["variants"]:
        counts = (variant["name"], _number(variant["num_clips"]), _number(variant["num_classes"]))
        for split in variant["splits"] or [{"name": "none; grouped-5fold", "sizes": None, "known": {}, "about": ""}]:
            sizes = ", ".join(f"{part} {_number(size)}" for part, size in (split["sizes"] or {}).items()) or "-"
            about = "; ".join(filter(None, (variant["about"], split["about"])))
            yield (*counts, split["name"], sizes, str(len(split["known"])), about)
            counts = ("", "", "")


def _verified_by(file: dict[str, Any]) -> str:
    return next((f"{kind} {file[kind][:16]}…" for kind in ("sha256", "md5") if file[kind]), "nothing published")
