"""What an evaluation is asked for; the options of `aucue evaluate` are made of it."""

from dataclasses import dataclass

from aucue.data.sources.source import SplitName
from aucue.errors import InputError

FACES = 25
"""Faces per expression whose evidence is measured by default: minutes on a CPU with a small network."""

FILES = (
    "evaluation.json",
    "estimates.csv",
    "per_expression.csv",
    "per_image.csv",
    "confusion.csv",
    "average_maps.csv",
    "average_maps.npz",
    "report.html",
)
"""What it leaves in its folder."""

GROUP_FILE = "per_group.csv"  # only where the set has attributes


@dataclass(frozen=True)
class EvaluationSettings:
    """How a model is measured.

    Attributes:
        split: Which faces.
        readout: Read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024, layercam, xgradcam,
            adl-fg2024, smoothgradcam++, or, with a pass through the network for each of its channels,
            scorecam, ss-cam (35 times as many) and is-cam (10 times); by default that of the method the model
            was trained as.
        prior: Mix of expressions that answers are given for: natural (as frequent as in the training), even,
            or a file of shares (YAML, a line for each expression); by default the answers are those of the
            model as it was trained.
        codebook: Judges the maps: facs, fg2024 or a file (YAML); by default the codebook that the model was
            trained with, so that several models each have a judge of their own.
        regions: Region model of the judge: anatomical, fg2024, fg2024-224 or a file (YAML); by default the
            model's own.
        groups: Attributes of the set, such as gender, by whose values the figures are given too; by default
            gender, age and race where the set has them.
        evidence: Measure too what takes many passes per face (some four hundred): whether the decision
            depends on what the map shows, by deletion and insertion, hidden action units, stability,
            randomised layers.
        evidence_faces: Faces per expression that are measured so, evenly spread over the split.
        examples: Faces per class kept for the report: the first of the split, not chosen.
        batch_size: Faces per step; the figures do not depend on it.
        workers: Processes that read pictures; by default what suits this machine.
        device: Where the network runs: auto (a CUDA GPU if there is one), cpu, cuda, cuda:1, mps, or several
            of them: 4xcuda, on each machine; the figures do not depend on it.
        num_nodes: Machines; torchrun or srun starts the processes, see docs/scale.md.

    Raises:
        InputError: A number is out of range.
    """

    split: SplitName = "test"
    readout: str | None = None
    prior: str | None = None
    codebook: str | None = None
    regions: str | None = None
    groups: list[str] | None = None
    evidence: bool = False
    evidence_faces: int = FACES
    examples: int = 2
    batch_size: int = 64
    workers: int | None = None
    device: str = "auto"
    num_nodes: int = 1

    def __post_init__(self) -> None:
        if self.evidence_faces < 1:
            raise InputError(
                f"Evidence needs at least one face per expression, not {self.evidence_faces}; "
                "choose another number with --evidence-faces."
            )
        for name in ("batch_size", "num_nodes"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if self.examples < 0:
            raise InputError(f"examples must be 0 or more, got {self.examples}.")
