"""Commands on a team's own project."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import app


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The project's folder; it is made if it is not there.")],
    update: Annotated[  # noqa: FBT002 - typer calls it so
        bool, typer.Option("--update", help="Bring a project up to date with the installed version.")
    ] = False,
) -> None:
    """Start a DVC project with the whole pipeline, for you or your team, or bring one up to date."""
    from audioprep.steps.init.start import start
    from audioprep.steps.init.update import update as bring_up_to_date

    (bring_up_to_date if update else start)(folder.expanduser())
