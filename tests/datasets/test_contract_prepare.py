"""Every miniature goes through all data stages to its splits, as `audioprep prepare NAME --root DIR` takes it."""

import pytest
from samples import load_sample

from audioprep.datasets import all_recipes
from audioprep.io.layout import Layout
from audioprep.io.tables import read_table
from audioprep.steps.prepare import Asked, prepare_in_folder

pytestmark = pytest.mark.slow
# A miniature shows every defect on a dozen files, so that many of them are bad.
PARAMS = "resample:\n  max_bad_fraction: 1.0\n"


@pytest.mark.parametrize("recipe", all_recipes(), ids=lambda recipe: recipe.name)
def test_a_miniature_is_prepared(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("AUDIOPREP_WORKERS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    root = load_sample(recipe, recipe.variants[0]).write(tmp_path / "root")
    prepare_in_folder(recipe.name, tmp_path / "out", Asked(root=root))

    layout = Layout.in_folder(recipe.name, tmp_path / "out")
    (split,) = (path for path in layout.splits.glob("*.parquet") if not path.name.startswith("_"))
    assert 0 < read_table(split).num_rows <= read_table(layout.raw / "clips.parquet").num_rows
