"""A model: a trained network with all that using it takes."""

import os
from dataclasses import replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from aucue.classifiers import Classifier
from aucue.classifiers.methods import readout_for
from aucue.cues import AUCue, Cue, region_model_of
from aucue.errors import InputError
from aucue.facs import ActionUnit, Codebook
from aucue.models.calibration import (
    CalibrationRecord,
    Prior,
    PriorRecord,
    Scale,
    scale_of,
    shifts_for,
    with_mix,
)
from aucue.models.card import Card
from aucue.models.files import boxed_model, load_model, save_model
from aucue.models.looking import Look
from aucue.models.naming import is_box, name_of
from aucue.work.devices import open_device
from aucue.work.files import printable


class Model:
    """A network that names expressions, what it was trained with, and how its maps are read and judged.

    >>> model = Model.load("model.safetensors")            # doctest: +SKIP
    >>> look = model.look(images)                            # doctest: +SKIP
    >>> cue = model.cue(landmarks, look.predicted)           # doctest: +SKIP
    >>> att_cos, cam_cos = look.agreement(cue, look.predicted)   # doctest: +SKIP

    Args:
        network: The classifier; it is moved to the device and put into evaluation mode.
        card: What belongs to it.
        name: What it is called in tables and pages.
        readout: Read-out of the class maps (`aucue.cams.READOUTS`); None takes the one of the method that the
            network was trained as.
        device: Where the network runs: as torch names it, or "auto" for a CUDA GPU if there is one.
        prior: Mix of expressions that answers are given for: `natural` (as frequent as in the training),
            `even`, a file of shares (YAML), or shares by class; None leaves the answers as they were trained.

    Attributes:
        scale: How logits become probabilities: by the calibration of the card, and the prior.

    Raises:
        InputError: The device, the read-out or the prior cannot be used, or the card's codebook is none.
    """

    def __init__(
        self,
        network: Classifier,
        card: Card,
        name: str = "model",
        readout: str | None = None,
        device: str | torch.device = "auto",
        *,
        prior: Prior | None = None,
    ) -> None:
        self.device = open_device(device)
        self.network = network.to(self.device).eval()
        self.card, self.name = card, printable(name)
        self.readout = readout_for(network.method, readout)
        own = card.codebook
        self.prior = prior
        self.scale: Scale = scale_of(card.calibration, shifts_for(card.prior, network.classes, prior))
        self.codebook = Codebook.load("facs") if own is None else Codebook.from_content(own, "the model")

    @classmethod
    def load(
        cls,
        source: "str | os.PathLike[str] | Model | None" = None,
        readout: str | None = None,
        device: str | torch.device = "auto",
        *,
        prior: Prior | None = None,
    ) -> "Model":
        """Open a model.

        Args:
            source: Model file, `hf:OWNER/NAME`, a model in memory, or `box` or None for the model in the box.
            readout: Read-out of the class maps; None takes the model's own.
            device: Where the network runs; "auto" takes a CUDA GPU if there is one, and leaves a model in
                memory where it is.
            prior: Mix of expressions that answers are given for, see above; None takes that of a model in
                memory.

        Raises:
            InputError: It is no model file of aucue, or as for the constructor.
            HubError: The hub does not give it.
        """
        if isinstance(source, Model):
            how, where = readout or source.readout, source.device if device == "auto" else device
            mix = source.prior if prior is None else prior
            return cls(source.network, source.card, source.name, how, where, prior=mix)
        given = boxed_model() if source is None or is_box(os.fspath(source)) else Path(source)
        return cls(*load_model(given), name_of(given), readout, device, prior=prior)

    def __repr__(self) -> str:
        network, side = self.network.config["backbone"], self.input_size
        return (
            f"<Model {self.name}: {network}, {len(self.classes)} classes, {side} x {side}, {self.readout}, "
            f"{self.card.how_guided}, on {self.device}>"
        )

    def _repr_html_(self) -> str:
        """What it is, as a table, for notebooks."""
        config = self.network.config
        millions = sum(parameter.numel() for parameter in self.network.parameters()) / 1e6
        trained_on = self.card.provenance.get("trained_on") or {}
        calibration = self.card.calibration
        rows = {
            "network": f"{config['backbone']}, {millions:.1f} million parameters, on {self.device}",
            "classes": ", ".join(self.classes),
            "input": f"{self.input_size} x {self.input_size}, {'brightness' if config['grey'] else 'colour'}",
            "class maps": self.readout,
            "guidance": self.card.how_guided,
            "probabilities": "as the network says" if calibration is None else _said_of(calibration),
            "trained on": trained_on.get("name", "not stated"),
        }
        lines = (
            f"<tr><th>{name}</th><td>{escape(printable(str(text)))}</td></tr>" for name, text in rows.items()
        )
        return f"<p><b>{escape(self.name)}</b></p><table>{''.join(lines)}</table>"

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write it into one file; see `aucue.models.save_model` and `require_own_mix`."""
        self.require_own_mix()
        return save_model(path, self.network, self.card, overwrite)

    def require_own_mix(self) -> None:
        """Refuse to be stored with another mix of expressions, for which a model file has no place.

        Raises:
            InputError: It was made with a `prior`.
        """
        if self.prior is not None:
            raise InputError(
                f"{self.name} answers for another mix of expressions (prior), which a model file cannot "
                f"hold; store it as it is without prior, and give the prior whenever it is loaded."
            )

    def read_as(self, readout: str) -> Self:
        """The same network, whose class maps are read out in another way."""
        return type(self)(self.network, self.card, self.name, readout, self.device, prior=self.prior)

    def to(self, device: str | torch.device) -> Self:
        """The same network, moved to another device."""
        return type(self)(self.network, self.card, self.name, self.readout, device, prior=self.prior)

    @property
    def mix(self) -> PriorRecord | None:
        """How frequent the expressions are that its answers are given for; None if that is not known."""
        return with_mix(self.card.prior, self.classes, self.prior)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return self.network.classes

    @property
    def input_size(self) -> int:
        """Side of the square input, in pixels."""
        return self.network.input_size

    @property
    def template(self) -> str:
        """Face template that crops have to be aligned to."""
        return self.card.template or "aucue"

    @property
    def reading_size(self) -> int:
        """Side of the crops to read from photographs: at least 224 pixels, since people look at them too."""
        return max(224, self.input_size)

    @property
    def layer(self) -> str:
        """The layer whose attention is shown (`Card.layer_shown`)."""
        return self.card.layer_shown(self.network.layers)

    @cached_property
    def draw(self) -> AUCue:
        """Draws the AU maps that its own codebook and region model expect, by its own class ids."""
        return self.judge()

    def judge(
        self,
        codebook: str | os.PathLike[str] | Codebook | None = None,
        regions: str | os.PathLike[str] | None = None,
    ) -> AUCue:
        """Draws AU maps by the model's class ids; classes that the codebook lacks have none.

        Args:
            codebook: A bundled name, a YAML file or a codebook; None takes the model's own.
            regions: A name in `aucue.cues.REGION_MODELS` or a YAML table; None takes the model's own.

        Raises:
            InputError: There is no such codebook or region model, or the one cannot draw the other's units.
        """
        book = self.codebook
        if codebook is not None:
            book = Codebook.load(codebook if isinstance(codebook, Codebook) else os.fspath(codebook))
        entries = {name: book.entries.get(name, ()) for name in self.classes}
        book = replace(book, entries={**book.entries, **entries})
        own = region_model_of(self.card.regions or "anatomical", "the model")
        return AUCue(book, self.classes, os.fspath(regions) if regions else own)

    def action_units(self, expression: str) -> tuple[ActionUnit, ...]:
        """The action units that its codebook gives an expression; none if it lacks it."""
        return tuple(self.codebook.action_units[unit] for unit in self.codebook.entries.get(expression, ()))

    @torch.inference_mode()
    def look(self, images: Tensor) -> Look:
        """Look at faces, in one forward pass.

        Args:
            images: Aligned crops (B, 3, S, S) with S = `input_size`, RGB; uint8, or float in [0, 1].

        Raises:
            InputError: The images have another shape.
        """
        images = images.to(self.device)
        out = self.network(images)
        return Look(self.network, out, self.readout, self.layer, images=images, scale=self.scale)

    def cue(self, landmarks: Tensor, expression: Tensor, size: tuple[int, int] | None = None) -> Cue:
        """What an expert would expect to matter.

        Args:
            landmarks: (B, 68, 2) in pixels of the crop.
            expression: Class ids (B,).
            size: Height and width of the crop and of the map; None takes those of the input.

        Returns:
            AU maps (B, 1, H, W), and which of them there are.
        """
        return self.draw(landmarks, expression, size or (self.input_size, self.input_size))


def _said_of(calibration: CalibrationRecord) -> str:
    return f"calibrated on {calibration.number} faces (temperature {calibration.temperature:.2f})"
