"""The corpora as plain values, for the command line and for scripts."""

from dataclasses import asdict
from typing import Any

from audioprep.datasets import all_recipes
from audioprep.datasets.recipe import Archive, Recipe, Variant


def catalogue() -> list[dict[str, Any]]:
    """Return every corpus in full, sorted by name."""
    return [describe(recipe) for recipe in all_recipes()]


def describe(recipe: Recipe) -> dict[str, Any]:
    """Return all that a recipe declares, without its code."""
    return {
        "name": recipe.name,
        "title": recipe.title,
        "license": recipe.license,
        "homepage": recipe.homepage,
        "cite": recipe.cite,
        "get": recipe.get,
        "ask": recipe.ask,
        "notice": recipe.notice,
        "hours": recipe.hours,
        "window_s": recipe.window_s,
        "is_partial": recipe.is_partial,
        "store": recipe.store_name,
        "defects": list(recipe.defects),
        "archives": [_archive(archive) for archive in recipe.archives],
        "variants": [_variant(variant) for variant in recipe.variants],
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "name": variant.name,
        "about": variant.about,
        "num_clips": variant.num_clips,
        "num_classes": variant.num_classes,
        "is_multi_label": variant.is_multi_label,
        "default_split": variant.default_split,
        "splits": [asdict(split) for split in variant.splits],
    }


def _archive(archive: Archive) -> dict[str, Any]:
    return {
        "name": archive.name,
        "url": archive.url,
        "mirrors": list(archive.mirrors),
        "num_bytes": archive.num_bytes,
        "sha256": archive.sha256,
        "md5": archive.md5,
        "variants": list(archive.variants),
        "pieces": [_archive(piece) for piece in archive.pieces],
    }
