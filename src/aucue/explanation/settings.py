"""The settings of `aucue explain`: a plain record, documented where it is defined; options are made of it."""

import math
from dataclasses import dataclass
from typing import Literal

from aucue.errors import InputError
from aucue.work.engines import EngineName

MapFormat = Literal["none", "npz", "png"]

FacesShown = Literal["shown", "blurred", "outlines"]
"""How faces look in a report to be shared."""


@dataclass(frozen=True, kw_only=True)
class ExplainSettings:
    """How photographs and videos are explained.

    Attributes:
        detector: `mesh` (the default), `dlib` for comparison, or a table of known landmarks (.csv or
            .parquet with file, x0, y0, ..., x67, y67).
        readout: Read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024, layercam, xgradcam,
            adl-fg2024, smoothgradcam++, or, with a pass through the network for each of its channels,
            scorecam, ss-cam (35 times as many) and is-cam (10 times); by default that of the method the model
            was trained as.
        prior: Mix of expressions that answers are given for: natural (as frequent as in the training), even,
            or a file of shares (YAML, a line for each expression); by default the answers are those of the
            model as it was trained.
        if_hidden: Measure for each face of a photograph what decides, by hiding its regions one by one: some
            forty more passes of the network. Faces in videos are never measured.
        maps: Also write the maps of each face: npz (all, as arrays) or png (those in its picture, grey).
        fps: Frames per second of a video that are looked at; the annotated video has as many.
        smooth: Seconds over which the probabilities of each person in a video are averaged; 0 for none.
        device: Where the network runs: auto (a CUDA GPU if there is one), cpu, cuda, cuda:1 or mps.
        engine: Where faces of photographs are searched: in processes of this machine (local), or on a Ray
            cluster (ray), the one in RAY_ADDRESS or one of this machine. The result is the same.
        workers: Processes; by default one per core, fewer for few photographs. A script that uses more than
            one needs the usual `if __name__ == "__main__":`.

    Raises:
        InputError: A number is out of range.
    """

    detector: str | None = None
    readout: str | None = None
    prior: str | None = None
    if_hidden: bool = True
    maps: MapFormat = "none"
    fps: float = 10.0
    smooth: float = 0.0
    device: str = "auto"
    engine: EngineName = "local"
    workers: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fps < math.inf:
            raise InputError(f"fps must be more than 0 frames per second, got {self.fps:g}.")
        if not self.smooth >= 0:
            raise InputError(f"smooth must be a time in seconds, 0 or more, got {self.smooth:g}.")
