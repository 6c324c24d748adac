"""DVC stage `card`: write the dataset card of a corpus. Usage: python stages/card.py DATASET"""

from audioprep.stage import run_stage


def main(dataset: str) -> None:
    """Write the dataset card of a corpus."""
    from audioprep.io.layout import Layout
    from audioprep.steps.card.page import card

    card(Layout.in_project(dataset))


if __name__ == "__main__":
    run_stage(main)
