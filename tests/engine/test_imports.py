"""What a process need not import."""

import subprocess
import sys

SPARED = "from audioprep.engine.imports import spare_pandas; spare_pandas(); import sys, pyarrow as pa; "


def ends_well(code: str) -> bool:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], check=False).returncode == 0


def test_values_are_converted_without_pandas() -> None:
    assert ends_well(SPARED + "assert pa.array(['a']).to_pylist() == ['a']; assert 'pandas' not in sys.modules")
    # Should pyarrow no longer import it, the function can go.
    assert not ends_well("import sys, pyarrow as pa; pa.array(['a']); assert 'pandas' not in sys.modules")


def test_conversions_to_and_from_pandas_still_work() -> None:
    assert ends_well(SPARED + "frame = pa.table({'a': [1, 2]}).to_pandas(); assert frame.a.sum() == 3")
    assert ends_well(SPARED + "import pandas; assert pa.Table.from_pandas(pandas.DataFrame({'a': [1]})).num_rows == 1")


def test_a_pandas_that_is_imported_stays() -> None:
    assert ends_well(f"import pandas; {SPARED}assert sys.modules['pandas'] is pandas")
