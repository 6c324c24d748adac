"""DVC stage `loudness`: decide one gain per recording. Usage: python stages/loudness.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.loudness import loudness

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        layout = Layout.in_project(dataset)
        with alone(layout.lock("loudness")):
            loudness(layout, load_data_params().loudness_rule(dataset))
