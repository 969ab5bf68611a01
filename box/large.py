"""A larger model beside the one in the box: a MobileNet that could tell people apart before.

    python -m box.large --weights DIR --out runs/box [--seeds 0]

DIR is `models` of the npm package @vladmandic/human (MIT), whose `faceres` is a MobileNet v1 (Howard et al.,
2017) that was trained on VGGFace2. Its first blocks and all statistics stay; the rest is trained on the faces
and with the recipe of the model in the box. Measured on held-out faces alone: FER+'s last tenth and the
training part of `london`. Everything resumes.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from aucue._quickly import timm
from aucue.classifiers import Classifier
from aucue.data import open_prepared
from aucue.training import ClassifierSettings, OptimizerSettings, TrainConfig, fit
from aucue.training.config import TrainerSettings
from aucue.work.files import appearing
from box.tensorflow_js import read_tensors
from box.train import RENDERED, Continuing, Stage, log_frequency, mirroring, outputs, studio_faces
from box.trials import HEADS, row
from experiments.doc_tables import table
from experiments.ferplus_set import prepared, prepared_with_rendered

BACKBONE, OPTIONS = "mobilenetv1_100", {"pad_type": "same"}

STAGE = Stage(144, 12, lr=3e-4, stored=96)

KEPT = ("backbone.conv_stem.", "backbone.bn1.", "backbone.blocks.0.", "backbone.blocks.1.")
"""What is not trained: edges and spots, at half of the time of a step."""

MEAN = (103.939, 116.779, 123.68)
"""What `faceres` takes away from blue, green and red in [0, 255]."""


def settings(faces: Path, weights: Path, out: Path, seed: int) -> TrainConfig:
    """Settings of the training.

    Args:
        faces: Prepared set.
        weights: What `converted` has written.
        out: Folder of the training.
        seed: Of head, order and augmentation.
    """
    network = ClassifierSettings(
        backbone=BACKBONE,
        weights=str(weights),
        input_size=STAGE.size,
        final_stride=16,
        options=OPTIONS,
        grey=True,
    )
    return replace(
        STAGE.settings(faces, out),
        classifier=network,
        optimizer=OptimizerSettings(lr=STAGE.lr, head_lr=10.0),
        trainer=TrainerSettings(precision="bf16-mixed"),
        seed=seed,
    )


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of `faceres`, by their names there."""
    (group,) = json.loads((folder / "faceres.json").read_text())["weightsManifest"]
    return read_tensors(group["weights"], (folder / "faceres.bin").read_bytes())


@torch.no_grad()
def put(weights: Mapping[str, Tensor], network: Any) -> None:
    """Give timm's `mobilenetv1_100` the weights of `read_weights`.

    Those hold what the statistics were folded into, and expect pixels without `MEAN`, where ours are
    normalised by timm: that is made up for in the first convolution.
    """
    layers = {"conv1": (network.conv_stem, network.bn1)}
    for number, block in enumerate((block for stage in network.blocks for block in stage), 1):
        layers[f"conv_dw_{number}"] = (block.conv_dw, block.bn1)
        layers[f"conv_pw_{number}"] = (block.conv_pw, block.bn2)
    for name, (convolution, norm) in layers.items():
        narrow = "_dw_" in name
        kernel = weights[f"{name}/depthwise_kernel" if narrow else f"{name}/convolution/merged_input"]
        convolution.weight.copy_(kernel.permute(2, 3, 0, 1) if narrow else kernel.permute(3, 2, 0, 1))
        norm.weight.copy_(weights[f"{name}_bn/batchnorm_1/mul"] if narrow else torch.ones(kernel.shape[3]))
        norm.weight.mul_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(weights[f"{name}_bn/batchnorm_1/sub"])
    cfg = network.pretrained_cfg
    mean, std = (255 * torch.tensor(cfg[name]) for name in ("mean", "std"))
    first, norm = layers["conv1"]
    more = torch.einsum("ochw,c->o", first.weight, mean - torch.tensor(MEAN))
    norm.bias.add_(more * norm.weight / (norm.running_var + norm.eps).sqrt())
    first.weight.mul_(std[:, None, None])


def converted(folder: Path, out: Path) -> Path:
    """`faceres` as a file of weights for timm; made once."""
    if not out.exists():
        network = timm.create_model(BACKBONE, num_classes=0, **OPTIONS)
        put(read_weights(folder), network)
        with appearing(out) as unfinished:
            save_file(network.state_dict(), unfinished)
    return out


class Kept(Continuing):
    """Trains neither `KEPT` nor statistics.

    Args:
        classifier: The network.
        config: Its settings.
        photographs: As in `Continuing`.
    """

    def __init__(self, classifier: Classifier, config: TrainConfig, photographs: Path) -> None:
        super().__init__(classifier, config, None, photographs)
        for name, value in self.classifier.named_parameters():
            if name.startswith(KEPT):
                value.requires_grad_(False)

    def on_train_epoch_start(self) -> None:
        """Let statistics be."""
        super().on_train_epoch_start()
        for module in self.classifier.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def trained(out: Path, photographs: Path, weights: Path, seed: int = 0) -> Path:
    """Its model file, trained unless it is there.

    Args:
        out: Folder of the training, and of the faces.
        photographs: Prepared set of the photographs alone.
        weights: Folder of `faceres`.
        seed: Of head, order and augmentation.
    """
    faces = prepared_with_rendered(out, RENDERED, STAGE.stored)
    start = converted(weights, out / "faceres.safetensors")
    config = settings(faces, start, out / f"large-{seed}", seed)
    return fit(config, progress=False, module=partial(Kept, photographs=photographs))


def main() -> None:
    """Train, measure on held-out faces, tabulate."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/box"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    out: Path = arguments.out
    photographs, studio = prepared(out), studio_faces(out)
    models = {f"seed {seed}": trained(out, photographs, arguments.weights, seed) for seed in arguments.seeds}
    sets = open_prepared(photographs), open_prepared(studio)
    rare, classes = -log_frequency(sets[0]), sets[0].classes
    rows = []
    for name, path in models.items():
        found = [outputs(mirroring(path)[0], its) for its in sets]
        rows.append(row(name, found, rare, classes))
    print(table(HEADS, rows))


if __name__ == "__main__":
    main()
