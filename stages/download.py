"""DVC stage `download`: get and verify the archives of a corpus. Usage: python stages/download.py DATASET"""

import sys

from audioprep.config.data import load_data_params
from audioprep.engine import alone
from audioprep.errors import one_line_errors
from audioprep.io.layout import Layout
from audioprep.steps.download import download

if __name__ == "__main__":
    with one_line_errors():
        (dataset,) = sys.argv[1:]
        layout = Layout.in_project(dataset)
        with alone(layout.lock("download")):
            download(layout, load_data_params().recipe_rule(dataset))
