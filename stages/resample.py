"""DVC stage `resample`: bring every recording to one rate, mono, and measure it. Usage: python stages/resample.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Bring every recording to one rate, mono, and measure it."""
    from audioprep.config.data import load_data_params
    from audioprep.config.engine import load_engine
    from audioprep.io.layout import Layout
    from audioprep.io.places import source_places
    from audioprep.steps.resample import resample

    params, layout = load_data_params(), Layout.in_project(dataset)
    rule = params.recipe_rule(dataset)
    resample(layout, source_places(layout, rule.root), params.resample, rule.num_shards, load_engine())


if __name__ == "__main__":
    run_stage(main)
