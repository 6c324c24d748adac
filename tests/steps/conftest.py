"""The small corpus, prepared once for all tests that only read."""

import pytest
from steps.small_corpus import Run, write_corpus


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    monkeypatch.delenv("AUDIOPREP_ARCHIVES", raising=False)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Return the folder with the small corpus; not to be changed."""
    return write_corpus(tmp_path_factory.mktemp("small") / "corpus")


@pytest.fixture(scope="session")
def prepared(corpus, tmp_path_factory):
    """Return the small corpus after every stage; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIOPREP_WORKERS", "1")
        return Run(corpus, tmp_path_factory.mktemp("prepared")).all()
