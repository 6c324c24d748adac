"""DVC stage `loudness`: decide one gain per recording. Usage: python stages/loudness.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Decide one gain per recording."""
    from audioprep.config.data import load_data_params
    from audioprep.io.layout import Layout
    from audioprep.steps.loudness import loudness

    loudness(Layout.in_project(dataset), load_data_params().loudness_rule(dataset))


if __name__ == "__main__":
    run_stage(main)
