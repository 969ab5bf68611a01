"""The settings of a training: plain dataclasses, one per concern, documented where they are defined."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from aucue.classifiers.methods import METHODS
from aucue.models.card import GuidanceRecord

CONFIGS = Path(__file__).with_name("configs")
"""Folder of the settings that come with aucue."""

if TYPE_CHECKING:
    MethodName = str
else:
    MethodName = Literal[tuple(METHODS)]


@dataclass
class DataSettings:
    """Which faces are trained on, and how they reach the network.

    Attributes:
        path: folder of a prepared set (`aucue prepare`).
        holdout: share of the training split that selects the model when the set has no `val` split;
            stratified by label, never splitting a person.
        augment: `published` (random rotation, crop, mirror, grey, jitter, erasing; picture by picture), its
            `geometric` half, which short trainings from scratch prefer, `strong` for long trainings that have
            to hold on other cameras (these two on whole batches, which is faster), or `none`.
        batch_size: samples per optimisation step on each device.
        workers: loader processes; null chooses what fits this machine. The result does not depend on it.
        erase: what fills the rectangles that `published` erases: `black`, or `noise` as published, normal
            with the mean and the deviation of ImageNet's colours.
    """

    path: str
    holdout: float = 0.1
    augment: Literal["published", "strong", "geometric", "none"] = "published"
    batch_size: int = 64
    workers: int | None = None
    erase: Literal["black", "noise"] = "black"

    def __post_init__(self) -> None:
        """One spelling of `path`: `./set/` is no other set than `set`."""
        if isinstance(self.path, str) and self.path:
            self.path = Path(self.path).as_posix()  # keeps `..`, which behind a link leads elsewhere


@dataclass
class ClassifierSettings:
    """The network: a method on a timm backbone.

    Attributes:
        method: weakly supervised localisation method, which says head, regulariser, read-out and guided
            layer. cam, gradcam, gradcam++ and layercam train the same network.
        backbone: name of a timm model; null takes resnet18, or the method's own network (ts-cam, apvit).
        pretrained: start from timm's published weights (needs its source or a cached copy).
        weights: start from this instead: a trained model (`box`, a model file or `hf:OWNER/NAME`), which
            gives the head, too, for the classes that it knows; or the weights of a backbone (.safetensors, or
            a .pth of plain tensors).
        head_weights: start the transformer of apvit's head from this local file of a vision transformer of
            timm, as published, beside the face network's of `weights`.
        input_size: side of the square input in pixels.
        final_stride: input pixels per cell of the last feature map; smaller gives finer maps and costs time.
            null keeps the backbone's own (mostly 32); so do methods with a network of their own.
        options: further arguments of the timm model.
        head: gap, max or logsumexp instead of weighted GAP, in methods that have that; null takes the
            method's.
        head_options: further arguments of the head.
        grey: let the network see brightness only; for training pictures that are grey.
        local_from: layer from which on all kernels are 1 x 1, so that a cell of the maps speaks of its own
            part of the face alone; null leaves them. Faster, and less accurate.
        blur: smooth maps before a stride makes them smaller, so that fewer answers change where a face is
            shifted a little; hardly slower.
        exposure: mean brightness, of 1, to which darker faces are brought before the network reads them; 0
            leaves them. The model in the box has .3.
    """

    method: MethodName = "cam"
    backbone: str | None = None
    pretrained: bool = False
    weights: str | None = None
    head_weights: str | None = None
    input_size: int = 112
    final_stride: int | None = 8
    options: dict[str, Any] = field(default_factory=dict)
    head: str | None = None
    head_options: dict[str, Any] = field(default_factory=dict)
    grey: bool = False
    local_from: str | None = None
    blur: bool = False
    exposure: float = 0.0


@dataclass(frozen=True)
class GuidanceSettings(GuidanceRecord):
    """Where the network is asked to look, and what draws that.

    Attributes:
        codebook: `facs`, `fg2024` or a YAML file.
        regions: what draws the action units: `anatomical`, `fg2024`, `fg2024-224` or a YAML file;
            `fg2024-224` draws those of the published code as they look at 224 pixels, whatever the input's
            size. A table of one's own travels with the model file.
        cue_size: `attention` draws the cue on the very grid of the attention; `input` draws it at the input's
            size and resizes it as published, which shifts it by up to one cell (see `resize_map`).
        drawn: `moved` draws the cue of landmarks that augmentation has moved with the picture; `stored` draws
            it at the input's size of those that were stored and moves the map with the picture (published).
    """

    codebook: str = "facs"
    regions: str = "anatomical"
    cue_size: Literal["attention", "input"] = "attention"
    drawn: Literal["moved", "stored"] = "moved"

    def record(self, layers: Sequence[str]) -> GuidanceRecord:
        """What a model's card keeps of it.

        Args:
            layers: the layers that were aligned.
        """
        kept = {entry.name: getattr(self, entry.name) for entry in fields(GuidanceRecord)}
        return GuidanceRecord(**{**kept, "layers": list(layers)})


@dataclass
class OptimizerSettings:
    """Optimiser and learning-rate schedule.

    Attributes:
        name: `adamw`, or `sgd` with Nesterov momentum.
        lr: highest learning rate.
        weight_decay: decoupled for adamw, L2 for sgd.
        decay: which parameters it holds for: `weights` spares biases and normalisation scales, `all` does
            not, as published.
        head_lr: learning rate of the head, as a multiple of `lr`.
        clip_norm: largest norm of the gradient, which is shortened to it; null does not clip.
        momentum: of sgd.
        schedule: `cosine` falls to zero over all epochs after a linear warm-up; `step` multiplies as below.
        warmup_epochs: epochs of linear warm-up (cosine only).
        step_epochs: epochs between two steps (step only).
        step_factor: factor of one step (step only).
    """

    name: Literal["adamw", "sgd"] = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.05
    decay: Literal["weights", "all"] = "weights"
    head_lr: float = 1.0
    clip_norm: float | None = None
    momentum: float = 0.9
    schedule: Literal["cosine", "step"] = "cosine"
    warmup_epochs: float = 1.0
    step_epochs: int = 4
    step_factor: float = 0.9


@dataclass
class TrainerSettings:
    """Hardware and precision, handed to Lightning.

    Attributes:
        device: where it runs: `auto` (a CUDA GPU if there is one), `cpu`, `cuda`, `cuda:1`, `mps`, or several
            of them: `4xcuda`, on each machine.
        num_nodes: machines.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.
        logger: where figures are logged while it runs: `csv`, `tensorboard`, `wandb`, `mlflow`, with commas
            between, or `none`. wandb and mlflow have to be installed; what they send where is theirs.
    """

    device: str = "auto"
    num_nodes: int = 1
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    logger: str = "csv,tensorboard"


@dataclass
class TrainConfig:
    """Everything a training depends on; the same settings give the same weights on a CPU.

    Attributes:
        out: folder for model, checkpoints and logs.
        data: the faces.
        classifier: the network.
        guidance: the cue and its weight.
        optimizer: optimiser and schedule.
        trainer: hardware and precision.
        teacher: a trained model (`box`, a model file or `hf:OWNER/NAME`) whose answers to the training faces
            are learnt in the place of their labels (distillation, Hinton et al. 2015); `start` is the one
            that the training starts from, which keeps what it says while guidance changes its maps; null
            learns the labels. Guidance goes by the labels in any case.
        epochs: passes over the training split.
        select: figure that chooses the epoch whose weights are kept; `last` keeps the last epoch.
        select_on: where that figure is measured: `holdout` (the `val` split, or a part of `train`), or `test`
            as published, which makes every test figure of that model an optimistic one.
        select_times: how often in an epoch that figure is measured, evenly spread.
        balance: how far the frequencies of the classes are compensated (tau of logit adjustment, Menon et
            al., ICLR 2021): 1 trains for classes of equal frequency, 0 for those of the training faces.
        class_weights: weights of the classes in the cross-entropy: `none`, or `balanced`, the inverse of
            their frequencies.
        label_smoothing: share of the target that is spread evenly over all classes.
        seed: of initial weights, order and augmentation.
    """

    out: str
    data: DataSettings
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    guidance: GuidanceSettings = field(default_factory=GuidanceSettings)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    trainer: TrainerSettings = field(default_factory=TrainerSettings)
    teacher: str | None = None
    epochs: int = 20
    select: Literal["accuracy", "balanced_accuracy", "last"] = "accuracy"
    select_on: Literal["holdout", "test"] = "holdout"
    select_times: int = 1
    balance: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    label_smoothing: float = 0.0
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Settings as nested plain values, ready for YAML or JSON."""
        return asdict(self)
