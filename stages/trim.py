"""DVC stage `trim`: decide the used part of every recording. Usage: python stages/trim.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.trim import trim

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        params, layout = load_data_params(), Layout.in_project(dataset)
        with alone(layout.lock("trim")):
            trim(layout, params.trim_rule(dataset), params.recipe_rule(dataset).window_s)
