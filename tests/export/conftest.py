import pytest
from tests.export.tiny import tiny

from aucue import Codebook
from aucue.models import Card, GuidanceRecord, Model


@pytest.fixture
def model() -> Model:
    """A tiny network with everything that a trained one tells."""
    classifier = tiny(grey=True, exposure=0.6)
    info = Card(
        classes=classifier.classes,
        template="aucue",
        codebook=Codebook.load("facs").to_dict(),
        regions="anatomical",
        guidance=GuidanceRecord(weight=4.0, layers=["stages.0"]),
        metrics={"held_out": {"accuracy": 0.71234, "att_cos": float("nan")}, "epoch": 7},
        provenance={
            "trained_on": {
                "name": "drawn faces",
                "licence": "for research",
                "samples": {"train": 30, "test": 20},
                "notes": ["The faces are nobody's."],
            },
            "settings": {
                "data": {"path": "/home/jane.doe/faces", "batch_size": 8},
                "out": "C:\\Users\\jane\\m",
            },
            "date": "2026-11-25",
        },
    )
    return Model(classifier, info)
