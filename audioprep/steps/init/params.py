"""New parameters for a params.yaml that is the user's own."""

from collections.abc import Iterator
from typing import Any

from audioprep.config.data import RecipeRule
from audioprep.steps.init.files import dumped, round_trip

_TABLES = ("datasets", "recipes")


def completed(text: str, full: str) -> tuple[str, list[str]]:
    """Add the parameters that a file lacks, with their defaults and comments; DVC wants to find what a stage reads.

    Args:
        text: The user's params.yaml.
        full: The params.yaml of this version.

    Returns:
        The new text, and the dotted names of what was added. Values, order and comments of the user's stay.
    """
    yaml = round_trip()
    mine, theirs = yaml.load(text), yaml.load(full)
    added = list(_add(mine, {key: value for key, value in theirs.items() if key not in _TABLES}, theirs, ""))
    known = theirs["recipes"]["demo"]
    optional = {key: field.default for key in known if not (field := RecipeRule.model_fields[key]).is_required()}
    for name, rules in (mine.get("recipes") or {}).items():
        added += _add(rules, optional, known, f"recipes.{name}.")
    return (dumped(yaml, mine), added) if added else (text, [])


def _add(mine: Any, wanted: dict[str, Any], source: Any, where: str) -> Iterator[str]:
    """Add missing keys, each behind those that it follows in the source; yield their dotted names."""
    for key, value in wanted.items():
        if key not in mine or (isinstance(value, dict) and mine[key] is None):
            mine.pop(key, None)
            mine.insert(_position(mine, list(source), key, value), key, value)
            if key in source.ca.items and not mine.fa.flow_style():  # within braces a comment breaks the line
                mine.ca.items[key] = source.ca.items[key]
            yield f"{where}{key}"
        elif isinstance(value, dict) and isinstance(mine[key], dict):
            yield from _add(mine[key], value, value, f"{where}{key}.")


def _position(mine: Any, order: list[str], key: str, value: Any) -> int:
    places = list(mine)
    position = max((places.index(other) + 1 for other in order[: order.index(key)] if other in places), default=0)
    # The blank line below a section belongs to its last value: that one stays the last.
    return position if isinstance(value, dict) else min(position, max(len(places) - 1, 0))
