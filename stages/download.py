"""DVC stage `download`: get and verify the archives of a corpus. Usage: python stages/download.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Get and verify the archives of a corpus."""
    from audioprep.config.data import load_data_params
    from audioprep.io.layout import Layout
    from audioprep.steps.download import download

    download(Layout.in_project(dataset), load_data_params().recipe_rule(dataset))


if __name__ == "__main__":
    run_stage(main)
