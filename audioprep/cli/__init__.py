"""The command line. What a command needs is imported when it runs: `--help` answers at once."""

import sys

# Each module adds its commands to the application; their order here is their order in the help.
from audioprep.cli import corpora, look, models, project, shards, sharing  # noqa: F401
from audioprep.cli.app import app
from audioprep.errors import one_line_errors


def main() -> None:
    """Run the command line; an error is one line and exit status 1."""
    with one_line_errors(debug="--debug" in sys.argv):
        app()
