"""Training of one fold: a fixed schedule, resumable after every epoch, the same on any number of cores.

Shape letters: B clips of a batch, K clips, C channels, N frames, M bins, L classes.
"""

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import nn

from audioprep.config.training import ModelRule, TrainRule
from audioprep.errors import ModelError
from audioprep.model.augment import Levels, augment, centre_of, num_cropped, suited
from audioprep.model.batches import Batch, FeatureBatches
from audioprep.model.checkpoints import Shapes, build, save_atomically, save_checkpoint, standardise, start_from
from audioprep.model.corpus import Corpus, Floats, Ints
from audioprep.model.losses import class_weights, clip_chances, loss_name, make_loss, outputs_of
from audioprep.model.nets import Classifier

# The one-cycle schedule starts at this share of the peak rate.
_START_SHARE = 1 / 25
# Validation metrics are wanted at so many points of the history.
_NUM_VALIDATIONS = 20
# State is saved after an epoch once this much time has passed since it was last saved.
_SAVE_EVERY_S = 5.0
_PREDICT_BATCH = 64
# mn04 has one bin left of these when it halves them for the last time, and resnet8 of half as many.
_MAX_BINS_FLOAT32 = 16


@dataclass(frozen=True)
class FoldResult:
    """A trained fold.

    Attributes:
        fold: The tested fold, of which nothing was seen.
        classifier: With averaged weights.
        shapes: Its sides.
        history: One row an epoch.
        cpu_seconds: Process CPU time, those of earlier, killed runs included.
        num_clips: Clips that the weights were fitted on.
        precision: float32 or bf16.
    """

    fold: int
    classifier: Classifier
    shapes: Shapes
    history: list[dict[str, Any]]
    cpu_seconds: float
    num_clips: int
    precision: str


def train_fold(
    corpus: Corpus,
    model: ModelRule,
    train: TrainRule,
    fold: int,
    state: Path,
    on_epoch: Callable[[dict[str, Any]], None],
) -> FoldResult:
    """Train the classifier for one tested fold.

    Args:
        corpus: Features and roles; clips with the role `test` are not touched. Of a clip with copies each epoch takes itself or
            one of them.
        model: The network.
        train: The schedule.
        fold: The tested fold.
        state: File in which training can go on after a kill.
        on_epoch: Called after each epoch with its row of the history, and first with those of an earlier, killed run.

    Raises:
        ModelError: There is too little to train on, or the loss is no longer finite.
    """
    run = _Run(corpus, model, train, fold, state)
    for row in run.history:
        on_epoch(row)
    for epoch in range(run.next_epoch, train.epochs):
        run.train_epoch(epoch)
        on_epoch(run.history[-1])
    return run.result()


def learning_rate(step: int, num_steps: int, peak: float, warmup: float) -> float:
    """Return the one-cycle learning rate: half a cosine up to the peak, half a cosine down to nothing.

    Args:
        step: From 0.
        num_steps: Of the whole training.
        peak: Highest rate.
        warmup: Share of the steps before the peak.

    Source: Smith and Topin 2017 (arXiv 1708.07120), with cosines as in torch's OneCycleLR.
    """
    num_warm = warmup * num_steps
    if step < num_warm:
        return peak * (_START_SHARE + (1 - _START_SHARE) * (1 - math.cos(math.pi * step / num_warm)) / 2)
    return peak * (1 + math.cos(math.pi * (step - num_warm) / max(1.0, num_steps - num_warm))) / 2


def predict(classifier: Classifier, values_KNM: Any, *, num_shifts: int = 1) -> Any:
    """Return class probabilities [K, L], float32, in full precision.

    Args:
        classifier: In evaluation mode.
        values_KNM: Feature matrices [K, N, M], a numpy array.
        num_shifts: Probabilities are averaged over so many circular shifts, evenly spread over the clip.
    """
    num_frames = values_KNM.shape[1]
    parts = []
    with torch.inference_mode():
        for first in range(0, len(values_KNM), _PREDICT_BATCH):
            x_BNM = torch.from_numpy(values_KNM[first : first + _PREDICT_BATCH].astype(np.float32))
            shifts = [index * num_frames // num_shifts for index in range(num_shifts)]
            votes = [classifier.scores(x_BNM.roll(shift, 1)) for shift in shifts]
            parts.append(torch.stack(votes).mean(0))
    return torch.cat(parts).numpy()


def resolve_precision(wanted: str, device: torch.device, num_bins: int) -> str:
    """Return float32 or bf16; `auto` takes bf16 where the hardware multiplies it faster than float32.

    On the CPU it takes float32 for few bins: where a bf16 convolution of stride 2 has one bin left to see, torch 2.14 gives
    the weights that see padding alone whatever stands in memory as their gradient.
    """
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "float32"
    if num_bins <= _MAX_BINS_FLOAT32:
        return "float32"
    capabilities = torch.cpu.get_capabilities()
    return "bf16" if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") else "float32"


def resolve_device(wanted: str) -> torch.device:
    """Return the device to train on; `auto` takes a GPU if there is one.

    Raises:
        ModelError: A GPU is asked for and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if wanted == "cuda" and not has_gpu:
        raise ModelError("train.device: expected a GPU for cuda, found none; set train.device=auto")
    return torch.device("cuda" if has_gpu and wanted != "cpu" else "cpu")


class _Run:
    """The state of one fold's training."""

    def __init__(self, corpus: Corpus, model: ModelRule, train: TrainRule, fold: int, state: Path) -> None:
        self.model, self.fold, self.state = model, fold, state
        dataset, _, split = corpus.name.partition("/")
        self.about = {"dataset": dataset, "split": split, "fold": fold, "labels": corpus.classes}
        self.device = resolve_device(train.device)
        self.precision = resolve_precision(train.precision, self.device, corpus.shards.num_bins)
        rows = corpus.rows(fold, train.fit_on)
        if len(rows) < 2:
            raise ModelError(f"fold {fold}: expected 2 clips or more to train on, got {len(rows)}; mend the split")
        _check_classes(corpus, fold, rows)
        self.train = train = suited(train, corpus, rows)
        loss = loss_name(train, is_multi_label=corpus.is_multi_label)
        truth_KL = corpus.truth(rows)
        weights_L = class_weights(truth_KL.sum(axis=0))
        weighs = train.balance == "weights"
        self.loss = make_loss(loss, train, torch.from_numpy(weights_L).to(self.device) if weighs else None)
        chances_K = clip_chances(truth_KL, weights_L) if train.balance == "sampler" else None
        self.shapes = Shapes(corpus.shards.num_frames, corpus.shards.num_bins, len(corpus.classes))
        torch.manual_seed(_seed(train.seed, fold, 0))
        self.classifier = build(model, self.shapes, outputs_of(loss))
        _check_crop(self.classifier, self.shapes, train)
        mean_M, std_M = corpus.normalisation(rows)
        standardise(self.classifier, mean_M, std_M)
        if model.init_checkpoint is not None:
            start_from(
                self.classifier,
                Path(model.init_checkpoint),
                corpus.meta,
                classes=corpus.classes,
                tested=self.about,
                freeze=model.freeze,
            )
        self.classifier.to(self.device)
        self.levels = _levels(self.classifier, model, corpus) if train.mixup_domain == "power" else None
        self.centre = centre_of(self.classifier.front, mean_M, std_M)
        self.average = copy.deepcopy(self.classifier).eval()
        self.optimizer = _optimizer(self.classifier.trunk, train)
        self.batches = self._feed(corpus, corpus.versions(rows), train.batch_size, shuffle=True, chances_K=chances_K)
        held_out = corpus.rows(fold, {"valid"} - set(train.fit_on))
        self.held_out = self._feed(corpus, held_out, _PREDICT_BATCH, shuffle=False) if len(held_out) else None
        self.history: list[dict[str, Any]] = []
        self.next_epoch = 0
        self.cpu_seconds = 0.0
        self._started_s, self._saved_s = time.process_time(), time.monotonic()
        self._resume()

    def train_epoch(self, epoch: int) -> None:
        """Pass once over the clips; chance depends on seed, fold and epoch alone, so a resumed run is the same."""
        torch.manual_seed(_seed(self.train.seed, self.fold, epoch + 1))
        rng = np.random.default_rng([self.train.seed, self.fold, epoch])
        self.classifier.train()
        total_loss, rate, per_epoch = 0.0, 0.0, len(self.batches)
        for number, batch in enumerate(self.batches.draw(rng)):
            step = epoch * per_epoch + number
            rate = learning_rate(step, self.train.epochs * per_epoch, self.train.lr, self.train.warmup)
            total_loss += self._step(batch, step, rate, rng) * len(batch.ids)
        loss = total_loss / self.batches.num_clips
        row = {"fold": self.fold, "epoch": epoch + 1, "lr": rate, "train_loss": loss, **self._validate(epoch)}
        self.history.append(row)
        self.next_epoch = epoch + 1
        self._save()

    def result(self) -> FoldResult:
        """Return the averaged weights of the last epoch, on the CPU."""
        self.cpu_seconds += self._lap_s()
        return FoldResult(
            self.fold,
            self.average.cpu(),
            self.shapes,
            self.history,
            self.cpu_seconds,
            self.batches.num_clips,
            self.precision,
        )

    def _step(self, batch: Batch, step: int, rate: float, rng: np.random.Generator) -> float:
        x_BCNM, targets_BL = augment(batch.features, batch.targets, self.train, rng, self.levels, self.centre)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self._autocast():
            logits_BL = self.classifier.trunk(x_BCNM)
        loss = self.loss(logits_BL.float(), targets_BL)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if not math.isfinite(value := float(loss.detach())):
            self._stop("loss", step, value)
        # A finite loss may have gradients that are not: the weights would be lost with this step.
        gradients = [weight.grad for weight in self.classifier.trunk.parameters() if weight.grad is not None]
        if not math.isfinite(norm := float(torch.nn.utils.get_total_norm(gradients))):
            self._stop("gradient", step, norm)
        self.optimizer.step()
        # The average forgets the random start: a short memory that grows to the full one.
        _average(self.average, self.classifier, min(self.train.ema_decay, (1 + step) / (10 + step)))
        return value

    def _stop(self, what: str, step: int, value: float) -> NoReturn:
        """Say where the training went wrong, and keep the averaged weights of the steps before."""
        epoch, number = divmod(step, len(self.batches))
        kept = ""
        if step:
            path = self.state.with_name(f"fold{self.fold}.last.pt")
            save_checkpoint(path, self.average.cpu(), self.model, self.shapes, self.about)
            kept = f", or with train.folds=[{self.fold}] give what was learnt before as model.init_checkpoint: {path}"
        raise ModelError(
            f"fold {self.fold}: expected a finite {what}, got {value} in epoch {epoch + 1}, step {number + 1} of "
            f"{len(self.batches)}; lower train.lr{kept}"
        )

    def _validate(self, epoch: int) -> dict[str, float]:
        every = max(1, self.train.epochs // _NUM_VALIDATIONS)
        is_due = (epoch + 1) % every == 0 or epoch + 1 == self.train.epochs
        if self.held_out is None or not is_due:
            return {}
        with torch.no_grad(), self._autocast():
            parts = [(self.average.trunk(batch.features), batch.targets) for batch in self.held_out]
        logits_KL, targets_KL = (torch.cat(part).float() for part in zip(*parts, strict=True))
        # With several labels: how often the likeliest class is one of them.
        is_right_K = targets_KL.gather(1, logits_KL.argmax(1, keepdim=True))
        return {"valid_loss": float(self.loss(logits_KL, targets_KL)), "valid_accuracy": float(is_right_K.mean())}

    def _feed(
        self, corpus: Corpus, rows: Ints, batch_size: int, *, shuffle: bool, chances_K: Floats | None = None
    ) -> FeatureBatches:
        """Return batches of some clips, to which the front, which has no weights, is applied when they are read."""
        return FeatureBatches(
            corpus,
            rows,
            batch_size=batch_size,
            shuffle=shuffle,
            chances=chances_K,
            prepare=self.classifier.front,
            device=self.device,
            read_ahead=0,  # a fold has one thread
        )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _lap_s(self) -> float:
        now_s = time.process_time()
        lap_s, self._started_s = now_s - self._started_s, now_s
        return lap_s

    def _save(self) -> None:
        if time.monotonic() - self._saved_s < _SAVE_EVERY_S:
            return
        self.cpu_seconds += self._lap_s()
        values = {
            "fold": self.fold,
            "next_epoch": self.next_epoch,
            "classifier": self.classifier.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "history": self.history,
            "cpu_seconds": self.cpu_seconds,
        }
        save_atomically(self.state, values)
        self._saved_s = time.monotonic()

    def _resume(self) -> None:
        if not self.state.exists():
            return
        saved = torch.load(self.state, map_location=self.device, weights_only=True)
        if saved["fold"] != self.fold:
            # Weights of another fold have seen this one's tested clips.
            raise ModelError(
                f"{self.state}: expected the state of fold {self.fold}, got fold {saved['fold']}; delete it"
            )
        self.classifier.load_state_dict(saved["classifier"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.history, self.next_epoch = saved["history"], saved["next_epoch"]
        self.cpu_seconds = saved["cpu_seconds"]


def _check_classes(corpus: Corpus, fold: int, rows: Ints) -> None:
    """Refuse to train where a class is tested or validated, and none of its clips is there to learn from."""
    others = corpus.rows(fold, {"train", "valid", "test"})
    unseen_L = corpus.truth(others).any(axis=0) & ~corpus.truth(rows).any(axis=0)
    if unseen_L.any():
        names = [corpus.classes[code] for code in np.flatnonzero(unseen_L)]
        raise ModelError(
            f"{corpus.name} fold {fold}: expected clips of every class to train on, got none of {', '.join(names[:5])} "
            f"({len(names)} of {len(corpus.classes)} classes); choose another split, or give these classes more groups"
        )


def _check_crop(classifier: Classifier, shapes: Shapes, train: TrainRule) -> None:
    """Refuse crops that are too short for the network, although whole clips are not."""
    num_frames = num_cropped(shapes.num_frames, train)
    if num_frames < classifier.trunk.min_side:
        raise ModelError(
            f"train.time_crop: expected crops of at least {classifier.trunk.min_side} frames for this model.arch, got "
            f"{num_frames} of {shapes.num_frames}; raise it, or choose resnet8"
        )


def _levels(classifier: Classifier, model: ModelRule, corpus: Corpus) -> Levels:
    """Return what standardised values stand for, where powers can be made of them."""
    kind = corpus.meta["kind"]
    if kind != "logmel" or model.normalise != "corpus":
        raise ModelError(
            "train.mixup_domain: expected model.features=logmel and model.normalise=corpus to mix powers, got "
            f"{kind} and {model.normalise}; set train.mixup_domain=features"
        )
    return Levels(classifier.front.mean_M, classifier.front.std_M)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _optimizer(trunk: nn.Module, train: TrainRule) -> torch.optim.AdamW:
    """Return AdamW that shrinks matrices and kernels, and leaves biases and batch norms alone."""
    shrunk = [weight for weight in trunk.parameters() if weight.ndim > 1]
    others = [weight for weight in trunk.parameters() if weight.ndim <= 1]
    groups = [{"params": shrunk, "weight_decay": train.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=train.lr, fused=True)


@torch.no_grad()
def _average(average: Classifier, classifier: Classifier, decay: float) -> None:
    own, new = average.trunk.state_dict(), classifier.trunk.state_dict()
    floats = [name for name, value in own.items() if value.is_floating_point()]
    torch._foreach_lerp_([own[name] for name in floats], [new[name] for name in floats], 1 - decay)
