"""One name for one thing: stages, scripts, parameter sections and defaults."""

import pytest
from import_closure import ROOT
from ruamel.yaml import YAML

from audioprep.config.augment import AugmentRule
from audioprep.config.base import SECTIONS
from audioprep.config.data import DataParams, load_data_params
from audioprep.config.engine import EngineRule
from audioprep.config.training import TrainingParams, load_training_params
from audioprep.datasets import all_recipes

STAGES = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def test_every_stage_has_its_script_and_every_script_its_stage() -> None:
    assert set(STAGES) == {path.stem for path in (ROOT / "stages").glob("*.py")}
    for name, stage in STAGES.items():
        assert stage["cmd"].startswith(f"python stages/{name}.py ")


def test_every_stage_with_parameters_has_a_section_of_its_name() -> None:
    assert set(STAGES) - {"download", "card"} <= set(SECTIONS)
    assert set(PARAMS) == set(SECTIONS)


@pytest.mark.parametrize("section", sorted(set(SECTIONS) - {"datasets", "recipes", "presets"}))
def test_params_yaml_holds_every_default(section: str) -> None:
    models = (DataParams(), TrainingParams(), EngineRule())
    ours = {name: value for model in models for name, value in model.model_dump(mode="json").items()}
    ours["augment"] = AugmentRule().model_dump(mode="json")
    assert PARAMS[section] == ours[section]


def test_params_yaml_loads() -> None:
    data, training = load_data_params(ROOT / "params.yaml"), load_training_params(ROOT / "params.yaml")
    assert data.datasets == ("demo",)
    assert training.model.arch


def test_rules_in_params_yaml_are_the_recipes_own() -> None:
    rules = load_data_params(ROOT / "params.yaml")
    for recipe in all_recipes():
        if recipe.name in rules.recipes:
            rule = rules.recipe_rule(recipe.name)
            assert (rule.recipe, rule.window_s) == (recipe.name, recipe.window_s)
            assert (rule.split, rule.fit_on) == (recipe.variant(rule.variant).default_split, recipe.fit_on)
            assert (rule.exclude, rule.loudness_mode) == (recipe.exclude, recipe.loudness_mode)


def test_no_stage_switches_the_run_cache_off() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert "persist" not in text
    assert "always_changed" not in text
