"""A teacher for the model in the box: dlib's recognition network, fine-tuned on the votes of FER+.

    python -m box.teacher --weights DIR --out runs/box [--epochs 12] [--seeds 0 1]

DIR holds the network as the npm package @vladmandic/face-api has it, see `box.recognition`. It is trained on
nine tenths of the training part of FER+ and the rendered faces of the box, and measured on the last tenth,
alone and beside what `box.train` makes. No test part is read. A training that was interrupted goes on after
its last whole epoch.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from aucue.classifiers.brightness import brightness
from aucue.data import STRONG, FaceDataset, PreparedSet, eval_transform, make_loader, open_prepared
from aucue.models import load_model
from aucue.training import OptimizerSettings
from aucue.training.calibrating import Answers
from aucue.training.schedule import learning_rate_factor
from aucue.work.files import appearing
from box.recognition import Recognition, framed, read_weights
from box.train import BALANCE, RENDERED, STAGES, by_votes, figures, log_frequency, outputs, studio_faces
from experiments.doc_tables import table
from experiments.ferplus_set import prepared, prepared_with_rendered

SIDE, INNER = 112, 100
"""Side of the network's input, and of our crops in it: three quarters of what it was trained on, for time."""

BODY, HEAD = 1e-4, 1e-3
"""Highest learning rates of what it knew before and of what is new."""

EPOCHS = 12

SHARES = (0.0, 0.3, 0.5, 0.7, 1.0)
"""Shares of the teacher's logits beside those of the box that are tabulated."""


class Teacher(nn.Module):
    """Recognition's maps of 3 x 3 cells, and a linear layer that reads all of them; its first blocks stay.

    Args:
        weights: See `read_weights`.
        classes: Number of classes K.
    """

    LAST, KEPT = "conv256_2", "conv32"

    def __init__(self, weights: Mapping[str, Tensor], classes: int) -> None:
        super().__init__()
        self.body = Recognition(weights)
        for name, value in self.body.named_parameters():
            value.requires_grad_(not name.startswith(f"weights.{self.KEPT}"))
        self.head = nn.Sequential(nn.Dropout(0.4), nn.LazyLinear(classes))
        with torch.no_grad():
            self.eval()(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8))  # makes the linear layer
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, faces: Tensor) -> Tensor:
        """Logits (B, K) of aligned faces (B, 3, S, S), uint8, whose colours it does not see."""
        grey = brightness(framed(faces, SIDE, INNER)).expand(-1, 3, -1, -1)
        pictures = grey.contiguous(memory_format=torch.channels_last)
        return self.head(self.body.maps(pictures)[self.LAST].flatten(1))

    def groups(self) -> list[dict[str, object]]:
        """What an optimiser takes."""
        return [
            {"params": [value for value in self.body.parameters() if value.requires_grad], "lr": BODY},
            {"params": list(self.head.parameters()), "lr": HEAD},
        ]


def tune(teacher: Teacher, faces: PreparedSet, prior: Tensor, kept: Path, epochs: int, seed: int) -> None:
    """Train on the votes, frequencies compensated, faces strongly augmented; goes on where it was.

    Args:
        teacher: Its weights are changed.
        faces: Of which the training part is trained on, and the held-out one measured after each epoch.
        prior: What the logits get in training (K,), so that frequent classes need less.
        kept: File of the checkpoint.
        epochs: Passes over the faces.
        seed: Of order and augmentation.
    """
    training = faces.dataset("train", eval_transform(faces.size))
    loader = make_loader(training, 64, shuffle=True, seed=seed, workers=0, drop_last=True)
    optimizer = torch.optim.AdamW(teacher.groups(), weight_decay=1e-2)
    settings, steps = OptimizerSettings(), len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(settings, step, epochs * steps, steps)
    )
    parts = (teacher, optimizer, schedule)
    done = _restored(kept, parts)
    for epoch in range(done, epochs):
        torch.manual_seed(100_003 * seed + epoch)
        loader.sampler.set_epoch(epoch)  # pyright: ignore[reportAttributeAccessIssue]
        teacher.train()
        losses = []
        for batch in loader:
            changed = STRONG(batch, faces.size)  # pyright: ignore[reportArgumentType]
            with torch.autocast("cpu", torch.bfloat16):
                logits = teacher(changed["image"])
            loss = functional.cross_entropy(logits.float() + prior, batch["probabilities"])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(teacher.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.detach())
        with appearing(kept) as unfinished:
            torch.save({"epochs": epoch + 1, "parts": [part.state_dict() for part in parts]}, unfinished)
        print(f"seed {seed}, epoch {epoch + 1}: loss {torch.stack(losses).mean():.3f}", flush=True)
        held_out = said(teacher, faces.dataset("val", eval_transform(faces.size)))
        print(figures(*held_out, torch.zeros_like(prior)), flush=True)


def _restored(kept: Path, parts: tuple) -> int:
    """Epochs that a checkpoint has behind it, whose state all parts take; 0 without one."""
    if not kept.exists():
        return 0
    state = torch.load(kept, weights_only=True)
    for part, its in zip(parts, state["parts"], strict=True):
        part.load_state_dict(its)
    return state["epochs"]


@torch.inference_mode()
def said(teacher: Teacher, faces: FaceDataset) -> Answers:
    """Logits (N, K), means of face and mirror image, and labels (N,)."""
    teacher.eval()
    found = []
    for batch in make_loader(faces, 64, workers=0):
        with torch.autocast("cpu", torch.bfloat16):
            both = teacher(torch.cat([batch["image"], batch["image"].flip(-1)])).float()
        found.append((both.unflatten(0, (2, -1)).mean(0), batch["label"]))
    logits, labels = (torch.cat(parts) for parts in zip(*found, strict=True))
    return logits, labels


def trained(out: Path, photographs: Path, weights: Path, epochs: int = EPOCHS, seed: int = 0) -> Teacher:
    """The teacher, tuned unless it is there.

    Args:
        out: Folder of its checkpoint, and of the faces.
        photographs: Prepared set of the photographs alone.
        weights: Folder of dlib's network.
        epochs: Passes over the faces.
        seed: Of head, order and augmentation.
    """
    faces = open_prepared(prepared_with_rendered(out, RENDERED, STAGES[-1].stored))
    prior = BALANCE * log_frequency(open_prepared(photographs))  # rendered faces are as frequent as we chose
    torch.manual_seed(seed)
    teacher = Teacher(read_weights(weights), len(faces.classes))
    tune(teacher, faces, prior, out / f"teacher-seed{seed}.pt", epochs, seed)
    return teacher.eval()


def main() -> None:
    """Train, measure on held-out faces, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = prepared(arguments.out)
    faces = open_prepared(prepared_with_rendered(arguments.out, RENDERED, STAGES[-1].stored))
    box, _ = load_model(by_votes(arguments.out, path, studio_faces(arguments.out)))
    ours, _ = outputs(box, open_prepared(path))
    rows = []
    for seed in arguments.seeds:
        teacher = trained(arguments.out, path, arguments.weights, arguments.epochs, seed)
        theirs, labels = said(teacher, faces.dataset("val", eval_transform(faces.size)))
        for share in SHARES:
            mixed = share * theirs + (1 - share) * ours
            found = figures(mixed, labels, torch.zeros(mixed.shape[1]))
            rows.append([str(seed), f"{share:g}", *(f"{value:.3f}" for value in found.values())])
    text = table(["seed", "share of the teacher", "capped", "accuracy", "mean recall"], rows)
    (arguments.out / "teacher.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
