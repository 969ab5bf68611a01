"""What frozen features of face recognition know of expressions, alone and beside the model in the box.

    python -m box.recognition --weights DIR --data SET --out runs/recognition

DIR holds the network of dlib (dlib_face_recognition_resnet_model_v1, CC0) as the npm package
@vladmandic/face-api has it: face_recognition_model.bin and its manifest. Its features of some training faces
of FER+ (SET is what `ferplus_set.prepared` makes) are given to linear classifiers, which are measured on the
held-out faces, the last tenth of the training part. No test part is read.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional

from aucue.data import FaceDataset, eval_transform, open_prepared
from aucue.metrics.classification import classification_report, confusion_counts
from aucue.models import boxed_model, load_model
from aucue.training.calibrating import answers
from box.tensorflow_js import read_tensors
from experiments.doc_tables import table

FACES = 4000
MEAN = (122.782, 117.001, 104.298)
SIDE = 150
INNER = 134
"""Our crops in the network's input: eyes as far apart as in those it was trained on."""

STRENGTHS = (1e-4, 1e-3, 1e-2)
"""Inverse regularisations that are tried; half of the held-out faces choose, the other half measures."""

SHARES = (0.3, 0.5, 0.7)
"""Shares of the linear classifier beside the box that are tried, in the same way."""


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of the package: bytes with a scale and an offset for each."""
    (group,) = json.loads((folder / "face_recognition_model-weights_manifest.json").read_text())
    tensors = read_tensors(group["weights"], (folder / "face_recognition_model.bin").read_bytes())
    return {
        name: value.permute(3, 2, 0, 1).contiguous() if name.endswith("filters") else value
        for name, value in tensors.items()
    }


class Recognition(nn.Module):
    """dlib's network: residual blocks, each convolution followed by a scale and an offset per channel.

    Args:
        weights: See `read_weights`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict(dict(weights))
        self.blocks = list(dict.fromkeys(name.split("/")[0] for name in weights))[1:-1]

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        """Features of faces (B, 3, 150, 150) in [0, 255], by name (B, n)."""
        maps = self.maps(faces)
        kept = {
            f"{block}, 3 x 3": functional.adaptive_avg_pool2d(maps[block], 3).flatten(1)
            for block in ("conv128_2", "conv256_2", "conv256_down_out")
        }
        pooled = maps["conv256_down_out"].mean(dim=(2, 3))
        return {"128 numbers": pooled @ self.weights["fc"], "256 channels": pooled, **kept}

    def maps(self, faces: Tensor) -> dict[str, Tensor]:
        """What each block gives (B, C, h, w) of faces (B, 3, S, S) in [0, 255]."""
        seen = self._convolved((faces - torch.tensor(MEAN)[:, None, None]) / 256, "conv32_down", 2).relu()
        seen, found = functional.max_pool2d(seen, 3, 2), {}
        for block in self.blocks:
            seen = found[block] = self._block(seen, block)
        return found

    def _block(self, seen: Tensor, name: str) -> Tensor:
        down = "down" in name
        out = self._convolved(seen, f"{name}/conv1", 2 if down else 1).relu()
        out = self._convolved(out, f"{name}/conv2", 1)
        if down:
            seen = functional.avg_pool2d(seen, 2)
            more = [seen.shape[d] - out.shape[d] for d in (3, 2)]
            out = functional.pad(out, (0, more[0], 0, more[1]))
            seen = functional.pad(seen, (0, 0, 0, 0, 0, out.shape[1] - seen.shape[1]))
        return (out + seen).relu()

    def _convolved(self, seen: Tensor, name: str, stride: int) -> Tensor:
        filters, bias, scale, offset = (
            self.weights[f"{name}/{part}"]
            for part in ("conv/filters", "conv/bias", "scale/weights", "scale/biases")
        )
        padding = 0 if stride == 2 else 1
        scaled = filters * scale[:, None, None, None]  # there is less of them than of what they give
        return functional.conv2d(seen, scaled, bias * scale + offset, stride, padding)


def framed(faces: Tensor, side: int, inner: int) -> Tensor:
    """Aligned faces (B, 3, S, S) uint8 as pictures (B, 3, side, side) in [0, 255], the face `inner` wide."""
    edge = (side - inner) // 2
    scaled = functional.interpolate(faces.float(), (inner, inner), mode="bilinear", align_corners=False)
    return functional.pad(scaled, (edge, edge, 0, side - inner), mode="replicate")


def features(network: Recognition, faces: FaceDataset, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Features of some faces, by name (n, d)."""
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(rows), 50):
        images = torch.stack([faces[int(row)]["image"] for row in rows[start : start + 50]])
        with torch.inference_mode():
            for name, values in network(framed(images, SIDE, INNER)).items():
                found.setdefault(name, []).append(values.numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def scores(chances: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Accuracy and mean recall of probabilities (n, K)."""
    report = classification_report(
        confusion_counts(torch.from_numpy(chances.argmax(1)), torch.from_numpy(labels), chances.shape[1])
    )
    return float(report["accuracy"]), float(report["balanced_accuracy"])


def main() -> None:
    """Extract, fit, measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/recognition"))
    parser.add_argument("--faces", type=int, default=FACES)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.out.mkdir(parents=True, exist_ok=True)
    network, prepared = Recognition(read_weights(arguments.weights)), open_prepared(arguments.data)
    random = np.random.default_rng(arguments.seed)
    plain = {split: prepared.dataset(split, eval_transform(prepared.size)) for split in ("train", "val")}
    chosen = {
        "train": np.sort(random.choice(len(plain["train"]), arguments.faces, replace=False)),
        "val": np.arange(len(plain["val"])),
    }
    cached = arguments.out / f"features-{arguments.faces}-{arguments.seed}.pt"
    if not cached.exists():
        torch.save({s: features(network, plain[s], chosen[s]) for s in plain}, cached)
    found = torch.load(cached, weights_only=False)
    labels = {split: np.asarray(plain[split].labels)[chosen[split]].astype(np.int64) for split in plain}
    box, _ = load_model(boxed_model())
    logits, _ = answers(box, prepared.dataset("val", eval_transform(box.input_size)))
    beside = logits.log_softmax(1).numpy()
    first = random.random(len(beside)) < 0.5  # chooses; the others measure
    rows = [["the box alone", "", "", *_said(scores(beside[~first], labels["val"][~first]))]]
    for name in found["train"]:
        tried = {}
        for strength in STRENGTHS:
            linear = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=300))
            linear.fit(found["train"][name], labels["train"])
            tried[strength] = linear.predict_log_proba(found["val"][name])
        strength = max(tried, key=lambda s: scores(tried[s][first], labels["val"][first])[0])
        alone = tried[strength]
        both = {share: share * alone + (1 - share) * beside for share in SHARES}
        share = max(both, key=lambda s: scores(both[s][first], labels["val"][first])[0])
        rows.append([name, f"{strength:g}", "", *_said(scores(alone[~first], labels["val"][~first]))])
        rows.append(
            [
                f"{name}, with the box",
                f"{strength:g}",
                f"{share:g}",
                *_said(scores(both[share][~first], labels["val"][~first])),
            ]
        )
    text = table(["features", "C", "share", "accuracy", "mean recall"], rows)
    (arguments.out / "figures.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def _said(figures: tuple[float, float]) -> list[str]:
    return [f"{value:.3f}" for value in figures]


if __name__ == "__main__":
    main()
