"""DVC stage `card`: write the dataset card of a corpus. Usage: python stages/card.py DATASET"""

import sys

from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.card.page import card

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        layout = Layout.in_project(dataset)
        with alone(layout.lock("card")):
            card(layout)
