"""Checkpoints that the authors of the paper release (Belharbi et al., FG 2024) -> our classifier.

A checkpoint is `model.pt`, weights only, beside `config_model.yaml`, about 300 settings of the training. CNNs
come as {encoder, classification_head}, TS-CAM and APViT as one flat state dict. Only the weights and what the
configuration says about the network and its guidance are taken over; nothing is unpickled.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aucue.classifiers.backbones import sketched, unfilled
from aucue.classifiers.classifier import Classifier
from aucue.classifiers.methods import METHODS
from aucue.classifiers.transformers.ir50 import own_name
from aucue.classifiers.weights import read_torch
from aucue.errors import InputError, said
from aucue.facs import EXPRESSIONS, Codebook
from aucue.guidance.names import AttentionKind, Loss
from aucue.models.card import Card, GuidanceRecord
from aucue.work.files import digest_of
from aucue.work.tables import kind, read_mapping

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Normalisation of the published code, for all of its networks."""

# Published method -> our method, and the head where it is not the method's own.
_METHODS: Mapping[str, tuple[str, str | None]] = {
    "CAM": ("cam", None),
    "GradCam": ("gradcam", None),
    "GradCAMpp": ("gradcam++", None),
    "LayerCAM": ("layercam", None),
    "WILDCAT": ("wildcat", None),
    "ACoL": ("acol", None),
    "PRM": ("prm", None),
    "ADL": ("adl", None),
    "CutMIX": ("cutmix", None),
    "GAP": ("cam", "gap"),
    "MaxPOL": ("cam", "max"),
    "LogSumExp": ("cam", "logsumexp"),
    "TSCAM": ("ts-cam", None),
    "APVIT": ("apvit", None),
}
_LOSSES: Mapping[str, Loss] = {
    "cosine": "cosine",
    "l1": "l1",
    "l2": "l2",
    "kl": "kl",
    "std_cosine": "standardized-cosine",
}
_WHOLE: Mapping[str, AttentionKind] = {
    "avg": "mean",
    "avg_half_left": "first-half",
    "avg_half_right": "second-half",
}
_SHARES: Mapping[str, tuple[str, AttentionKind]] = {
    "random_avg": ("p", "random-share"),
    "avg_fixed_q": ("q", "first-share"),
}
# Settings that change the network, with the one value that we build.
_REQUIRED = {
    "task": "STD_CL",
    "model.support_background": False,
    "model.do_segmentation": False,
    "model.scale_in": 1.0,
    "dense_dims": None,
    "prm_st": 1,
    "model.apvit_attn_method": "SUM_ABS_1",
    "model.apvit_normalize_att": False,
    "model.apvit_apply_self_att": False,
}
_KEPT = (
    "method",
    "dataset",
    "exp_id",
    "MYSEED",
    "max_epochs",
    "batch_size",
    "resize_size",
    "crop_size",
    "amp",
)


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a published `config_model.yaml`.

    Raises:
        InputError: it cannot be read, is no mapping, or has tags beside `!munch.Munch`.
    """
    return read_mapping(path, mapping_tags=("!munch.Munch",))


def import_checkpoint(
    model: str | Path, config: str | Path, classes: Sequence[str] = EXPRESSIONS
) -> tuple[Classifier, Card]:
    """Turn a released checkpoint into a classifier.

    The network is built from the configuration and takes over every tensor of the checkpoint. Where the
    published code departs from a method's own paper, the network follows the code (`Method.fg2024`).

    Args:
        model: `model.pt`.
        config: `config_model.yaml`.
        classes: class names in the order of their published ids (`class_id.yaml`).

    Returns:
        The classifier in evaluation mode, and what belongs to it: codebook `fg2024`, regions `fg2024-224`,
        the weight and the layers of the guidance, and where all comes from.

    Raises:
        InputError: a file cannot be read, the configuration asks for what we do not build, or the tensors are
            not exactly those of the network (each difference is named).
    """
    model, config = Path(model), Path(config)
    settings = _Settings(config)
    settings.check(classes)
    published = _tensors(model)
    with sketched():  # a configuration may ask for a network of any size
        sketch = _build(settings, classes, published)
    names = _fitting(sketch, published, settings, f"{model} does not fit {config}")
    with unfilled():
        classifier = _build(settings, classes, published)
    classifier.load_state_dict({ours: published[name] for ours, name in names.items()})
    return classifier.eval(), _info(classifier, settings, model)


class _Settings:
    """A published configuration, with errors that name file and key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = read_config(path)
        published = self.get("method", str)
        if published not in _METHODS:
            raise InputError(f"{path}: method '{published}' is none of {', '.join(_METHODS)}.")
        self.method, self.head = _METHODS[published]

    @property
    def is_cnn(self) -> bool:
        """Whether the network is a CNN under a head, rather than one of the transformers."""
        return not METHODS[self.method].has_own_backbone

    def get(self, key: str, *kinds: type) -> Any:
        """Value of a key; a dot leads into a mapping."""
        value: Any = self.values
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise InputError(f"{self.path}: '{key}' is missing.")
            value = value[part]
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise InputError(f"{self.path}: '{key}' cannot be {value!r}.")
        return value

    def check(self, classes: Sequence[str]) -> None:
        """Refuse what we do not build."""
        for key, wanted in _REQUIRED.items():
            found = self.get(key)
            if found != wanted and not (wanted is None and found in ("", "None")):
                raise InputError(f"{self.path}: {key} is {found!r}; only {wanted!r} can be imported.")
        number = self.get("num_classes", int)
        if number != len(classes):
            raise InputError(
                f"{self.path}: num_classes is {number}, but {len(classes)} classes are named "
                f"({', '.join(classes)}); give the set's class_id.yaml."
            )

    def backbone(self) -> str:
        """Name of the encoder in timm."""
        name = self.get("model.encoder_name", str)
        if self.method == "apvit" and name == "apvit":
            return "ir50"
        if self.method == "ts-cam" and (found := re.fullmatch(r"deit_tscam_(\w+)", name)):
            return f"ts_cam_deit_{found[1]}"
        if self.is_cnn and re.fullmatch(r"resnet(18|34|50|101|152)", name):
            return name
        raise InputError(f"{self.path}: encoder '{name}' cannot be imported for method '{self.method}'.")

    def head_options(self) -> dict[str, Any]:
        """Arguments of the head that the configuration decides."""
        options = dict(METHODS[self.method].fg2024.get("head_options", {}))
        of_head: dict[str, Callable[[], dict[str, Any]]] = {
            "wildcat": lambda: {
                "modalities": self.get("wc_modalities", int),
                "kmax": self.get("wc_kmax", int, float),
                "kmin": self.get("wc_kmin", int, float),
                "alpha": self.get("wc_alpha", int, float),
            },
            "acol": lambda: {"threshold": self.get("acol_drop_threshold", int, float)},
            "prm": lambda: {"window": self.get("prm_ks", int)},
            "logsumexp": lambda: {"sharpness": self.get("lse_r", int, float)},
            "apvit": lambda: {
                "kept": self.get("model.apvit_k", int),
                "share": self.get("model.apvit_r", int, float),
            },
        }
        return options | of_head.get(self.head or METHODS[self.method].head, dict)()

    def guidance(self, layers: Sequence[str]) -> GuidanceRecord:
        """Settings of the guidance, in our terms; weight 0 where there was none."""
        key = "align_atten_to_heatmap"
        if not self.get(key, bool):
            return GuidanceRecord(weight=0.0, layers=[layers[-1]])
        loss = self.get(f"{key}_loss", str)
        if loss not in _LOSSES:
            raise InputError(f"{self.path}: {key}_loss '{loss}' is none of {', '.join(_LOSSES)}.")
        return GuidanceRecord(
            weight=float(self.get(f"{key}_lambda", int, float)),
            layers=self._guided(layers),
            loss=_LOSSES[loss],
            attention=self._attention(),
        )

    def _guided(self, layers: Sequence[str]) -> list[str]:
        key = "align_atten_to_heatmap_layers"
        if not self.is_cnn:  # these have one layer that can be guided, whatever is written there
            return [layers[-1]]
        numbers = [int(number) for number in re.findall(r"\d+", str(self.get(key)))]
        if not numbers or not all(1 <= number <= len(layers) for number in numbers):
            raise InputError(
                f"{self.path}: {key} must name layers 1 to {len(layers)}, not {self.get(key)!r}."
            )
        return [layers[number - 1] for number in numbers]

    def _attention(self) -> AttentionKind:
        key = "align_atten_to_heatmap"
        name = self.get(f"{key}_align_type", str)
        if name in _WHOLE:
            return _WHOLE[name]
        if name not in _SHARES:
            raise InputError(
                f"{self.path}: {key}_align_type '{name}' is none of {', '.join((*_WHOLE, *_SHARES))}."
            )
        letter, ours = _SHARES[name]
        return "mean" if float(self.get(f"{key}_{letter}", int, float)) == 1 else ours


def _tensors(model: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name; those of CNNs with `encoder.` or `classification_head.` before it."""
    if not model.is_file():
        raise InputError(f"{model}: no such checkpoint.")
    content = read_torch(model)
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"{model}: holds {kind(content)} instead of tensors by name.")
    flat = {}
    for name, value in content.items():
        if isinstance(value, Tensor):
            flat[str(name)] = value
        elif isinstance(value, Mapping) and all(isinstance(entry, Tensor) for entry in value.values()):
            flat.update({f"{name}.{key}": entry for key, entry in value.items()})
        elif value is not None:
            raise InputError(f"{model}: '{name}' is neither a tensor nor a state dict.")
    return flat


def _build(settings: _Settings, classes: Sequence[str], published: Mapping[str, Tensor]) -> Classifier:
    size = settings.get("crop_size", int)
    large = settings.is_cnn and settings.get("model.large_maps", bool)
    if settings.method == "apvit":
        # its position embeddings decide the size of the images, whatever they are cropped to
        positions = published.get("vit.patch_pos_embed", torch.empty(1, 14 * 14, 0))
        size = 8 * round(positions.shape[1] ** 0.5) if positions.ndim == 3 else size
    backbone, options = settings.backbone(), settings.head_options()
    try:
        return Classifier(
            backbone,
            classes,
            head=settings.head,
            input_size=size,
            final_stride=8 if large else None,
            mean=MEAN,
            std=STD,
            method=settings.method,
            head_options=options,
        )
    except InputError as error:
        raise InputError(f"{settings.path}: its network cannot be built: {said(error)}.") from error


def _fitting(
    classifier: Classifier, published: Mapping[str, Tensor], settings: _Settings, what: str
) -> dict[str, str]:
    """The published name of each of our tensors; an error that names those that do not fit."""
    names = _names(published, settings)
    wanted = classifier.state_dict()
    theirs = {ours: name for name, ours in names.items()}
    problems = {
        "missing (our names)": [name for name in wanted if name not in theirs],
        "not part of the network": [name for name, ours in names.items() if ours not in wanted],
        "of another shape": [
            f"{name} {tuple(published[name].shape)} instead of {tuple(wanted[ours].shape)}"
            for name, ours in names.items()
            if ours in wanted and published[name].shape != wanted[ours].shape
        ],
    }
    if any(problems.values()):
        listed = (f"{kind}: {', '.join(which)}" for kind, which in problems.items() if which)
        raise InputError(f"{what} (method {settings.get('method')}); {'; '.join(listed)}.")
    return theirs


def _names(published: Mapping[str, Tensor], settings: _Settings) -> dict[str, str]:
    """Our name of each published tensor."""
    if settings.method == "apvit":
        return {name: _apvit_name(name) for name in published}
    if settings.method == "ts-cam":
        return {name: re.sub(r"^head\.", "head.conv.", _in_backbone(name, "head.")) for name in published}
    blocks = _adl_blocks(published) if settings.method == "adl" else {}
    return {name: _cnn_name(name, blocks) for name in published}


def _in_backbone(name: str, head: str) -> str:
    return name if name.startswith(head) else f"backbone.{name}"


def _apvit_name(name: str) -> str:
    if name.startswith("extractor."):
        return "backbone." + own_name(name.removeprefix("extractor."))
    for theirs, ours in _APVIT:
        name = re.sub(theirs, ours, name)
    return name


_APVIT = (
    (r"^vit\.cls_token$", "head.class_token"),
    (r"^vit\.cls_pos_embed$", "head.class_position"),
    (r"^vit\.patch_pos_embed$", "head.patch_positions"),
    (r"^vit\.projs\.0\.", "head.tokens."),
    (r"^vit\.(blocks|norm)\.", r"head.\1."),
    (r"^classification_head\.", "head."),
)


_PARTS = {"encoder": "backbone", "classification_head": "head"}


def _cnn_name(name: str, blocks: Mapping[str, str]) -> str:
    name = re.sub(
        r"^encoder\.(layer\d+\.\d+)\.", lambda found: f"encoder.{blocks.get(found[1], found[1])}.", name
    )
    name = re.sub(r"\bacol_pooler\.classifier_([AB])\.", lambda found: f"branch_{found[1].lower()}.", name)
    return re.sub(r"^classification_head\.", "head.", re.sub(r"^encoder\.", "backbone.", name))


def _adl_blocks(published: Mapping[str, Tensor]) -> dict[str, str]:
    """Number of each residual block, without the parameter-free ADL modules that are counted between them."""
    stages: dict[str, set[int]] = {}
    for name in published:
        if found := re.match(r"encoder\.(layer\d+)\.(\d+)\.", name):
            stages.setdefault(found[1], set()).add(int(found[2]))
    return {
        f"{stage}.{counted}": f"{stage}.{number}"
        for stage, numbers in stages.items()
        for number, counted in enumerate(sorted(numbers))
    }


def _info(classifier: Classifier, settings: _Settings, model: Path) -> Card:
    values = settings.values
    training = {
        key: values[key] for key in values if key in _KEPT or key.startswith("align_atten_to_heatmap")
    }
    return Card(
        classes=classifier.classes,
        template="fg2024",
        codebook=Codebook.load("fg2024").to_dict(),
        regions="fg2024-224",  # the published code draws on crops of 224 pixels, which APViT sees at 112
        guidance=settings.guidance(classifier.layers),
        method=settings.method,
        provenance={
            "imported_from": {
                "checkpoint": model.name,
                "sha256": digest_of(model),
                "configuration": settings.path.name,
            },
            "paper": "Belharbi et al., FG 2024, arXiv 2402.00281",
            "published_settings": {**training, "model": dict(settings.get("model", Mapping))},
        },
    )
