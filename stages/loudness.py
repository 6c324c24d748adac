"""DVC stage `loudness`: decide one gain per recording. Usage: python stages/loudness.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.loudness import loudness

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        loudness(Layout.in_project(dataset), load_data_params().loudness_rule(dataset))
