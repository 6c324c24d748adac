"""DVC stage `features`: make the feature shards of one kind. Usage: python stages/features.py DATASET KIND"""

import sys

from audioprep.config.data import load_data_params
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.features import features

if __name__ == "__main__":
    with one_line_errors():
        dataset, kind = sys.argv[1:]
        features(Layout.in_project(dataset), kind, load_data_params().features)
