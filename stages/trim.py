"""DVC stage `trim`: decide the used part of every recording. Usage: python stages/trim.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.trim import trim

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        params = load_data_params()
        trim(Layout.in_project(dataset), params.trim_rule(dataset), params.recipe_rule(dataset).window_s)
