"""DVC stage `train`: train every fold of a corpus. Usage: python stages/train.py DATASET"""

from pathlib import Path

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Train every fold of a corpus."""
    from audioprep.config.base import parse_section
    from audioprep.config.data import load_data_params
    from audioprep.config.training import TrainRule, load_training_params, preset_text
    from audioprep.console import say
    from audioprep.io.layout import Layout
    from audioprep.model.folds import train_folds

    layout, params = Layout.in_project(dataset), load_training_params()
    if preset := preset_text():
        say(preset)
    recipe = load_data_params().recipe_rule(dataset)
    values = {**params.train.model_dump(), "fit_on": recipe.fit_on or params.train.fit_on}
    rule = parse_section(TrainRule, f"recipes.{dataset}", values)
    out = Path("models", dataset, "checkpoints")
    train_folds(layout.data, recipe.split, params.model, rule, layout.work / "train", out, layout.log / "train.jsonl")


if __name__ == "__main__":
    run_stage(main)
