"""DVC stage `export`: write the edge bundle of a corpus. Usage: python stages/export.py DATASET"""

from pathlib import Path

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Write the edge bundle of a corpus."""
    from audioprep.config.data import load_data_params
    from audioprep.config.training import load_training_params
    from audioprep.io.layout import Layout
    from audioprep.model.export import export

    params = load_data_params()
    audio = {
        "rate_hz": params.resample.rate_hz,
        "window_s": params.recipe_rule(dataset).window_s,
        **({} if params.window.hop_s is None else {"hop_s": params.window.hop_s}),
        "loudness": params.loudness_rule(dataset).model_dump(mode="json"),
        "trim": params.trim_rule(dataset).model_dump(mode="json"),
    }
    models, results = Path("models", dataset), Path("reports", dataset)
    rule = load_training_params().export
    export(Layout.in_project(dataset).data, models / "checkpoints", results, models / "bundle", rule, audio)


if __name__ == "__main__":
    run_stage(main)
