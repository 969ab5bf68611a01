"""Read-outs by name: class maps from features and a head, in closed form where there is one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from aucue.cams.cam import class_activation_map
from aucue.cams.contract import (
    LogitHead,
    ReadOut,
    Rerun,
    class_gradients,
    column,
    gap_weight,
    graph_start,
    pooled_gradients,
)
from aucue.cams.gradients import gradcam, gradcam_plus_plus, gradcam_plus_plus_fg2024, layercam, xgradcam
from aucue.cams.scores import ScoreReadOut, SmoothReadOut, as_it_is, in_steps, with_noise
from aucue.errors import InputError


@dataclass(frozen=True)
class ClassMapReadOut(ReadOut):
    """CAM: the class maps of the head itself, or of its linear layer."""

    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """See `ReadOut`."""
        weight, own = gap_weight(head), getattr(head, "class_maps", None)
        with torch.set_grad_enabled(differentiable):
            if weight is not None:
                return class_activation_map(features, weight, classes)
            if own is None:
                raise InputError(
                    "CAM needs a head of average pooling and a linear layer (gap_weight) or one with class "
                    "maps of its own (class_maps): choose a gradient read-out, such as gradcam, for this one."
                )
            maps = own(features)
            return maps if classes is None else maps.take_along_dim(column(maps, classes)[..., None, None], 1)


@dataclass(frozen=True)
class EarlierReadOut(ReadOut):
    """CAM of the features one block before those that the head reads, by the weights of its linear layer."""

    offered: ClassVar[bool] = False

    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """See `ReadOut`."""
        weight = gap_weight(head)
        if rerun is None or rerun.earlier is None or weight is None:
            raise InputError(
                f"{self.title} needs a network of ours with average pooling and a linear layer; of another "
                "one, name the layer that is to be read, and read it by 'cam'."
            )
        with torch.set_grad_enabled(differentiable):
            return class_activation_map(rerun.earlier(rerun.images), weight, classes)

    def reruns(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return True


@dataclass(frozen=True)
class GradientReadOut(ReadOut):
    """A read-out from gradients with respect to the features.

    All classes at once cost one matrix product if the head has a `gap_weight`, and else one backward pass
    through the head per class.

    Attributes:
        maps: From features (B, C, h, w) and gradients, (B, C, h, w) or (B, K, C, h, w), to class maps.
    """

    maps: Callable[[Tensor, Tensor], Tensor]

    def __call__(
        self,
        features: Tensor,
        head: LogitHead,
        classes: Tensor | None = None,
        *,
        differentiable: bool = False,
        rerun: Rerun | None = None,
    ) -> Tensor:
        """See `ReadOut`."""
        weight = gap_weight(head)
        if weight is None:
            return self._by_autograd(features, head, classes, differentiable)
        with torch.set_grad_enabled(differentiable):
            return self.maps(features, pooled_gradients(features, weight, classes))

    def needs_gradient(self, head: LogitHead) -> bool:
        """See `ReadOut`."""
        return gap_weight(head) is None

    def _by_autograd(
        self, features: Tensor, head: LogitHead, classes: Tensor | None, differentiable: bool
    ) -> Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            start = features if differentiable and features.requires_grad else graph_start(features)
            logits = head(start.clone())  # the head may begin with an operation in place
            gradients = class_gradients(logits, start, classes, differentiable)
            read = start if differentiable else start.detach()
            return torch.cat([self.maps(read, gradient) for gradient in gradients], 1)


READOUTS: Mapping[str, ReadOut] = MappingProxyType(
    {
        readout.name: readout
        for readout in (
            ClassMapReadOut(
                "cam", "CAM", "sum_k w_ck F_k", "Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150"
            ),
            GradientReadOut(
                "gradcam",
                "GradCAM",
                "relu(sum_k mean(g_k) F_k)",
                "Selvaraju et al., ICCV 2017, https://arxiv.org/abs/1610.02391",
                gradcam,
            ),
            GradientReadOut(
                "gradcam++",
                "GradCAM++",
                "relu(sum_k sum(alpha_k relu(g_k)) F_k), alpha_k = g_k^2 / (2 g_k^2 + sum(F_k) g_k^3)",
                "Chattopadhay et al., WACV 2018, https://arxiv.org/abs/1710.11063",
                gradcam_plus_plus,
            ),
            GradientReadOut(
                "gradcam++-fg2024",
                "GradCAM++ (published code)",
                "relu(sum_k sum(alpha_k relu(g_k)) F_k), alpha_k = g_k^2: the division is missing",
                "Belharbi et al., FG 2024, https://arxiv.org/abs/2402.00281, its code",
                gradcam_plus_plus_fg2024,
            ),
            GradientReadOut(
                "layercam",
                "LayerCAM",
                "relu(sum_k relu(g_k) F_k)",
                "Jiang et al., IEEE TIP 2021, https://doi.org/10.1109/TIP.2021.3089943",
                layercam,
            ),
            GradientReadOut(
                "xgradcam",
                "XGradCAM",
                "relu(sum_k [sum(g_k F_k) / sum(F_k)] F_k)",
                "Fu et al., BMVC 2020, https://arxiv.org/abs/2008.02312",
                xgradcam,
            ),
            EarlierReadOut(
                "adl-fg2024",
                "ADL (published code)",
                "sum_k w_ck F_k with the F_k one block before the last one",
                "Belharbi et al., FG 2024, https://arxiv.org/abs/2402.00281, its code",
            ),
            SmoothReadOut(
                "smoothgradcam++",
                "Smooth GradCAM++",
                "GradCAM++ with the means of g_k, g_k^2 and g_k^3 over 4 copies of the image with noise",
                "Omeiza et al., 2019, https://arxiv.org/abs/1908.01224",
            ),
            ScoreReadOut(
                "scorecam",
                "ScoreCAM",
                "relu(sum_k p_k F_k), p_k the probability of the class where F_k in [0, 1] masks the image",
                "Wang et al., CVPRW 2020, https://arxiv.org/abs/1910.01279",
                as_it_is,
            ),
            ScoreReadOut(
                "ss-cam",
                "SS-CAM",
                "ScoreCAM with the mean of p_k over 35 masks with noise",
                "Naidu et al., 2020, https://arxiv.org/abs/2006.14255",
                with_noise,
            ),
            ScoreReadOut(
                "is-cam",
                "IS-CAM",
                "ScoreCAM with the mean of p_k over 10 masks that grow brighter",
                "Naidu et al., 2020, https://arxiv.org/abs/2010.03023",
                in_steps,
            ),
        )
    }
)
"""All read-outs by name."""
