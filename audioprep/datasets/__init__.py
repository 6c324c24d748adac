"""One declarative file per corpus; a file that defines `RECIPE` is a corpus, and there is no other registry."""

import importlib
import pkgutil

from audioprep.datasets.recipe import Recipe
from audioprep.errors import DatasetError, unknown_name


def recipe_names() -> list[str]:
    """Return the names of all corpora."""
    return sorted(recipe.name for recipe in all_recipes())


def all_recipes() -> list[Recipe]:
    """Return every corpus, sorted by name."""
    modules = [importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__)]
    recipes = [module.RECIPE for module in modules if hasattr(module, "RECIPE")]
    return sorted(recipes, key=lambda recipe: recipe.name)


def load_recipe(name: str) -> Recipe:
    """Return one corpus.

    Raises:
        DatasetError: There is none of this name; the nearest one is suggested.
    """
    recipes = {recipe.name: recipe for recipe in all_recipes()}
    if name not in recipes:
        raise DatasetError(unknown_name("corpus", name, recipes))
    return recipes[name]
