"""Trials towards the recipe `aucue`: what makes maps truer, on held-out training faces of FER+ only.

    python -m experiments.recipe_trials --out runs/trials [--only NAME ...] [--seed 0 1 2]

Trains the small network of `ferplus_set.py` on nine tenths of the training part: per seed from scratch
unguided, with the recipe `aucue`, and with the attention aligned; every trial then goes on from the last
one's weights for another epoch with its own terms, so that all start from a network that can read
expressions. Each is evaluated on the last tenth. results.md has mean and standard deviation over the seeds of
every trial (every figure of every seed in results.json). Nothing here looks at the test part. A trial that is
finished is not run again. What was learnt is in docs/recipe.md.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aucue.cams import normalize_cam
from aucue.classifiers import Classifier
from aucue.classifiers.classifier import ClassifierOutput
from aucue.evaluation import Evaluation, EvaluationSettings, evaluate
from aucue.guidance import alignment, attention, contrast
from aucue.training.config import GuidanceSettings, OptimizerSettings, TrainConfig
from aucue.training.fitting import fit
from aucue.training.module import Batch
from experiments.doc_tables import block, paste, table
from experiments.ferplus_set import Continued, prepared, small_network

CONTINUED = OptimizerSettings(lr=1e-3, warmup_epochs=0.1)
COLUMNS: Mapping[str, str] = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced",
    "att_cos": "ATT-COS",
    "cam_cos.true": "CAM-COS",
    "specificity.class_map": "specific",
    "occlusion.mean.ratio": "action units hidden",
    "deletion.mean.gain": "deletion gain",
    "insertion.mean.gain": "insertion gain",
}
"""Of the table, and how they are called there."""
PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"


@dataclass(frozen=True)
class Trial:
    """Weights of the terms beside the cross-entropy.

    Attributes:
        attention: Alignment of the attention of the layers (lambda).
        class_map: Alignment of the true class's map.
        contrast: Contrast of that map with the cues of the other expressions.
        mirror: 1 - cosine of the class maps of a face and of its mirror image.
        units: Alignment of one channel per action unit with that unit's map.
        occlude: Share of faces of which the regions of a random expression are blurred; the target becomes
            even where it is the expression shown.
        soft: Whether votes are the target.
        soft_cues: Whether the cue is the mean of all expressions' AU maps, weighted by the votes.
        ramp: "up": from 0 to the weights over the training, "down": from the weights to 0.
        regions: Region model that is trained with.
        layers: Layers whose attention is aligned; None: the last.
    """

    attention: float = 0.0
    class_map: float = 0.0
    contrast: float = 0.0
    mirror: float = 0.0
    units: float = 0.0
    occlude: float = 0.0
    soft: bool = False
    soft_cues: bool = False
    ramp: str = ""
    regions: str = "anatomical"
    layers: tuple[str, ...] | None = None


STARTS: Mapping[str, Trial] = {
    "unguided": Trial(),
    "aucue": Trial(attention=4, class_map=1, contrast=0.5),
    "attention": Trial(attention=4),
}
START = "attention"
"""From scratch, all of them; the trials go on from this one."""

TRIALS: Mapping[str, Trial] = {
    "no-guidance": Trial(),
    "attention-only": Trial(attention=4),
    "both": Trial(attention=4, class_map=4),
    "both-contrast": Trial(attention=4, class_map=4, contrast=1),
    "light": Trial(attention=4, class_map=1),
    "light-contrast": Trial(attention=4, class_map=1, contrast=0.5),
    "lighter": Trial(attention=4, class_map=0.3),
    "equal": Trial(attention=1, class_map=1),
    "class-map": Trial(class_map=1),
    "contrast": Trial(attention=4, contrast=1),
    "soft": Trial(soft=True),
    "light-soft": Trial(attention=4, class_map=1, soft=True),
    "light-soft-cues": Trial(attention=4, class_map=1, soft=True, soft_cues=True),
    "light-mirror": Trial(attention=4, class_map=1, mirror=1),
    "light-occlude": Trial(attention=4, class_map=1, occlude=0.3),
    "light-units": Trial(attention=4, class_map=1, units=1),
    "light-ramp-up": Trial(attention=4, class_map=1, ramp="up"),
    "light-ramp-down": Trial(attention=4, class_map=1, ramp="down"),
    "light-two-layers": Trial(attention=4, class_map=1, layers=("layer3", "layer4")),
    "light-fg2024-regions": Trial(attention=4, class_map=1, regions="fg2024-224"),
}


class TrialModule(Continued):
    """The training step of a trial.

    Args:
        classifier: The network.
        config: Its settings.
        trial: The terms.
        start: Model file whose weights it starts from, if not at random.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig, trial: Trial, start: Path | None):
        super().__init__(classifier, config, start)
        self.trial = trial
        self.with_cue = [
            i for i, label in enumerate(classifier.classes) if self.objective.cue.codebook[label]
        ]

    @property
    def grid(self) -> tuple[int, int]:
        """Cells of the guided layer."""
        _, height, width = self.classifier.shapes[self.objective.layers[-1]]
        return height, width

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Cross-entropy plus the trial's terms."""
        trial = self.trial
        target = batch["probabilities"] if trial.soft else self.objective.one_hot(batch["label"])
        images = batch["image"]
        if trial.occlude:
            images, target = self.occluded(batch, target)
        out = self.classifier(images)
        loss = self.classifier.loss(out, target)
        self.log("train/cross_entropy", loss, on_step=False, on_epoch=True)
        terms = self.terms(batch, images, out)
        done = self.global_step / max(1, int(self.trainer.estimated_stepping_batches))
        factor = {"up": done, "down": 1 - done}.get(trial.ramp, 1.0)
        return loss + factor * sum(terms, torch.zeros(()))

    def terms(self, batch: Batch, images: Tensor, out: ClassifierOutput) -> list[Tensor]:
        """Weighted terms beside the cross-entropy."""
        trial, terms = self.trial, []
        labels = batch["label"]
        cues, known = self.all_cues(batch)  # (B, K, h, w), (B,)
        mixed = (batch["probabilities"] if trial.soft_cues else self.objective.one_hot(labels))[
            :, self.with_cue
        ]
        valid = known & (mixed.sum(1) > 0.5)
        cue = torch.einsum("be,behw->bhw", mixed, cues)[:, None]
        cue = cue / cue.amax((2, 3), keepdim=True).clamp(min=1e-6)
        if trial.attention:
            aligned = [alignment(attention(out.features[name]), cue, valid) for name in self.objective.layers]
            terms.append(trial.attention * torch.stack(aligned).mean())
        map_ = normalize_cam(self.classifier.class_map(out, labels))
        if trial.class_map:
            terms.append(trial.class_map * alignment(map_, cue, valid))
        if trial.contrast:
            places = torch.tensor([self.with_cue.index(i) if i in self.with_cue else 0 for i in range(7)])
            terms.append(trial.contrast * contrast(map_, cues, places[labels], valid))
        if trial.mirror:
            other = normalize_cam(self.classifier.class_map(self.classifier(images.flip(3)), labels))
            cosines = F.cosine_similarity(map_.flatten(1), other.flip(3).flatten(1))
            terms.append(trial.mirror * (1 - cosines).mean())
        if trial.units:
            terms.append(trial.units * self.unit_alignment(batch, out))
        return terms

    def all_cues(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """AU maps (B, E, h, w) of every expression on each face, and which faces have landmarks (B,)."""
        landmarks, grid = batch["landmarks"], self.grid
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        faces, count = len(landmarks), len(self.with_cue)
        ids = torch.tensor(self.with_cue).repeat(faces)
        cue = self.objective.cue(landmarks.repeat_interleave(count, 0), ids, size, grid)
        return cue.map.view(faces, count, *cue.map.shape[2:]), cue.valid.view(faces, count).all(1)

    def unit_alignment(self, batch: Batch, out: ClassifierOutput) -> Tensor:
        """1 - cosine of channel k with the map of action unit k, over those of the expression."""
        size = (batch["image"].shape[-2], batch["image"].shape[-1])
        grid = self.grid
        maps, valid = self.objective.cue.single(batch["landmarks"], size, grid)
        units, book = self.objective.cue.action_units, self.objective.cue.codebook
        active = torch.tensor([[u in book[label] for u in units] for label in self.classifier.classes])
        chosen = valid & active[batch["label"]]  # (B, n)
        channels = out.features[self.objective.layers[-1]][:, : len(units)].float()
        cosines = F.cosine_similarity(channels.flatten(2), maps.flatten(2), dim=2)
        return torch.where(chosen, 1 - cosines, 0.0).sum() / chosen.sum().clamp(min=1)

    def occluded(self, batch: Batch, target: Tensor) -> tuple[Tensor, Tensor]:
        """Blur the regions of a random expression in a share of the faces."""
        images, labels = batch["image"].float(), batch["label"]
        size = (images.shape[-2], images.shape[-1])
        drawn = torch.tensor(self.with_cue)[torch.randint(len(self.with_cue), (len(labels),))]
        cue = self.objective.cue(batch["landmarks"], drawn, size)
        chosen = cue.valid & (torch.rand(len(labels)) < self.trial.occlude)
        blurred = F.interpolate(F.avg_pool2d(images, 8), scale_factor=8, mode="bilinear")
        hidden = cue.map * chosen[:, None, None, None]
        even = torch.full_like(target, 1 / target.shape[1])
        gone = chosen & (drawn == labels)
        images = (images * (1 - hidden) + blurred * hidden).to(batch["image"].dtype)
        return images, torch.where(gone[:, None], even, target)


def settings(path: Path, out: Path, trial: Trial, seed: int, epochs: int) -> TrainConfig:
    """Settings of a training: what all share, and where it is guided."""
    guidance = GuidanceSettings(
        weight=trial.attention,
        layers=list(trial.layers) if trial.layers else None,
        regions=trial.regions,  # pyright: ignore[reportArgumentType]
    )
    return replace(small_network(path, out, seed, epochs), guidance=guidance)


def main() -> None:
    """Train, evaluate on the validation part, tabulate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/trials"))
    parser.add_argument("--only", nargs="*", default=[*STARTS, *TRIALS], choices=[*STARTS, *TRIALS])
    parser.add_argument("--seed", nargs="+", type=int, default=[0])
    parser.add_argument("--epochs", type=int, default=3, help="from scratch")
    parser.add_argument("--faces", type=int, default=8, help="held-out faces per expression with evidence")
    parser.add_argument("--data", type=Path, help="a set that ferplus_set.prepared has made")
    parser.add_argument("--docs", action="store_true", help="bring the table to docs/recipe.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.data or prepared(arguments.out)
    for seed in arguments.seed:
        models = {}
        for name, trial in STARTS.items():
            if name in arguments.only or name == START:
                config = settings(path, arguments.out / f"{name}-{seed}", trial, seed, arguments.epochs)
                models[name] = run(config, trial, None, arguments.faces)
        for name, trial in TRIALS.items():
            if name in arguments.only:
                config = settings(path, arguments.out / f"{name}-{seed}", trial, seed, 1)
                run(replace(config, optimizer=CONTINUED), trial, models[START], arguments.faces)
    write(arguments.out, arguments.docs)


def run(config: TrainConfig, trial: Trial, start: Path | None, faces: int) -> Path:
    """Train and evaluate on the validation part, unless that is done; gives the model file."""
    began = time.perf_counter()
    model = fit(config, progress=False, module=partial(TrialModule, trial=trial, start=start))
    where = Path(config.out) / "evaluation"
    if not (where / "evaluation.json").exists():
        evaluate(
            model,
            config.data.path,
            EvaluationSettings(
                split="val", regions="anatomical", workers=0, evidence=True, evidence_faces=faces
            ),
            out=where,
            progress=False,
        )
        print(f"{where.parent.name}: {time.perf_counter() - began:.0f} s", flush=True)
    return model


def write(out: Path, docs: bool = False) -> None:
    """A table of the trials that are finished, brought to docs/recipe.md too; every seed in results.json."""
    rows = [
        {**_parts(path.parents[1].name), **figures(Evaluation.load(path))}
        for path in sorted(out.glob("*/evaluation/evaluation.json"))
    ]
    trials: dict[str, list[dict[str, Any]]] = {name: [] for name in (*STARTS, *TRIALS)}
    for row in rows:
        trials[row["trial"]].append(row)
    lines = [
        [trial, str(len(seeds)), *(_mean_and_deviation([row.get(name) for row in seeds]) for name in COLUMNS)]
        for trial, seeds in trials.items()
        if seeds
    ]
    text = table(["trial", "seeds", *COLUMNS.values()], lines)
    (out / "results.md").write_text(text + "\n")
    (out / "results.json").write_text(json.dumps(rows, indent=1))
    print(text)
    if docs:
        paste(PAGE, {"trials": block("trials", text)})


def _parts(folder: str) -> dict[str, Any]:
    """Trial and seed by the name of a folder."""
    trial, seed = folder.rsplit("-", 1)
    return {"trial": trial, "seed": int(seed)}


def _mean_and_deviation(values: list[float | None]) -> str:
    """Mean and standard deviation over the seeds in which a figure is defined."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    spread = f" ± {statistics.stdev(known):.3f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.3f}{spread}"


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """The figures of one trial."""
    rows = evaluation.estimate_rows()
    found = {row["measure"] + "." * bool(row["variant"]) + row["variant"]: row["value"] for row in rows}
    return {**found, "att_cos": evaluation.estimate("att_cos").value}


if __name__ == "__main__":
    main()
