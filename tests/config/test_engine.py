"""What runs the shards' tasks: the option, then the environment, then params.yaml."""

import pytest

from audioprep.config.engine import EngineRule, load_engine
from audioprep.errors import ConfigError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    monkeypatch.delenv("AUDIOPREP_ENGINE", raising=False)


@pytest.mark.parametrize(
    ("option", "variable", "params", "expected"),
    [
        (None, None, None, "processes"),
        (None, None, "engine: serial", "serial"),
        (None, "ray", "engine: serial", "ray"),
        ("processes", "ray", "engine: serial", "processes"),
    ],
)
def test_the_nearest_wish_counts(tmp_path, monkeypatch, option, variable, params, expected):
    path = tmp_path / "params.yaml"
    if params:
        path.write_text(f"{params}\nray: {{address: '10.0.0.1:6379'}}\n")
    if variable:
        monkeypatch.setenv("AUDIOPREP_ENGINE", variable)
    rule = load_engine(path, option)
    assert rule.engine == expected
    assert rule.ray.address == ("10.0.0.1:6379" if params else None)


def test_an_unknown_engine_is_one_line(tmp_path, monkeypatch):
    message = r"^--engine: expected one of processes, ray, serial, got 'rey'; did you mean 'ray'\?$"
    with pytest.raises(ConfigError, match=message):
        load_engine(tmp_path / "params.yaml", "rey")
    monkeypatch.setenv("AUDIOPREP_ENGINE", "dask")
    message = r"^AUDIOPREP_ENGINE: expected one of processes, ray, serial, got 'dask'; choose one of them$"
    with pytest.raises(ConfigError, match=message):
        load_engine(tmp_path / "params.yaml")
    monkeypatch.delenv("AUDIOPREP_ENGINE")
    (tmp_path / "params.yaml").write_text("engine: rey\n")
    with pytest.raises(ConfigError, match=r"^params\.yaml engine: expected 'serial', 'processes' or 'ray', got 'rey'"):
        load_engine(tmp_path / "params.yaml")


def test_the_default_is_processes():
    assert EngineRule() == EngineRule(engine="processes")
