"""DVC stage `trim`: decide the used part of every recording. Usage: python stages/trim.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Decide the used part of every recording."""
    from audioprep.config.data import load_data_params
    from audioprep.config.engine import load_engine
    from audioprep.io.layout import Layout
    from audioprep.steps.trim import trim

    params, layout = load_data_params(), Layout.in_project(dataset)
    trim(layout, params.trim_rule(dataset), params.recipe_rule(dataset).window_s, load_engine(), params.window.hop_s)


if __name__ == "__main__":
    run_stage(main)
