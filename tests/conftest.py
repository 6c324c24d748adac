"""What all tests share: the option that rewrites golden files, and the real audio where it is there."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser):
    parser.addoption("--write-golden", action="store_true", help="Rewrite the golden files; raise VERSION first.")


@pytest.fixture
def write_golden(request):
    """Tell whether golden files are to be written; only ever when asked for."""
    return request.config.getoption("--write-golden")


@pytest.fixture(scope="session")
def shared_data():
    """Return the folder of real audio; a test that needs it is passed over where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not there")
    return SHARED_DATA
