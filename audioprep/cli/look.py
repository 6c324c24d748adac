"""Commands that look at what was prepared."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import DATA, app, check_parts, data_folder, layouts_in, prepared_layout, say_json
from audioprep.console import say


@app.command()
def inspect(
    what: Annotated[str, typer.Argument(metavar="ID_OR_SHARD", help="A clip's id, or the path of a shard.")],
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = DATA,
    picture: Annotated[Path | None, typer.Option(help="Where the picture goes.")] = None,
) -> None:
    """Show the facts and decisions of one clip, with a picture, or the content of one shard."""
    from audioprep.steps.inspect import describe_clip, describe_shard

    if Path(what).is_file():
        lines = describe_shard(Path(what))
    else:
        data = data_folder(data)
        layouts = layouts_in(data)
        if not any(layout.audio.is_dir() for layout in layouts):
            for folder in [data, *(sorted(data.iterdir()) if data.is_dir() else ())]:
                check_parts(folder, folder.resolve().name, ("raw", "audio"))
        lines = describe_clip(layouts, what, picture or Path("reports", "inspect", f"{what}.png"))
    for line in lines:
        say(line)


@app.command()
def audit(
    name: Annotated[str, typer.Argument(help="A corpus that is prepared, or whose metadata are there.")],
    split: Annotated[
        str | None, typer.Option(help="Any split of the corpus; the prepared one where none is named.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = DATA,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,  # noqa: FBT002 - typer calls it so
) -> None:
    """Show what would make a score on a split untrue: leaks, copies, conflicting labels, outliers."""
    from audioprep.config.data import DataParams, load_data_params
    from audioprep.steps.audit import audit as find
    from audioprep.steps.audit.report import show

    layout = prepared_layout(data, name)
    params = load_data_params() if Path("params.yaml").is_file() else DataParams()
    found = find(layout, split, params.split)
    say_json(found) if as_json else show(found)
