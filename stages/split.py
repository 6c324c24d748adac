"""DVC stage `split`: give every clip its role in every fold, and audit it. Usage: python stages/split.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Give every clip its role in every fold, and audit it."""
    from audioprep.config.data import load_data_params
    from audioprep.io.layout import Layout
    from audioprep.steps.split import split

    params = load_data_params()
    split(Layout.in_project(dataset), params.recipe_rule(dataset).split, params.split)


if __name__ == "__main__":
    run_stage(main)
