"""Commands on trained models."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import app
from audioprep.console import say, show_table
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


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="A report folder, or its predictions.parquet.")],
    second: Annotated[Path, typer.Argument(metavar="B", help="Another one, of the same clips.")],
) -> None:
    """Tell whether B is better than A on the same clips, or whether the difference may be chance."""
    from audioprep.model.compare import compare as compare_predictions

    found = compare_predictions(first, second)
    rows = [(name, f"{a:.4f}", f"{b:.4f}", f"{b - a:+.4f}") for name, a, b in found.rows]
    counts = found.mcnemar
    rows.append(
        ("right in one alone", str(counts["only_a"]), str(counts["only_b"]), f"p {counts['p_value']:.2g} (McNemar)")
    )
    show_table(f"A {first}, B {second}: {found.num_groups} groups of clips", ("", "A", "B", "B - A"), rows)
    say(found.verdict)
