"""The data half of params.yaml: `datasets`, `recipes`, and the sections of the stages from download to split.

The training half is `config/training.py`. They are apart so that a change in how models are trained is no
change to any module that a data stage imports, and so recomputes no data.
"""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, field_validator, model_validator

from audioprep.config.base import Section, parse_section, read_yaml
from audioprep.errors import ConfigError, unknown_name

# Statuses that come with decodable audio; the trim rule decides whether such clips are used.
SoftStatus = Literal["silent", "duplicate"]
SOFT_STATUSES: tuple[SoftStatus, ...] = get_args(SoftStatus)
FeatureKind = Literal["logmel", "mfcc", "spectrogram", "chroma", "descriptors", "embedding"]


class ResampleRule(Section):
    """How recordings are brought to one rate and one channel."""

    rate_hz: int = Field(default=16000, ge=4000, le=192000)
    format: Literal["flac", "wav"] = "flac"
    max_bad_fraction: float = Field(default=0.02, ge=0.0, le=1.0)
    max_decode_s: float = Field(default=60.0, gt=0.0, le=86400.0)


class LoudnessRule(Section):
    """How the one gain of each recording is decided."""

    mode: Literal["lufs", "rms", "peak", "off"] = "lufs"
    target_lufs: float = Field(default=-23.0, ge=-70.0, le=0.0)
    target_rms_db: float = Field(default=-23.0, ge=-70.0, le=0.0)
    target_peak_db: float = Field(default=-1.0, ge=-70.0, le=0.0)
    true_peak_ceiling_db: float = Field(default=-1.0, ge=-70.0, le=0.0)
    max_gain_db: float = Field(default=40.0, ge=0.0, le=120.0)


class TrimRule(Section):
    """How the used part of each recording is decided, and how it is brought to the window."""

    mode: Literal["energy", "off"] = "energy"
    threshold_db: float = Field(default=-60.0, ge=-120.0, lt=0.0)
    margin_s: float = Field(default=0.1, ge=0.0)
    pad: Literal["zeros", "centre", "wrap"] = "zeros"
    exclude: tuple[SoftStatus, ...] = SOFT_STATUSES


class WindowRule(Section):
    """How many windows a recording gives that is longer than one."""

    hop_s: float | None = Field(default=None, ge=0.01, le=3600.0)


class DenoiseRule(Section):
    """Whether recordings are cleared of noise before their features are made."""

    mode: Literal["off", "gate"] = "off"
    stationary: bool = True
    strength: float = Field(default=0.9, gt=0.0, le=1.0)


class FramedRule(Section):
    """How a wave is cut into frames and these are transformed."""

    n_fft: int = Field(default=1024, ge=16, le=65536, multiple_of=2)
    win_ms: float = Field(default=25.0, gt=0.0)
    hop_ms: float = Field(default=10.0, gt=0.0)


class LogmelRule(FramedRule):
    """Log-mel power spectrogram, in dB re full scale squared."""

    n_mels: int = Field(default=64, ge=1, le=1024)
    fmin_hz: float = Field(default=50.0, ge=0.0)
    fmax_hz: float | None = Field(default=None, gt=0.0)
    mel_scale: Literal["htk", "slaney"] = "slaney"
    mel_norm: Literal["slaney"] | None = "slaney"
    top_db: float | None = Field(default=None, gt=0.0)
    dtype: Literal["float16", "float32", "int8"] = "float16"


class MfccRule(LogmelRule):
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of the log-mel, with optional deltas.

    Not as int8: a clip has one step size, and the first coefficient spans ten times what the others do.
    """

    dtype: Literal["float16", "float32"] = "float16"

    fmin_hz: float = Field(default=0.0, ge=0.0)
    mel_scale: Literal["htk", "slaney"] = "htk"
    mel_norm: Literal["slaney"] | None = None
    top_db: float | None = Field(default=80.0, gt=0.0)
    n_mfcc: int = Field(default=13, ge=1)
    deltas: Literal[0, 1, 2] = 0

    @model_validator(mode="after")
    def _coefficients_fit(self) -> "MfccRule":
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"expected n_mfcc of at most n_mels = {self.n_mels}, got {self.n_mfcc}; lower it")
        return self


class SpectrogramRule(FramedRule):
    """Power spectrogram, in dB re full scale squared."""

    top_db: float | None = Field(default=None, gt=0.0)
    dtype: Literal["float16", "float32", "int8"] = "float16"


class ChromaRule(FramedRule):
    """Shares of the twelve pitch classes; the window is long, as low notes lie close together."""

    n_fft: int = Field(default=4096, ge=16, le=65536, multiple_of=2)
    win_ms: float = Field(default=100.0, gt=0.0)
    tuning: float = Field(default=0.0, ge=-0.5, le=0.5)
    dtype: Literal["float16", "float32"] = "float16"


class DescriptorsRule(FramedRule):
    """Centroid, bandwidth, roll-off, flatness, onset strength and RMS of each frame; Hz want more digits than float16 has."""

    rolloff: float = Field(default=0.85, gt=0.0, lt=1.0)
    dtype: Literal["float32"] = "float32"


class EmbeddingRule(Section):
    """What a layer of a pretrained transformer makes of each frame."""

    model: str | None = Field(default=None, min_length=1)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    layer: int | None = Field(default=None, ge=0)
    dtype: Literal["float16", "float32"] = "float16"


class FeatureRules(Section):
    """Which kinds are made, and one rule per feature kind; the kind names the folder `data/<ds>/<kind>/`."""

    kinds: tuple[FeatureKind, ...] = Field(default=("logmel", "mfcc"), min_length=1)
    logmel: LogmelRule = LogmelRule()
    mfcc: MfccRule = MfccRule()
    spectrogram: SpectrogramRule = SpectrogramRule()
    chroma: ChromaRule = ChromaRule()
    descriptors: DescriptorsRule = DescriptorsRule()
    embedding: EmbeddingRule = EmbeddingRule()

    @field_validator("kinds", mode="before")
    @classmethod
    def _one_or_more_names(cls, value: object) -> object:
        return _listed(value)

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: tuple[FeatureKind, ...]) -> tuple[FeatureKind, ...]:
        if len(set(kinds)) < len(kinds):
            raise ValueError(f"expected each kind once, got [{', '.join(kinds)}]; take out the second")
        return kinds

    @model_validator(mode="after")
    def _embedding_has_its_model(self) -> "FeatureRules":
        if "embedding" in self.kinds and self.embedding.model is None:
            raise ValueError("expected embedding.model, the folder of a pretrained model, got none; name one")
        return self


class SplitRule(Section):
    """How generated splits are drawn, and what a leak leads to."""

    seed: int = Field(default=0, ge=0)
    on_leak: Literal["fail", "warn", "drop"] = "fail"


class RecipeRule(Section):
    """The rules of one corpus; its name is the key under `recipes:`."""

    recipe: str
    variant: str | None = None
    root: str | None = None
    archive: str | None = None
    window_s: float = Field(gt=0.0, le=3600.0)
    split: str
    num_shards: int | None = Field(default=None, ge=1, le=100_000)
    loudness_mode: Literal["lufs", "rms", "peak", "off"] | None = None
    exclude: tuple[SoftStatus, ...] | None = None
    fit_on: tuple[Literal["train", "valid"], ...] | None = None


class DataParams(Section):
    """Everything that the data stages read."""

    datasets: tuple[str, ...] = ("demo",)
    recipes: dict[str, RecipeRule] = Field(default_factory=dict)
    resample: ResampleRule = ResampleRule()
    loudness: LoudnessRule = LoudnessRule()
    trim: TrimRule = TrimRule()
    window: WindowRule = WindowRule()
    denoise: DenoiseRule = DenoiseRule()
    features: FeatureRules = FeatureRules()
    split: SplitRule = SplitRule()

    @field_validator("datasets", mode="before")
    @classmethod
    def _one_or_more_names(cls, value: object) -> object:
        return _listed(value)

    @model_validator(mode="after")
    def _sections_agree(self) -> "DataParams":
        for kind in self.features.kinds:
            rule = getattr(self.features, kind)
            if isinstance(rule, LogmelRule):
                _check_band(kind, rule, self.resample.rate_hz / 2)
            if isinstance(rule, FramedRule):
                _check_frames(kind, rule, self.resample.rate_hz, self.recipes)
        return self

    def recipe_rule(self, dataset: str) -> RecipeRule:
        """Return the rules of one corpus.

        Raises:
            ConfigError: `recipes:` has no such corpus; the nearest name is suggested.
        """
        if dataset not in self.recipes:
            raise ConfigError(unknown_name("params.yaml recipes", dataset, self.recipes))
        return self.recipes[dataset]

    def loudness_rule(self, dataset: str) -> LoudnessRule:
        """Return the loudness rule of one corpus: the common one, with the corpus's own mode if it names one."""
        mode = self.recipe_rule(dataset).loudness_mode
        return self.loudness if mode is None else self.loudness.model_copy(update={"mode": mode})

    def trim_rule(self, dataset: str) -> TrimRule:
        """Return the trim rule of one corpus: the common one, with the corpus's own exclusions if it names some."""
        exclude = self.recipe_rule(dataset).exclude
        return self.trim if exclude is None else self.trim.model_copy(update={"exclude": exclude})


def _listed(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - what pydantic turns into its own error
            f"expected a list such as [{value}], got '{value}'; put it in brackets"
        )
    return value


def _check_band(kind: str, rule: LogmelRule, nyquist_hz: float) -> None:
    fmax_hz = nyquist_hz if rule.fmax_hz is None else rule.fmax_hz
    if fmax_hz > nyquist_hz:
        raise ValueError(
            f"features.{kind}.fmax_hz: expected at most {nyquist_hz:g} Hz (half of resample.rate_hz), got {fmax_hz:g}; "
            "lower it, or raise resample.rate_hz"
        )
    if rule.fmin_hz >= fmax_hz:
        raise ValueError(
            f"features.{kind}.fmin_hz: expected less than fmax_hz = {fmax_hz:g} Hz, got {rule.fmin_hz:g}; lower it"
        )


def _check_frames(kind: str, rule: FramedRule, rate_hz: int, recipes: dict[str, RecipeRule]) -> None:
    win_samples, hop_samples = round(rule.win_ms * rate_hz / 1000), round(rule.hop_ms * rate_hz / 1000)
    if not 1 <= win_samples <= rule.n_fft:
        raise ValueError(
            f"features.{kind}.win_ms: expected 1 to n_fft = {rule.n_fft} samples, got {rule.win_ms:g} ms = {win_samples} "
            f"samples at {rate_hz} Hz; raise n_fft or shorten the window"
        )
    if hop_samples < 1:
        raise ValueError(
            f"features.{kind}.hop_ms: expected at least one sample, got {rule.hop_ms:g} ms at {rate_hz} Hz; raise it"
        )
    for name, recipe in recipes.items():
        if round(recipe.window_s * rate_hz) < rule.n_fft:
            raise ValueError(
                f"recipes.{name}.window_s: expected at least one frame of {rule.n_fft} samples, got {recipe.window_s:g} s "
                f"= {round(recipe.window_s * rate_hz)} samples at {rate_hz} Hz; raise it, or lower features.{kind}.n_fft"
            )


def load_data_params(path: Path = Path("params.yaml")) -> DataParams:
    """Read and check the data half of a parameter file.

    Raises:
        ConfigError: One line that names the first key that is unknown, ill-typed or impossible.
    """
    values = read_yaml(path)
    return parse_section(DataParams, "", {key: values[key] for key in DataParams.model_fields if key in values})
