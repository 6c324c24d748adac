"""DVC stage `features`: make the feature shards of one kind. Usage: python stages/features.py DATASET KIND"""

from audioprep.stage import run_stage


def main(dataset: str, kind: str) -> None:
    """Make the feature shards of one kind."""
    from audioprep.config.data import load_data_params
    from audioprep.config.engine import load_engine
    from audioprep.io.layout import Layout
    from audioprep.steps.features import features

    params = load_data_params()
    features(Layout.in_project(dataset), kind, params.features, load_engine(), params.denoise)


if __name__ == "__main__":
    run_stage(main)
