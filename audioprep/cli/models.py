"""Commands on trained models."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import app
from audioprep.console import say
from audioprep.errors import DatasetError


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
