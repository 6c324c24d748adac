"""DVC stage `features`: make the feature shards of one kind. Usage: python stages/features.py DATASET KIND"""

import sys

from audioprep.config.data import load_data_params
from audioprep.config.engine import load_engine
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.features import features

if __name__ == "__main__":
    with one_line_errors():
        dataset, kind = sys.argv[1:]
        layout, rule = Layout.in_project(dataset), getattr(load_data_params().features, kind)
        with alone(layout.lock(kind)):
            features(layout, kind, rule, load_engine())
