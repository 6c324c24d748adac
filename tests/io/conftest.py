"""What tests of downloads share: a hostile server, and waiting that takes no time."""

import pytest
from hostile_server import hostile_server

from audioprep.io.fetch import download


@pytest.fixture
def server(waits):
    """Run a hostile server."""
    with hostile_server() as hostile:
        yield hostile


@pytest.fixture
def waits(monkeypatch):
    """Return the waits between tries, in seconds, which are not waited."""
    waited = []

    def pause(stop, wait_s):
        if stop.is_set():
            raise download._StoppedError
        if wait_s:
            waited.append(wait_s)

    monkeypatch.setattr(download, "_pause", pause)
    return waited
