"""Commands on whole corpora: what there is, and preparing one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from audioprep.cli.app import app, say_json
from audioprep.console import say, show_table
from audioprep.errors import DatasetError


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
        say_json(found)
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
    engine: Annotated[str | None, typer.Option(help="What makes the shards: serial, processes or ray.")] = None,
) -> None:
    """Take a corpus from archive or folder to feature shards and splits."""
    import os

    from audioprep.steps import prepare as steps
    from audioprep.steps.project import no_project, project_root

    root, out = (path and path.expanduser().resolve() for path in (root, out))
    archives = tuple(path.expanduser().resolve() for path in archive or ())
    asked = steps.Asked(archives, root, variant, split, engine)
    if out is not None:
        steps.prepare_in_folder(name, out, asked)
        return
    project = project_root(Path.cwd())
    if project is None:
        raise DatasetError(f"{no_project()}; go to one, or give --out DIR")
    os.chdir(project)
    steps.prepare_in_project(name, asked)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


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
