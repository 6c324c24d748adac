"""DVC stage `resample`: bring every recording to one rate, mono, and measure it. Usage: python stages/resample.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.config.engine import load_engine
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.io.places import source_places
from audioprep.steps.resample import resample

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        params, layout = load_data_params(), Layout.in_project(dataset)
        rule = params.recipe_rule(dataset)
        with alone(layout.lock("resample")):
            resample(layout, source_places(layout, rule.root), params.resample, rule.num_shards, load_engine())
