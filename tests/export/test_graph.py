"""The classifier under torch.compile and torch.export, and its graph beside what an explainer shows."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.export.tiny import tiny
from torch import Tensor, nn
from torch.export import Dim

from aucue.classifiers import Classifier
from aucue.errors import InputError
from aucue.explanation import Explainer
from aucue.export import CropClassifier, export_program
from aucue.faces import Face
from aucue.models import Card, GuidanceRecord, Model


def crops(count: int, size: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)


def graph_of(classifier: Classifier, method: str | None = None, **info: Any) -> CropClassifier:
    return CropClassifier(Model(classifier, Card(classifier.classes, **info), readout=method))


def test_the_graph_gives_what_an_explainer_shows(model: Model):
    pixels = crops(3)
    explainer = Explainer(model)
    with torch.inference_mode():
        given = CropClassifier(model)(pixels)
    unknown = np.full((68, 2), np.nan, np.float32)
    faces = [Face(crop.numpy(), unknown, (0, 0, 16, 16), 1.0, "plain", np.eye(2, 3)) for crop in pixels]
    for i, shown in enumerate(explainer.faces(faces)):
        np.testing.assert_allclose(given.probabilities[i], list(shown.probabilities.values()), atol=1e-6)
        np.testing.assert_allclose(given.attention[i, 0], shown.attention["stages.0"], atol=1e-6)
        np.testing.assert_allclose(given.class_maps[i], list(shown.class_maps.values()), atol=1e-6)


def test_the_guided_layer_is_shown():
    classifier = tiny("adl")  # of two stages
    graph = graph_of(classifier, guidance=GuidanceRecord(weight=1.0, layers=["stages.0"]))
    with torch.inference_mode():
        given = graph(crops(2))
    assert given.attention.shape == (2, 1, 8, 8)
    assert given.class_maps.shape == (2, 7, 4, 4)


def test_half_precision_becomes_single():
    graph = graph_of(tiny().half())
    assert {tensor.dtype for tensor in (*graph.parameters(), *graph.classifier.buffers())} == {
        torch.float32,
        torch.int64,  # batch norm counts batches
    }


@pytest.mark.parametrize(
    ("classifier", "method"),
    [
        ({"method": "gradcam", "head": "max"}, None),
        ({"method": "wildcat"}, "gradcam"),
        ({"method": "prm"}, "layercam"),
    ],
)
def test_gradients_are_refused_in_one_sentence(classifier: dict[str, Any], method: str | None):
    with pytest.raises(InputError, match=r"takes a gradient at each prediction.*\(read-out cam\)\.$"):
        graph_of(tiny(**classifier), method)


def test_passes_through_the_network_are_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"^'scorecam' runs the network anew, .*\(read-out cam\)\.$"):
        graph_of(tiny(), "scorecam")
    assert graph_of(tiny(), "smoothgradcam++").readout == "smoothgradcam++"  # a closed form of this head


def test_the_head_s_own_maps_are_the_way_out():
    assert graph_of(tiny("gradcam", head="max"), "cam").readout == "cam"


@pytest.mark.parametrize("options", [{"method": "acol"}, {"mirror": True}], ids=["two branches", "mirror"])
def test_torch_export_of_the_graph_takes_any_batch(options: dict[str, Any]):
    graph = graph_of(tiny(**options))
    program = export_program(graph).module()
    for batch in (1, 5):
        pixels = crops(batch)
        with torch.inference_mode():
            for exported, eager in zip(program(pixels), graph(pixels), strict=True):
                torch.testing.assert_close(exported, eager)


def test_torch_export_of_the_classifier_takes_any_batch():
    classifier = tiny()
    program = torch.export.export(
        classifier, (torch.rand(2, 3, 16, 16),), dynamic_shapes=({0: Dim("batch")},)
    ).module()
    images = torch.rand(5, 3, 16, 16)
    exported, eager = program(images), classifier(images)
    torch.testing.assert_close(exported.logits, eager.logits)
    torch.testing.assert_close(exported.features, eager.features)


def test_what_torch_cannot_follow_is_named():
    class Fickle(nn.Module):
        gap_weight = None

        def forward(self, features: Tensor) -> Tensor:
            pooled = features.mean((2, 3))[:, :7]
            return pooled if pooled.sum() > 0 else -pooled

        def class_maps(self, features: Tensor) -> Tensor:
            return features[:, :7]

    classifier = tiny()
    classifier.head = Fickle()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(InputError, match=r"torch\.export cannot follow ir50: "):
        export_program(graph_of(classifier))


@pytest.mark.parametrize("method", ["ts-cam", "apvit"])
def test_compiled_transformers_agree(method: str):
    classifier = tiny(method)
    images = torch.rand(3, 3, 16, 16)
    compiled = torch.compile(classifier, backend="eager", fullgraph=True)
    with torch.no_grad():
        given, eager = compiled(images), classifier(images)
    torch.testing.assert_close(given.logits, eager.logits)
    torch.testing.assert_close(given.features, eager.features)


def test_a_compiled_classifier_trains_alike():
    classifier = tiny().train()
    images, targets = torch.rand(4, 3, 16, 16), torch.arange(4)
    gradients = []
    for network in (classifier, torch.compile(classifier, backend="aot_eager", fullgraph=True)):
        classifier.zero_grad()
        classifier.loss(network(images), targets).backward()
        gradients.append({name: p.grad for name, p in classifier.named_parameters() if p.grad is not None})
    assert len(gradients[0]) > 10
    torch.testing.assert_close(gradients[1], gradients[0])
