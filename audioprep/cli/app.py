"""The command line: what every command shares."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from audioprep.console import say
from audioprep.errors import DatasetError, unknown_name
from audioprep.io.layout import Layout

# The folders of a corpus besides its features.
_PARTS = ("raw", "audio", "loudness", "cuts", "splits")

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


# Where the corpora of a project are, seen from its root.
DATA = Path("data")


def data_folder(data: Path, remedy: str = "go to one, or give --data DIR") -> Path:
    """Return the folder of the corpora: where none is named, that of the project that the current folder is in.

    Args:
        data: What the user has named; `DATA` is what stands there otherwise.
        remedy: What to do where there is no project.

    Raises:
        DatasetError: Nothing is named, and there is no project.
    """
    from audioprep.steps.project import no_project, project_root

    if data != DATA or data.is_dir():
        return data
    root = project_root(Path.cwd())
    if root is None:
        raise DatasetError(f"{no_project()}; {remedy}")
    return data if root == Path.cwd() else root / data


def layouts_in(data: Path) -> list[Layout]:
    """Return the corpora below a folder, or the one that lies in it."""
    from audioprep.io.ledger import read_ledger

    if (data / "raw").is_dir():
        here = Layout.in_folder(data.resolve().name, data)
        return [replace(here, dataset=read_ledger(here)["dataset"])]
    folders = sorted(data.iterdir()) if data.is_dir() else []
    return [Layout.in_folder(folder.name, folder) for folder in folders if (folder / "raw").is_dir()]


def prepared_layout(data: Path, name: str, parts: Sequence[str] = ("raw",)) -> Layout:
    """Return a corpus below a folder, or the one that lies in it.

    Args:
        data: The folder.
        name: The corpus.
        parts: The folders of it that are needed.

    Raises:
        DatasetError: There is none, or no project, or none of that name; the nearest one is suggested. Or a part of it is not
            here.
    """
    data = data_folder(data)
    layouts = {layout.dataset: layout for layout in layouts_in(data)}
    check_parts(layouts[name].data if name in layouts else data / name, name, parts)
    if data.resolve().name == name:
        check_parts(data, name, parts)
    if not layouts:
        raise DatasetError(f"{data}: expected a prepared corpus, found none; run `audioprep prepare {name}` first")
    if name not in layouts:
        raise DatasetError(unknown_name("prepared corpus", name, layouts))
    return layouts[name]


def check_parts(folder: Path, name: str, parts: Sequence[str]) -> None:
    """Raise if parts of a corpus are not here although others are, as after `audioprep restore NAME --stage split`.

    Raises:
        DatasetError: It is so.
    """
    from audioprep.steps.project import project_root

    absent = [part for part in parts if not (folder / part).is_dir()]
    here = [part for part in _PARTS if (folder / part).is_dir()]
    here += sorted(path.parent.name for path in folder.glob("*/_index.json") if path.parent.name not in _PARTS)
    if absent and here:
        in_project = project_root(folder.resolve()) is not None
        remedy = (
            f"`audioprep restore {name}` fetches, `dvc repro` makes it" if in_project else f"`audioprep prepare {name}`"
        )
        raise DatasetError(f"{folder}: expected {', '.join(absent)}, got {', '.join(here)} only; {remedy}")


def say_json(values: object) -> None:
    """Print values for scripts."""
    say(json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False))
