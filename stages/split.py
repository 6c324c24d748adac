"""DVC stage `split`: give every clip its role in every fold, and audit it. Usage: python stages/split.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.split import split

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        params, layout = load_data_params(), Layout.in_project(dataset)
        with alone(layout.lock("split")):
            split(layout, params.recipe_rule(dataset).split, params.split)
