"""A folder of 24 short sounds in three classes, with every kind of trouble, and the data path over it."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from audioprep.config.data import DataParams, RecipeRule
from audioprep.config.engine import EngineRule
from audioprep.io.layout import Layout
from audioprep.io.places import source_places
from audioprep.steps.card.page import card
from audioprep.steps.download import download
from audioprep.steps.features import features
from audioprep.steps.loudness import loudness
from audioprep.steps.resample import resample
from audioprep.steps.split import split
from audioprep.steps.trim import trim

CLASSES = ("bell", "engine", "rain")
RATES_HZ = (16000, 8000, 22050, 44100)
KINDS = ("logmel", "mfcc")

# What becomes of the files that are not simply good: id, status, reason.
TROUBLE = {
    "bell--7": ("silent", "no sample above -80 dB"),
    "engine--7": ("duplicate", "same samples as engine--0"),
    "rain--7": ("truncated", "the header declares 16000 bytes of samples more than there are"),
}


def write_corpus(root: Path) -> Path:
    """Write `class/0.wav` to `class/7.wav`, 0.5 to 1 s each, in several rates, channels and formats."""
    rng = np.random.default_rng(1)
    for label in CLASSES:
        (root / label).mkdir(parents=True)
        for number in range(8):
            rate_hz = RATES_HZ[number % 4]
            seconds_T = np.arange(int(rate_hz * rng.uniform(0.5, 1.0))) / rate_hz
            noise_T = rng.uniform(-1, 1, len(seconds_T))
            tone_T = np.sin(2 * np.pi * rng.uniform(200, 900) * seconds_T)
            wave_T = {"bell": tone_T * np.exp(-3 * seconds_T), "engine": np.sign(tone_T), "rain": noise_T}[label]
            wave_T = (0.02 * noise_T + wave_T) * rng.uniform(0.1, 0.8)
            wave_TC = np.stack([wave_T, 0.3 * wave_T], axis=1) if number % 2 else wave_T
            suffix, subtype = (".flac", "PCM_24") if number == 2 else (".wav", "FLOAT" if number == 3 else "PCM_16")
            soundfile.write(root / label / f"{number}{suffix}", wave_TC, rate_hz, subtype=subtype)
    soundfile.write(root / "bell" / "7.wav", np.zeros(8000), 16000)
    (root / "engine" / "7.wav").write_bytes((root / "engine" / "0.wav").read_bytes())
    soundfile.write(root / "rain" / "7.wav", rng.uniform(-0.5, 0.5, 16000), 16000)
    os.truncate(root / "rain" / "7.wav", 44 + 16000)
    return root


@dataclass
class Run:
    """One corpus on its way through the stages."""

    root: Path
    out: Path
    params: DataParams = field(
        default_factory=lambda: DataParams.model_validate({"resample": {"max_bad_fraction": 0.05}})
    )
    rule: dict = field(default_factory=dict)
    engine: EngineRule | None = None

    @property
    def layout(self):
        return Layout.in_folder("small", self.out)

    @property
    def recipe_rule(self):
        default = {
            "recipe": "folder",
            "root": str(self.root),
            "window_s": 0.8,
            "split": "grouped-3fold",
            "num_shards": 4,
        }
        return RecipeRule(**{**default, **self.rule})

    def download(self):
        download(self.layout, self.recipe_rule)

    def resample(self):
        source = source_places(self.layout, self.recipe_rule.root)
        resample(self.layout, source, self.params.resample, self.recipe_rule.num_shards, self.engine)

    def decide(self):
        loudness(self.layout, self.params.loudness)
        trim(self.layout, self.params.trim, self.recipe_rule.window_s, hop_s=self.params.window.hop_s)

    def features(self, kind="logmel"):
        features(self.layout, kind, self.params.features, self.engine)

    def split(self):
        split(self.layout, self.recipe_rule.split, self.params.split)

    def all(self):
        """Run every stage."""
        self.download()
        self.resample()
        self.decide()
        for kind in self.params.features.kinds:
            self.features(kind)
        self.split()
        card(self.layout)
        return self


def tree(folder: Path) -> dict[str, str]:
    """Return the hash of every file below a folder; run logs and unfinished work are no outputs."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".audioprep" not in path.parts
    }
