"""The methods of the paper and ours, one row each: backbone, head, regulariser, read-out and guided layer.

A method is a choice among parts that exist on their own. Help texts, tests and docs/methods.md are made from
this table, which needs no torch: it holds the names of its parts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aucue.cams.names import READOUT_NAMES
from aucue.errors import InputError

_RESNET = "resnet50"


@dataclass(frozen=True)
class Method:
    """One weakly supervised localisation method.

    Attributes:
        name: key in `METHODS`.
        title: name in print.
        authors: who published it first.
        venue: where.
        year: when.
        url: the paper.
        summary: what it is, in a sentence or two.
        logit: the logit of a class, in LaTeX.
        formula: its class map, in LaTeX.
        backbone: network of the published experiments, as timm names it or as we register it with timm.
        has_weights: whether timm has weights of that network to start from.
        input_size: side of the published input, in pixels.
        final_stride: published stride of the last feature map; None where the backbone has its own.
        head: key in `HEADS`.
        head_options: further arguments of the head.
        regulariser: key in `REGULARISERS`, or None.
        readout: key in `aucue.cams.READOUTS`; "cam" is the head's own class map.
        layer: guided layer, counted from the last one (-1).
        fg2024: settings of `Classifier` with which the published code is met where it departs from the
            method's own paper.
        departs: in words, where it does.
        in_paper: whether it is one of the eleven of Belharbi et al.
    """

    name: str
    title: str
    authors: str
    venue: str
    year: int
    url: str
    summary: str
    logit: str
    formula: str
    backbone: str = _RESNET
    has_weights: bool = True
    input_size: int = 224
    final_stride: int | None = 8
    head: str = "wgap"
    head_options: Mapping[str, Any] = field(default_factory=dict)
    regulariser: str | None = None
    readout: str = "cam"
    layer: int = -1
    fg2024: Mapping[str, Any] = field(default_factory=dict)
    departs: str = ""
    in_paper: bool = True

    @property
    def citation(self) -> str:
        """Authors, venue and year."""
        return f"{self.authors}, {self.venue} {self.year}"

    @property
    def has_own_backbone(self) -> bool:
        """Whether the method comes with a network of its own rather than with a head for any."""
        return self.backbone != _RESNET

    @property
    def default_backbone(self) -> str:
        """The network where none is asked for: the method's own, else a small one."""
        return self.backbone if self.has_own_backbone else "resnet18"

    def shares_network_with(self, other: "Method") -> bool:
        """Whether both are read-outs of the same trained network, guided at the same layer."""
        return self._network == other._network

    @property
    def _network(self) -> tuple[Any, ...]:
        return self.backbone, self.head, dict(self.head_options), self.regulariser, self.layer


_GAP_LOGIT = r"y_c = \sum_k w_{ck}\, \mathrm{mean}(F_k) + b_c"

_ROWS = (
    Method(
        name="cam",
        title="CAM",
        authors="Zhou et al.",
        venue="CVPR",
        year=2016,
        url="https://arxiv.org/abs/1512.04150",
        summary="A linear layer on averaged features; its weights, applied before the "
        "averaging, say which class each cell speaks for.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \sum_k w_{ck} F_k",
    ),
    Method(
        name="wildcat",
        title="WILDCAT",
        authors="Durand et al.",
        venue="CVPR",
        year=2017,
        url="https://openaccess.thecvf.com/content_cvpr_2017/html/Durand_WILDCAT_Weakly_Supervised_CVPR_2017_paper.html",
        summary="Several maps per class, averaged; the logit weighs the most and the least convincing cells.",
        logit=r"y_c = \tfrac{1}{2}\big(\mathrm{mean}_{k_{\max}} M_c "
        r"+ \alpha\, \mathrm{mean}_{k_{\min}} M_c\big)",
        formula=r"M_c = \frac{1}{M} \sum_m (w_{cm}^\top F + b_{cm})",
        head="wildcat",
        fg2024={"head_options": {"variant": "fg2024"}},
        departs="only the mean of the highest cells makes the logit; kmin and alpha have no effect.",
    ),
    Method(
        name="gradcam",
        title="GradCAM",
        authors="Selvaraju et al.",
        venue="ICCV",
        year=2017,
        url="https://arxiv.org/abs/1610.02391",
        summary="Feature maps weighted by the mean gradient of the logit; of the network of "
        "CAM, the positive part of its map.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \mathrm{relu}\Big(\sum_k \mathrm{mean}(g_k) F_k\Big), "
        r"\quad g_k = \partial y_c / \partial F_k",
        readout="gradcam",
    ),
    Method(
        name="gradcam++",
        title="GradCAM++",
        authors="Chattopadhay et al.",
        venue="WACV",
        year=2018,
        url="https://arxiv.org/abs/1710.11063",
        summary="GradCAM with weights that favour small regions of positive gradient.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \mathrm{relu}\Big(\sum_k \big[\sum \alpha_k \mathrm{relu}(g_k)\big] F_k\Big), "
        r"\quad \alpha_k = \frac{g_k^2}{2 g_k^2 + \sum F_k\, g_k^3}",
        readout="gradcam++",
        fg2024={"readout": "gradcam++-fg2024"},
        departs=r"$\alpha_k = g_k^2$ alone, since the result of the division is dropped; this variant is "
        "`gradcam++-fg2024`.",
    ),
    Method(
        name="acol",
        title="ACoL",
        authors="Zhang et al.",
        venue="CVPR",
        year=2018,
        url="https://arxiv.org/abs/1804.06962",
        summary="Two branches of convolutions; what the first needs is hidden from the second, "
        "which has to find more of the object.",
        logit=r"y_c = \mathrm{mean}(A_c)",
        formula=r"M_c = \max(\mathrm{norm}\, A_c, \mathrm{norm}\, B_c)",
        head="acol",
        fg2024={"head_options": {"variant": "fg2024"}},
        departs="the true label decides at test time, too, what is hidden from branch B; "
        "ours takes the predicted class.",
    ),
    Method(
        name="prm",
        title="PRM",
        authors="Zhou et al.",
        venue="CVPR",
        year=2018,
        url="https://arxiv.org/abs/1804.00880",
        summary="Class maps pooled by the highest value of each neighbourhood, so that every peak counts.",
        logit=r"y_c = \mathrm{mean}\big(\mathrm{maxpool}_{3 \times 3} M_c\big)",
        formula=r"M_c = w_c^\top F + b_c",
        head="prm",
        departs="the logit averages every window's maximum, not the peaks alone; ours does the same.",
    ),
    Method(
        name="adl",
        title="ADL",
        authors="Choe and Shim",
        venue="CVPR",
        year=2019,
        url="https://arxiv.org/abs/1908.10028",
        summary="CAM, with layers that in training hide or stress what the network attends to.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \sum_k w_{ck} F_k",
        regulariser="adl",
        fg2024={"readout": "adl-fg2024"},
        departs="reads the class map one block before the last, which is the read-out `adl-fg2024`, and "
        "shifts the initial weights by one block; ours reads the last layer and keeps weights in place.",
    ),
    Method(
        name="cutmix",
        title="CutMix",
        authors="Yun et al.",
        venue="ICCV",
        year=2019,
        url="https://arxiv.org/abs/1905.04899",
        summary="CAM, trained on pictures into which a box of another picture is pasted, labels "
        "and cues with it.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \sum_k w_{ck} F_k",
        regulariser="cutmix",
        layer=-2,
    ),
    Method(
        name="layercam",
        title="LayerCAM",
        authors="Jiang et al.",
        venue="TIP",
        year=2021,
        url="https://doi.org/10.1109/TIP.2021.3089943",
        summary="Each cell weighted by its own positive gradient, which keeps detail in shallow layers.",
        logit=_GAP_LOGIT,
        formula=r"M_c = \mathrm{relu}\Big(\sum_k \mathrm{relu}(g_k) \odot F_k\Big)",
        readout="layercam",
    ),
    Method(
        name="ts-cam",
        title="TS-CAM",
        authors="Gao et al.",
        venue="ICCV",
        year=2021,
        url="https://arxiv.org/abs/2103.14862",
        summary="Class maps of a vision transformer's patch tokens, times what its class token attends to.",
        logit=r"y_c = \mathrm{mean}(S_c)",
        formula=r"M_c = \Big(\sum_l A^{(l)}_{\mathrm{cls} \to \mathrm{patch}}\Big) \odot S_c",
        backbone="ts_cam_deit_small_patch16_224",
        final_stride=None,
        head="ts-cam",
    ),
    Method(
        name="apvit",
        title="APViT",
        authors="Xue et al.",
        venue="IEEE TAC",
        year=2022,
        url="https://arxiv.org/abs/2212.05463",
        summary="A transformer over the features of a face-recognition network that drops "
        "patches and tokens of little weight; its map does not depend on the class.",
        logit=r"y = W\, \mathrm{norm}(z_{\mathrm{cls}}) + b",
        formula=r"M_c = \sum_k |(W F)_k|",
        backbone="ir50",
        has_weights=False,
        input_size=112,
        final_stride=None,
        head="apvit",
    ),
    Method(
        name="units",
        title="Units",
        authors="aucue, after Koh et al.",
        venue="ICML",
        year=2020,
        url="https://arxiv.org/abs/2007.04612",
        summary="Action units first, then the expression, as an expert reads a face: one map per unit that "
        "is never negative, and logits that are sums over the units that the codebook gives an expression.",
        logit=r"y_c = \sum_{u \in c} w_{cu}\, \mathrm{mean}(E_u) + b_c, \quad "
        r"E_u = \mathrm{softplus}(v_u^\top F + d_u)",
        formula=r"M_c = \sum_{u \in c} w_{cu} E_u",
        head="units",
        in_paper=False,
    ),
)

METHODS: Mapping[str, Method] = {row.name: row for row in _ROWS}
"""Methods by name: those of the paper in its order, then ours."""


def method_named(name: str) -> Method:
    """The row of a method.

    Raises:
        InputError: there is no such method.
    """
    if name not in METHODS:
        raise InputError(f"'{name}' is no method; choose from {', '.join(METHODS)}.")
    return METHODS[name]


def readout_for(trained: Method, asked: str | None) -> str:
    """Which read-out to use for a trained network.

    Args:
        trained: the method it was trained as.
        asked: a key of `READOUTS`, or the method itself; None takes the method's own.

    Returns:
        A key of `READOUTS`.

    Raises:
        InputError: what is asked for would take another network.
    """
    if asked is None or asked == trained.name:
        return trained.readout
    if asked not in READOUT_NAMES:
        raise InputError(
            f"A model trained as '{trained.name}' cannot be read out as '{asked}'; "
            f"choose from {', '.join(dict.fromkeys((trained.name, *READOUT_NAMES)))}."
        )
    return asked


def name_of_readout(trained: Method, asked: str | None) -> str:
    """What to call the class maps of a trained network: a method's name, or both names where no row has it.

    Args:
        trained: the method it was trained as.
        asked: as for `readout_for`.
    """
    readout = readout_for(trained, asked)
    if readout == trained.readout:
        return trained.name
    row = METHODS.get(readout)
    return readout if row and row.shares_network_with(trained) else f"{trained.name} read as {readout}"
