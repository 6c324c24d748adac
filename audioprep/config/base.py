"""How a section of params.yaml is read: strict models, and one clear line when it does not fit."""

from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from audioprep.errors import ConfigError, reason_of, unknown_name

SECTIONS = (
    "datasets",
    "recipes",
    "resample",
    "loudness",
    "trim",
    "window",
    "denoise",
    "features",
    "augment",
    "split",
    "model",
    "train",
    "evaluate",
    "export",
    "presets",
    "engine",
    "ray",
)


class Section(BaseModel):
    """A section of params.yaml: immutable, and closed against unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


SectionT = TypeVar("SectionT", bound=Section)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return params.yaml as plain values.

    Args:
        path: The file.

    Raises:
        ConfigError: The file is missing, is not YAML, or has a section that does not exist.
    """
    values = read_mapping(path)
    for section in values:
        if section not in SECTIONS:
            raise ConfigError(unknown_name(f"{path.name}", str(section), SECTIONS))
    return values


def read_mapping(path: Path) -> dict[str, Any]:
    """Return a YAML file of names and values.

    Raises:
        ConfigError: The file is missing or is not such YAML.
    """
    try:
        values = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: expected a parameter file, found none; run from the project's folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected YAML, got {reason_of(error)}; mend the file") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected sections, got {type(values).__name__}; mend the file")
    return values


def parse_section(model: type[SectionT], where: str, values: object, *, file: str = "params.yaml") -> SectionT:
    """Check one section against its model.

    Args:
        model: The section's model.
        where: Its dotted name, for messages.
        values: What the file holds there; None stands for all defaults.
        file: The name of the file, for messages.

    Raises:
        ConfigError: One line naming the first wrong key, its value, and what was expected.
    """
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        raise ConfigError(_first_problem(model, file, where, error)) from None


def _first_problem(model: type[Section], file: str, where: str, error: ValidationError) -> str:
    problem = error.errors()[0]
    path = [part for part in [where, *(str(part) for part in problem["loc"])] if part]
    if problem["type"] == "extra_forbidden":
        section = " ".join([file, ".".join(path[:-1])]).strip()
        return unknown_name(section, path[-1], _fields_at(model, problem["loc"][:-1]))
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    message = message.replace("a valid tuple", "a list such as [a, b]")
    place = " ".join([file, ".".join(path)]).strip()
    if problem["type"] == "value_error":
        return f"{place}: {message}"
    return f"{place}: expected {message}, got {problem['input']!r}; mend that value"


def _fields_at(model: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    found: Any = model
    for part in path:
        # A table such as `recipes` has names of the user's as keys; what it holds is its second type argument.
        found = found.model_fields[str(part)].annotation if hasattr(found, "model_fields") else get_args(found)[1]
    return list(found.model_fields)
