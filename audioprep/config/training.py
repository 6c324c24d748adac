"""The training half of params.yaml: `model`, `train`, `evaluate`, `export`.

It is apart from `config/data.py` so that a change in how models are trained is no change to any module that a data
stage imports.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from audioprep.config.base import Section, parse_section, read_yaml
from audioprep.errors import ConfigError, unknown_name


class ModelRule(Section):
    """Which network, on which features."""

    # One of audioprep/model/archs/registry.py, which says what each is and which of these settings it reads.
    arch: Literal[
        "resnet8", "bcresnet", "crnn", "cnn6", "cnn10", "cnn14", "mobilenetv2", "mn04", "ast", "ast_pretrained"
    ] = "resnet8"
    # One of features.kinds.
    features: Literal["logmel", "mfcc", "spectrogram", "chroma", "descriptors", "embedding"] = "logmel"
    # How features over frames become those of a clip; linear_softmax pools what is decided on frames instead.
    pool: Literal["mean", "max_mean", "statistics", "attention", "linear_softmax"] = "max_mean"
    # resnet8, bcresnet, crnn: channels of the first stage; ast: a twelfth of a word's values.
    width: int = Field(default=16, ge=4, le=256)
    # resnet8: of so many frames the mean and the maximum go into the first convolution. None: as many as leave about 125 of
    # the window: the bursts of a short word are gone where what spares time with long clips is done to it.
    frame_pool: int | None = Field(default=None, ge=1, le=64)
    dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    # What each bin is standardised by: all training clips, or the clip itself.
    normalise: Literal["corpus", "clip"] = "corpus"
    init_checkpoint: str | None = None
    # The body keeps the weights of init_checkpoint, and the head alone is trained.
    freeze: bool = False

    @model_validator(mode="after")
    def _pretrained_is_somewhere(self) -> "ModelRule":
        if self.arch == "ast_pretrained" and self.init_checkpoint is None:
            raise ValueError("arch ast_pretrained: expected its folder as init_checkpoint, got none; name it")
        return self

    @model_validator(mode="after")
    def _something_is_frozen(self) -> "ModelRule":
        if self.freeze and self.init_checkpoint is None:
            raise ValueError("freeze: expected an init_checkpoint to keep the weights of, got none; name one")
        return self


class TrainRule(Section):
    """The fixed schedule; nothing in it looks at the tested fold."""

    # An entry of `presets`: its values take the place of those in `model`, `train` and `evaluate`.
    preset: str = "default"
    folds: tuple[int, ...] | None = None
    fit_on: tuple[Literal["train", "valid"], ...] = ("train",)
    epochs: int = Field(default=120, ge=1, le=100_000)
    seed: int = Field(default=0, ge=0)
    batch_size: int = Field(default=32, ge=2, le=65536)
    # auto: cross-entropy where every clip has one label, else binary cross-entropy.
    loss: Literal["auto", "ce", "bce", "focal"] = "auto"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    focal_gamma: float = Field(default=2.0, ge=0.0, le=10.0)
    # Rare classes: their clips are drawn more often, or their errors weigh more.
    balance: Literal["none", "sampler", "weights"] = "none"
    lr: float = Field(default=3e-3, gt=0.0, le=10.0)
    weight_decay: float = Field(default=0.05, ge=0.0, le=10.0)
    warmup: float = Field(default=0.2, ge=0.0, lt=1.0)
    ema_decay: float = Field(default=0.99, ge=0.0, lt=1.0)
    time_roll: bool = True
    # Clips are played at a speed between one over this and this.
    time_stretch: float = Field(default=1.25, ge=1.0, le=4.0)
    # Share of the clip that one training step sees. None: 0.6, or all of it where most clips are shorter than that.
    time_crop: float | None = Field(default=None, gt=0.0, le=1.0)
    # Clips are moved up or down by at most so many bins.
    freq_shift_bins: int = Field(default=2, ge=0, le=64)
    # Bins are read at steps between one over this and this.
    freq_warp: float = Field(default=1.15, ge=1.0, le=4.0)
    # A random curve is added to the bins, at most so many standard deviations.
    freq_gain: float = Field(default=0.45, ge=0.0, le=10.0)
    mixup_alpha: float = Field(default=1.0, gt=0.0, le=100.0)
    mixup_prob: float = Field(default=0.5, ge=0.0, le=1.0)
    # What is mixed: standardised values, or the powers that they stand for.
    mixup_domain: Literal["features", "power"] = "features"
    # Longest masked run, as a share of the axis; there are two on each axis.
    time_mask: float = Field(default=0.125, ge=0.0, le=1.0)
    freq_mask: float = Field(default=0.125, ge=0.0, le=1.0)
    precision: Literal["auto", "float32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @field_validator("folds")
    @classmethod
    def _folds_are_folds(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and (not value or len(set(value)) < len(value) or min(value) < 1):
            raise ValueError(f"expected different folds from 1, got {list(value)}; leave it empty for all folds")
        return value

    @field_validator("fit_on")
    @classmethod
    def _train_is_fitted_on(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "train" not in value or len(set(value)) < len(value):
            raise ValueError(f"expected [train] or [train, valid], got {list(value)}; mend that list")
        return value


class RobustnessRule(Section):
    """The conditions under which the tested clips are scored once more; empty lists are none."""

    # How much more power the sound has than the noise.
    snr_db: tuple[float, ...] = ()
    # white, pink, a prepared corpus, or a single label of one: musan/noise.
    noises: tuple[str, ...] = Field(default=("white", "pink"), min_length=1)
    # Reverberation times of synthetic rooms.
    reverb_s: tuple[Annotated[float, Field(ge=0.05, le=20.0)], ...] = ()
    seed: int = Field(default=0, ge=0)


class EvaluateRule(Section):
    """How the tested clips are scored."""

    # Probabilities are averaged over so many circular shifts of the clip.
    num_shifts: int = Field(default=1, ge=1, le=64)
    # A temperature for the probabilities, and thresholds where clips have several labels, from the validation clips.
    calibrate: bool = True
    # By what the results are split up: attributes of the clips (device, city), group, or container. None: every attribute
    # that divides the clips into 2 to 50 parts.
    groups: tuple[str, ...] | None = None
    robustness: RobustnessRule = RobustnessRule()


class ExportRule(Section):
    """What becomes the edge bundle, and how much int8 may cost."""

    # Empty: the first fold that was trained.
    fold: int | None = Field(default=None, ge=1)
    max_accuracy_drop: float = Field(default=0.005, ge=0.0, le=1.0)
    min_agreement: float = Field(default=0.98, ge=0.0, le=1.0)
    calibration_clips: int = Field(default=100, ge=1, le=100_000)
    single_graph: bool = False


class TrainingParams(Section):
    """Everything that train, evaluate and export read beside the recipe."""

    model: ModelRule = ModelRule()
    train: TrainRule = TrainRule()
    evaluate: EvaluateRule = EvaluateRule()
    export: ExportRule = ExportRule()


# What dvc.yaml reads of them.
_READ_BY_DVC = (("model", "features"), ("train", "preset"))


class Preset(Section):
    """Values that stand in for those of the sections of these names."""

    model: dict[str, Any] = Field(default={})
    train: dict[str, Any] = Field(default={})
    evaluate: dict[str, Any] = Field(default={})


def load_training_params(path: Path = Path("params.yaml")) -> TrainingParams:
    """Read and check the training half of a parameter file, with the preset that it names.

    Raises:
        ConfigError: One line that names the first key that is unknown, ill-typed or impossible.
    """
    sections, name, preset = _read(path)
    merged = {**sections, **{key: {**(sections.get(key) or {}), **own} for key, own in preset.items()}}
    # Without the preset the sections were right.
    return parse_section(TrainingParams, f"presets.{name}", merged)


def preset_text(path: Path = Path("params.yaml")) -> str:
    """Return what the preset of a parameter file stands in for: `train.preset accuracy: model.width=32`; empty if nothing.

    Raises:
        ConfigError: As `load_training_params`.
    """
    _, name, preset = _read(path)
    values = [f"{section}.{key}={value}" for section, own in preset.items() for key, value in own.items()]
    return f"train.preset {name}: {', '.join(values)}" if values else ""


def _read(path: Path) -> tuple[dict[str, Any], str, dict[str, dict[str, Any]]]:
    """Return the sections, the name of the preset, and its values for them."""
    values = read_yaml(path)
    sections = {key: values[key] for key in TrainingParams.model_fields if key in values}
    name = parse_section(TrainingParams, "", sections).train.preset
    presets = values.get("presets") or {"default": {}}
    if not isinstance(presets, dict) or name not in presets:
        raise ConfigError(unknown_name(f"{path.name} train.preset", name, [*map(str, presets)]))
    preset = parse_section(Preset, f"presets.{name}", presets[name]).model_dump()
    for section, key in _READ_BY_DVC:
        if key in preset[section]:
            raise ConfigError(
                f"{path.name} presets.{name}.{section}: expected no {key}, for dvc.yaml reads {section}.{key} itself; set that"
            )
    return sections, name, preset
