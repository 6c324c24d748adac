"""DVC stage `augment`: make changed copies of the clips for training. Usage: python stages/augment.py DATASET KIND"""

from audioprep.stage import run_stage


def main(dataset: str, kind: str) -> None:
    """Make changed copies of the clips, as features of the kind that the model takes."""
    from audioprep.config.augment import load_augment_rule
    from audioprep.config.data import load_data_params
    from audioprep.config.engine import load_engine
    from audioprep.io.layout import Layout
    from audioprep.steps.augment import augment

    params = load_data_params()
    augment(Layout.in_project(dataset), kind, params.features, load_augment_rule(), load_engine(), params.denoise)


if __name__ == "__main__":
    run_stage(main)
