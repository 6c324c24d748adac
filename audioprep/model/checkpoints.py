"""Building classifiers, and their files: ours, and published ones to start from: PANNs checkpoints and folders of an AST."""

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from audioprep.config.training import ModelRule
from audioprep.console import say
from audioprep.errors import ModelError, reason_of
from audioprep.model.archs.ast_pretrained import published_config, published_weights
from audioprep.model.archs.registry import ARCHS
from audioprep.model.archs.trunk import Sides
from audioprep.model.ast_front_end import ast_differences, ast_front
from audioprep.model.nets import Classifier, Front, Outputs
from audioprep.model.panns_front_end import FRONT_END_PREFIXES, differences_from, front_end_differences, settings_of

# About so many frames go into resnet8, unless model.frame_pool says otherwise.
_POOLED_FRAMES = 125
# What published checkpoints pickle beside tensors: the state of their sampler, by numpy's names before and after 2.0.
_RECONSTRUCT = np._core.multiarray._reconstruct  # type: ignore[attr-defined]  # noqa: SLF001
_SAFE_GLOBALS: list[Any] = [
    _RECONSTRUCT,
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    np.ndarray,
    np.dtype,
    *{type(np.dtype(name)) for name in ("int64", "int32", "float32", "float64", "bool")},
]


@dataclass(frozen=True)
class Shapes:
    """The sides of a classifier.

    Attributes:
        num_frames: N of its input.
        num_bins: M of its input.
        num_classes: L of its output.
    """

    num_frames: int
    num_bins: int
    num_classes: int


@dataclass(frozen=True)
class Cost:
    """What a classifier costs.

    Attributes:
        num_parameters: Trained values.
        num_multiply_adds: Of convolutions and matrix products, for one clip.
    """

    num_parameters: int
    num_multiply_adds: int


@dataclass(frozen=True)
class Checkpoint:
    """A trained classifier and what must be known to use it."""

    classifier: Classifier
    rule: ModelRule
    shapes: Shapes
    meta: dict[str, Any]


def build(
    rule: ModelRule, shapes: Shapes, outputs: Outputs = "softmax", config: Mapping[str, Any] | None = None
) -> Classifier:
    """Return a classifier with random weights, drawn from torch's global generator.

    Args:
        rule: The network.
        shapes: Its sides.
        outputs: What makes probabilities of its logits.
        config: What a published network of more than one size is made by; None: what `model.init_checkpoint` says.

    Raises:
        ModelError: The feature matrices are too small for the network's pooling, or the config cannot be read.
    """
    arch = ARCHS[rule.arch]
    frame_pool = _frame_pool(rule, shapes.num_frames) if "frame_pool" in arch.settings else 1
    front = Front(shapes.num_bins, frame_pool, per_clip=rule.normalise == "clip")
    sides = Sides(
        front.num_channels,
        shapes.num_frames // frame_pool,
        shapes.num_bins,
        shapes.num_classes,
        is_exclusive=outputs == "softmax",
        pool=rule.pool,
        config=_published_config(rule) if config is None and "init_checkpoint" in arch.settings else config,
    )
    trunk = arch.make(rule, sides)
    if min(shapes.num_frames, shapes.num_bins) < trunk.min_side:
        raise ModelError(
            f"model.arch {rule.arch}: expected at least {trunk.min_side} frames and bins, got "
            f"{shapes.num_frames} frames of {shapes.num_bins} bins; choose resnet8, or larger features"
        )
    return Classifier(front, trunk, outputs)


def _frame_pool(rule: ModelRule, num_frames: int) -> int:
    wanted = max(1, round(num_frames / _POOLED_FRAMES)) if rule.frame_pool is None else rule.frame_pool
    return min(wanted, num_frames)


def cost_of(rule: ModelRule, shapes: Shapes) -> Cost:
    """Return what a classifier costs; no weights are drawn and nothing is computed.

    Args:
        rule: The network.
        shapes: Its sides.

    Raises:
        ModelError: The feature matrices are too small for the network's pooling.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        classifier = build(rule, shapes).eval()
        classifier(torch.zeros(1, shapes.num_frames, shapes.num_bins))
    num_parameters = sum(weight.numel() for weight in classifier.parameters())
    return Cost(num_parameters, counter.get_total_flops() // 2)


def standardise(classifier: Classifier, mean_M: Any, std_M: Any) -> None:
    """Set the front's normalisation: mean [M] and standard deviation [M] of the training clips."""
    classifier.front.mean_M.copy_(torch.from_numpy(mean_M))
    classifier.front.std_M.copy_(torch.from_numpy(std_M))


def start_from(
    classifier: Classifier,
    path: Path,
    features: Mapping[str, Any] | None = None,
    *,
    classes: Sequence[str] | None = None,
    tested: Mapping[str, Any] | None = None,
    freeze: bool = False,
) -> None:
    """Take the trunk's weights from a published PANNs checkpoint, from a folder of an AST, or from a checkpoint of ours.

    A head for other classes is left as it is, and so is a pool with weights that the checkpoint does not have. A
    published trunk standardises its input by itself (bn0), in dB, so the front then passes features through, an
    AST is given what it is used to, and one of ours brings its own front.

    Args:
        classifier: Its trunk is changed.
        path: The checkpoint, or the folder.
        features: What the feature shards say of themselves; a published front end is compared with it. Weights that go
            on learning get used to other features, and a line tells of them; frozen ones cannot. None: no comparison.
        classes: What the head is to decide on; that of a checkpoint of ours for others, of the same number even, is not
            taken. None: the number alone counts.
        tested: `dataset`, `split` and `fold` that will be tested: weights of ours that were fitted on that corpus must be of
            the same fold. None: no comparison.
        freeze: Keep the body as it is in the checkpoint.

    Raises:
        ModelError: The file cannot be read, its names or shapes are not this network's, its weights have seen tested clips, or
            a body that is to be frozen was trained on other features.
    """
    trunk = classifier.trunk
    if path.is_dir() and trunk.config is None:
        raise ModelError(
            f"model.init_checkpoint {path}: expected a checkpoint of this network, got a folder; name a file in it, or set "
            "model.arch=ast_pretrained"
        )
    loaded = _read_folder(path, features) if path.is_dir() else _read(path)
    _check_unseen(path, loaded, tested)
    # Both layouts have the trunk under `model`; a bare state dict is accepted too.
    weights = dict(loaded.get("model", loaded))
    front_end = {name: weights.pop(name) for name in list(weights) if name.startswith(FRONT_END_PREFIXES)}
    weights = trunk.fitted(weights)
    own = trunk.state_dict()
    if path.is_dir() or _decides_on_others(loaded, classes) or _has_other_head(weights, own, trunk.head_name):
        weights |= {name: value for name, value in own.items() if name.startswith(f"{trunk.head_name}.")}
    weights = {name: value for name, value in own.items() if name.startswith("pool.")} | weights
    _check_same_layout(path, loaded, weights, own)
    if features is not None:
        _check_features(path, loaded, front_end, features, classifier.front, freeze=freeze)
    trunk.load_state_dict(weights)
    mean_M = classifier.front.mean_M
    front = loaded.get("front", {"mean_M": torch.zeros_like(mean_M), "std_M": torch.ones_like(mean_M)})
    if front and front["mean_M"].shape == mean_M.shape:
        classifier.front.load_state_dict(front)
    if freeze:
        trunk.freeze_body()


def save_checkpoint(path: Path, classifier: Classifier, rule: ModelRule, shapes: Shapes, meta: dict[str, Any]) -> None:
    """Write a classifier, atomically, as tensors and one JSON text."""
    about = {"rule": rule.model_dump(), "shapes": vars(shapes), "outputs": classifier.outputs, "meta": meta}
    if classifier.trunk.config is not None:
        about["config"] = dict(classifier.trunk.config)
    tensors = {"front": classifier.front.state_dict(), "model": classifier.trunk.state_dict()}
    save_atomically(path, {"about": json.dumps(about, sort_keys=True), **tensors})


def load_checkpoint(path: Path) -> Checkpoint:
    """Return a classifier written by `save_checkpoint`, ready to predict.

    Raises:
        ModelError: The file is missing, damaged, or not one of ours.
    """
    loaded = _read(path)
    try:
        about = json.loads(loaded["about"])
        rule, shapes = ModelRule.model_validate(about["rule"]), Shapes(**about["shapes"])
        classifier = build(rule, shapes, about["outputs"], about.get("config", {}))
        classifier.front.load_state_dict(loaded["front"])
        classifier.trunk.load_state_dict(loaded["model"])
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{path}: expected a checkpoint of this project, got {reason_of(error)}; train again"
        ) from None
    return Checkpoint(classifier.eval(), rule, shapes, about["meta"])


def save_atomically(path: Path, values: dict[str, Any]) -> None:
    """Write tensors and plain values so that the file is either whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Into an open file: given a path, torch would write its name, which has the process id, into the archive.
        with temporary.open("wb") as file:
            torch.save(values, file)
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _read(path: Path) -> dict[str, Any]:
    try:
        with torch.serialization.safe_globals(_SAFE_GLOBALS):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path}: expected a checkpoint, got {reason_of(error)}; check the path") from None
    except Exception:  # noqa: BLE001 - bytes that are no checkpoint are read as one, and raise whatever they meet
        raise ModelError(
            f"{path}: expected a checkpoint, got another kind of file, or a damaged one; check the path"
        ) from None
    if not isinstance(loaded, dict):
        raise ModelError(f"{path}: expected a checkpoint of named tensors, got {type(loaded).__name__}; check the path")
    return loaded


def _about(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint of ours says of itself; nothing of others."""
    return dict(json.loads(loaded.get("about", "{}")))


def _rule(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the network that a checkpoint of ours says it is; nothing of others."""
    return dict(_about(loaded).get("rule", {}))


def _meta(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint of ours says of its training; nothing of others."""
    return dict(_about(loaded).get("meta", {}))


def _check_unseen(path: Path, loaded: Mapping[str, Any], tested: Mapping[str, Any] | None) -> None:
    meta = _meta(loaded)
    if tested is None or meta.get("dataset") != tested["dataset"]:
        return
    if any(meta.get(key) != tested[key] for key in ("split", "fold")):
        raise ModelError(
            f"model.init_checkpoint {path}: expected weights that have not seen the tested clips, those of fold "
            f"{tested['fold']} of {tested['split']}, got those of fold {meta.get('fold')} of {meta.get('split')}; set "
            f"train.folds=[{meta.get('fold')}] with that split, or start from another corpus"
        )


def _decides_on_others(loaded: Mapping[str, Any], classes: Sequence[str] | None) -> bool:
    """Return whether a checkpoint of ours is known to be for other classes."""
    known = _meta(loaded).get("labels")
    return None not in (known, classes) and list(known or ()) != list(classes or ())


def _has_other_head(weights: Mapping[str, Tensor], own: Mapping[str, Tensor], head_name: str) -> bool:
    names = [name for name in own if name.startswith(f"{head_name}.")]
    return any(name in weights and weights[name].shape != own[name].shape for name in names)


def _read_folder(folder: Path, features: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a published AST in the layout of our checkpoints; without a front where features cannot be brought near its own."""
    front = {}
    if features is not None and features["kind"] == "logmel":
        front["mean_M"], front["std_M"] = ast_front(folder, features)
    return {"model": published_weights(folder), "front": front}


def _published_config(rule: ModelRule) -> Mapping[str, Any] | None:
    """Return what the network to start from was made by."""
    if rule.init_checkpoint is None:
        return None
    path = Path(rule.init_checkpoint)
    if path.is_dir():
        return published_config(path)
    return dict(_about(_read(path)).get("config") or {})


def _check_features(
    path: Path,
    loaded: Mapping[str, Any],
    front_end: Mapping[str, Tensor],
    features: Mapping[str, Any],
    front: Front,
    *,
    freeze: bool,
) -> None:
    if path.is_dir():
        differences = ast_differences(path, features)
    elif _rule(loaded):
        differences = _own_differences(loaded, features)
    else:
        differences = front_end_differences(front_end, features)
    normalise = _rule(loaded).get("normalise", "corpus" if path.is_dir() or front_end else None)
    own_normalise = "clip" if front.per_clip else "corpus"
    if normalise not in (None, own_normalise):
        differences.append(f"model.normalise: {normalise}, got {own_normalise}")
    if not differences:
        return
    line = f"model.init_checkpoint {path}: expected the features that it was trained on, {'; '.join(differences)}"
    if freeze:
        raise ModelError(f"{line}; set them so, or model.freeze=false")
    say(f"{line}; training goes on, the closer the better")


def _own_differences(loaded: Mapping[str, Any], features: Mapping[str, Any]) -> list[str]:
    """Return in what the features at hand differ from those that a checkpoint of ours was trained on, one text a parameter."""
    known = _meta(loaded).get("features")
    if known is None:
        return []
    if known["kind"] != features["kind"]:
        return [f"model.features: {known['kind']}, got {features['kind']}"]
    # How coarse they are stored is nothing to learn from.
    expected = {name: value for name, value in settings_of(known).items() if not name.endswith(".dtype")}
    return differences_from(expected, features)


def _check_same_layout(
    path: Path, loaded: Mapping[str, Any], weights: dict[str, Tensor], own: dict[str, Tensor]
) -> None:
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    other = [name for name in sorted(own.keys() & weights.keys()) if own[name].shape != weights[name].shape]
    problems = [f"one without {name}" for name in missing[:1]] + [f"one with {name}" for name in unknown[:1]]
    problems += [f"{name} of shape {list(weights[name].shape)} for {list(own[name].shape)}" for name in other[:1]]
    if not problems:
        return
    found, choose = ", ".join(problems), "choose the arch, width and pool of that checkpoint"
    if rule := _rule(loaded):
        found = f"that of {rule['arch']} with width {rule['width']} and pool {rule['pool']}, {found}"
        choose = f"set model.arch={rule['arch']}, and width and pool so"
    raise ModelError(
        f"model.init_checkpoint {path}: expected the layout of model.arch, got {found} "
        f"({len(missing) + len(unknown) + len(other)} differences); {choose}"
    )
