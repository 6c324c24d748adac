"""Every command and every program of the README, run as it stands there."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from import_closure import ROOT

pytestmark = pytest.mark.slow

Run = Callable[..., str]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# CI starts with these; a shell keeps what `source` does to itself.
BY_CI = ("make demo", "make test", "source .venv/bin/activate")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line not in BY_CI]


def tone(frequency_hz: float, rate_hz: int = 16_000) -> np.ndarray:
    seconds_T = np.arange(rate_hz) / rate_hz
    noise_T = np.random.default_rng(round(frequency_hz)).standard_normal(rate_hz)
    return 0.2 * np.sin(2 * np.pi * frequency_hz * seconds_T) + 0.01 * noise_T


@pytest.fixture(scope="module")
def prepared(project: Path, esc_archive: Path) -> Path:
    """The project with the files that the README's reader is told to have."""
    soundfile.write(project / "clip.wav", tone(440.0), 16_000)
    (project / "esc10.zip").hardlink_to(esc_archive)
    for number in range(24):
        name, frequency_hz = (("robin", 3000.0), ("owl", 500.0))[number % 2]
        path = project.parent / "home" / "birds" / name / f"{number:02d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(frequency_hz + number), 16_000)
    return project


@pytest.mark.parametrize("command", COMMANDS)
def test_command_runs(prepared: Path, run: Run, command: str) -> None:
    home = prepared.parent / "home"
    output = run(*shlex.split(command.replace("~", str(home))))
    assert "Traceback" not in output
    if not command.startswith("audioprep prepare esc50"):  # the experiment after it is about that corpus
        run("git", "checkout", "--", ".")


@pytest.mark.parametrize("program", blocks("python"))
def test_program_runs(project: Path, run: Run, program: str) -> None:
    run("python", "-c", program)


def test_every_cli_command_is_in_the_readme(run: Run) -> None:
    listed = run("audioprep", "--help").split("Commands")[1]
    for command in re.findall(r"^│ (\w+) ", listed, flags=re.MULTILINE):
        assert f"audioprep {command}" in README
