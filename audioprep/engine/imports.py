"""What a process need not import."""

import sys
import warnings
from types import ModuleType


def spare_pandas() -> None:
    """Keep pyarrow, in this process, from importing pandas with the first value that it converts: a quarter of a second.

    It looks once, and is shown a pandas too old to use. Whoever imports pandas later gets it, and pyarrow's own conversions from
    and to it look again.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    stand_in = ModuleType("pandas")
    stand_in.__version__ = "0"  # type: ignore[attr-defined]
    sys.modules["pandas"] = stand_in
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pa.scalar(0)
    finally:
        del sys.modules["pandas"]
