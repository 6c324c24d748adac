"""Where shards are made: the keys `engine` and `ray` of params.yaml. They change no byte, so no stage depends on them."""

import os
from pathlib import Path
from typing import Literal, get_args

from audioprep.config.base import Section, parse_section, read_yaml
from audioprep.errors import ConfigError, unknown_name

ENGINE_VARIABLE = "AUDIOPREP_ENGINE"
WORKERS_VARIABLE = "AUDIOPREP_WORKERS"
_MAX_WORKERS_DIGITS = 4
_MAX_SHOWN = 20

EngineName = Literal["serial", "processes", "ray"]


class RayRule(Section):
    """How Ray is reached."""

    address: str | None = None


class EngineRule(Section):
    """What runs the tasks of a stage.

    Attributes:
        engine: `serial`: this process; `processes`: several on this machine; `ray`: a Ray cluster on a shared file system.
        ray: Where that cluster is; without an address it is what `RAY_ADDRESS` names, or a new one on this machine.
    """

    engine: EngineName = "processes"
    ray: RayRule = RayRule()


def load_engine(path: Path = Path("params.yaml"), name: str | None = None) -> EngineRule:
    """Read what runs the tasks: the name given, or `AUDIOPREP_ENGINE`, or what the parameter file says.

    Args:
        path: The parameter file; there need be none.
        name: The engine that the user asks for, if any.

    Raises:
        ConfigError: There is no such engine.
    """
    values = read_yaml(path) if path.exists() else {}
    rule = parse_section(EngineRule, "", {key: values[key] for key in EngineRule.model_fields if key in values})
    for where, asked in (("--engine", name), (ENGINE_VARIABLE, os.environ.get(ENGINE_VARIABLE))):
        if asked:
            known = get_args(EngineName)
            if asked not in known:
                raise ConfigError(unknown_name(where, asked, known))
            return EngineRule.model_validate({**rule.model_dump(), "engine": asked})
    return rule


def num_workers() -> int:
    """Return how many processes to use: `AUDIOPREP_WORKERS`, or one a core that this process may use.

    Raises:
        ConfigError: The variable is set to something else than a whole number from 1 to 9999.
    """
    value = os.environ.get(WORKERS_VARIABLE, "")
    if not value:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not value.isdecimal() or len(value) > _MAX_WORKERS_DIGITS or int(value) < 1:
        shown = value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…"
        raise ConfigError(f"{WORKERS_VARIABLE}: expected a whole number from 1 to 9999, got '{shown}'; set it again")
    return int(value)
