"""Commands between teams: giving results, taking them, merging what names them."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import app

Version = Annotated[Path, typer.Argument(help="The file of that version, as git gives it; the second is the result.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Corpora of params.yaml; none: all.")]
RemoteName = Annotated[str | None, typer.Option("--remote", help="A DVC remote; the default one where none is named.")]


@app.command()
def share(name: Names = None, remote: RemoteName = None) -> None:
    """Push the results that dvc.lock names to the team's remote, and say what others need besides."""
    from audioprep.steps.project import enter_project
    from audioprep.steps.sharing import share

    enter_project()
    share(name or (), remote)


@app.command()
def restore(
    name: Names = None,
    stage: Annotated[
        list[str] | None, typer.Option(help="Only what this stage makes, as `features` or `split`; repeatable.")
    ] = None,
    remote: RemoteName = None,
) -> None:
    """Fetch the results that dvc.lock names from the team's remote; nothing is computed."""
    from audioprep.steps.project import enter_project
    from audioprep.steps.sharing import restore

    enter_project()
    restore(name or (), stage or (), remote)


@app.command("merge-lock", hidden=True)
def merge_lock(base: Version, ours: Version, theirs: Version) -> None:
    """Merge dvc.lock stage by stage; git calls it with %O %A %B."""
    from audioprep.steps.merging import merge_lock

    merge_lock(base, ours, theirs)


@app.command("merge-params", hidden=True)
def merge_params(base: Version, ours: Version, theirs: Version) -> None:
    """Merge params.yaml corpus by corpus; git calls it with %O %A %B."""
    from audioprep.steps.merging import merge_params

    merge_params(base, ours, theirs)
