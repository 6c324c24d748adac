"""Commands on trained models."""

from pathlib import Path
from typing import Annotated

import typer

from audioprep.cli.app import DATA, app, prepared_layout
from audioprep.console import counted, say, show_table


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def predict(context: typer.Context) -> None:
    """Classify audio files, a microphone or long recordings with an exported bundle: `audioprep predict --help`."""
    from audioprep.edge.classify import main
    from audioprep.model.whole_front import whole_front

    main(context.args, "audioprep predict", front_of=whole_front)


@app.command()
def monitor(
    log: Annotated[Path, typer.Argument(help="What `audioprep predict --log` or classify.py wrote.")],
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle that wrote it; that of this project where none is named.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; LOG.html where none is named.")] = None,
) -> None:
    """Compare what a device heard with what its network was trained on: level, loudness, confidence, classes."""
    from audioprep.model.monitor.page import monitor as write_page

    page = out or log.with_name(f"{log.name}.html")
    for line in write_page(log, bundle, page):
        say(line)
    say(f"page in {page}")


@app.command()
def models(
    num_classes: Annotated[int, typer.Option("--classes", min=1, help="How many classes the head decides on.")] = 10,
) -> None:
    """List the networks that `model.arch` can name, with what each costs on this project's features."""
    from audioprep.config.training import ModelRule, load_training_params
    from audioprep.errors import ModelError
    from audioprep.model.archs.registry import ARCHS
    from audioprep.model.checkpoints import Shapes, cost_of

    rule = load_training_params().model if Path("params.yaml").exists() else ModelRule()
    num_frames, num_bins = _feature_shape(rule.features)
    rows, reasons = [], []
    for name, arch in ARCHS.items():
        try:
            own = rule if name == rule.arch else rule.model_copy(update={"arch": name, "init_checkpoint": None})
            cost = cost_of(own, Shapes(num_frames, num_bins, num_classes))
        except ModelError as error:
            costs = ("-", "-")
            reasons.append(f"{name}: {error}")
        else:
            costs = (f"{cost.num_parameters:,}", f"{cost.num_multiply_adds / 1e6:,.1f} M")
        rows.append((name, *costs, ", ".join(("pool", *arch.settings)), arch.stays_float or "-", arch.about))
    columns = ("arch", "parameters", "multiply-adds", "reads of model", "float32 in int8", "what it is")
    show_table(f"Networks on {num_frames} frames of {num_bins} bins, {num_classes} classes", columns, rows)
    for reason in reasons:
        say(reason)


def _feature_shape(kind: str) -> tuple[int, int]:
    """Return frames and bins of the features that this project trains on, of its first corpus."""
    import numpy as np

    from audioprep.config.data import DataParams, RecipeRule, load_data_params
    from audioprep.dsp.features import feature_kernel

    params = load_data_params() if Path("params.yaml").exists() else DataParams()
    recipe = next((params.recipes[name] for name in params.datasets if name in params.recipes), None)
    recipe = recipe or RecipeRule(recipe="folder", window_s=5.0, split="grouped")
    kernel = feature_kernel(kind, getattr(params.features, kind).model_dump(), params.resample.rate_hz)
    num_frames, num_bins = kernel(np.zeros(round(recipe.window_s * params.resample.rate_hz), np.float32)).shape
    return num_frames, num_bins


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


@app.command()
def events(
    name: Annotated[str, typer.Argument(help="A corpus that a network was trained on.")],
    fold: Annotated[int | None, typer.Option(help="One trained fold; all where none is named.")] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="True events, to tune thresholds and to score by: lhotse supervisions, .jsonl(.gz)."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="Of a frame's probability; by default tuned, or a half.")
    ] = None,
    median: Annotated[float, typer.Option(min=0.0, help="Seconds of the median filter over frames.")] = 0.3,
    gap: Annotated[float, typer.Option(min=0.0, help="Events no further apart become one, seconds.")] = 0.2,
    shortest: Annotated[float, typer.Option(min=0.0, help="Shorter events are left out, seconds.")] = 0.2,
    out: Annotated[
        Path | None, typer.Option(help="A folder; exports/<name>-events, or -events-fold<k>, where none is named.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="Trained folds; those of the project where none are named.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the corpora, or of one.")] = DATA,
) -> None:
    """Find sound events in the clips that each trained fold was tested on, as lhotse supervisions."""
    import json

    from audioprep.io.events import read_events, write_events
    from audioprep.model.detect import DetectRule, detect

    layout = prepared_layout(data, name, ("audio", "cuts", "splits"))
    trained = checkpoints or layout.data.parent.parent / "models" / name / "checkpoints"
    rule = DetectRule(threshold, median, gap, shortest)
    known = None if truth is None else read_events(truth)
    found = detect(layout.data, trained, rule, fold, known)
    out = out or Path("exports", f"{name}-events" + (f"-fold{fold}" if fold else ""))
    out.mkdir(parents=True, exist_ok=True)
    write_events(out / "events.jsonl.gz", found.events)
    about = {"rule": vars(rule), "thresholds": found.thresholds, **found.scores}
    (out / "events.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    columns, rows = found.table()
    title = f"Events in {counted(len(found.events), 'recording')}, {counted(len(found.thresholds), 'fold')}"
    show_table(title, columns, rows)
    if found.scores:
        f1 = {
            kind: f"{found.scores[kind]['f1']:.3f} (macro {found.scores[kind]['macro_f1']:.3f})"
            for kind in found.scores
        }
        num_known = sum(bool(known and known.get(recording)) for recording in found.events)
        say(f"F1 of segments of 1 s {f1['segment']}, of events {f1['event']}; {num_known} of them have true events")
    say(f"{out / 'events.jsonl.gz'}: {counted(sum(map(len, found.events.values())), 'event')}")
