"""DVC stage `split`: give every clip its role in every fold, and audit it. Usage: python stages/split.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.split import split

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        params = load_data_params()
        split(Layout.in_project(dataset), params.recipe_rule(dataset).split, params.split)
