"""A model without aucue and torch: `aucue export --out model.onnx`, then onnxruntime, numpy and Pillow.

    python examples/04_onnxruntime.py model.onnx FACE...

Each FACE is a picture of one face, aligned as the model expects (`about["template_points"]` says where eyes
and mouth lie; `aucue.FaceReader` makes such crops). The map of the answer is written beside it. What decided
is measured: places are hidden one by one, beside hiding as much elsewhere in the face. aucue does so by
action unit, from landmarks; here the places that the template knows are enough.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageFilter

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map  # classes, template, codebook, licence, ...
classes, side = json.loads(about["classes"]), int(about["input_size"])
bilinear = Image.Resampling.BILINEAR  # as aucue resizes crops
pictures = [Image.open(path).convert("RGB").resize((side, side), bilinear) for path in sys.argv[2:]]


def answers(crops):
    """Probabilities (B, K), attention (B, 1, h, w) and class maps (B, K, h, w) of crops (B, S, S, 3)."""
    return [np.asarray(output) for output in session.run(None, {"crops": np.stack(crops)})]


def discs(centres, radius):
    """Which pixels (S, S) lie in one of the discs, in fractions of the side."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    return np.any([(x - a) ** 2 + (y - b) ** 2 < radius**2 for a, b in centres], axis=0)


def hidden(picture, region):
    """The face with a region hidden, in two ways: by the mean colour of what is hidden, and blurred."""
    crop, blurred = np.asarray(picture), np.asarray(picture.filter(ImageFilter.GaussianBlur(side / 8)))
    mean = crop[region].mean(axis=0).astype(np.uint8)
    return [np.where(region[..., None], filled, crop) for filled in (mean, blurred)]


def what_decides(picture, answer, points, draws=8):
    """What the answer loses, in probability, by each place that is hidden, and by as much elsewhere."""
    eyes = np.array([points["left_eye"], points["right_eye"]])
    mouth = np.array([points["left_mouth_corner"], points["right_mouth_corner"]])
    apart = np.linalg.norm(eyes[1] - eyes[0])
    radius, up = 0.3 * apart, np.array([0, 0.4 * apart])
    places = {"brows": eyes - up, "eyes": eyes, "lip corners": mouth, "lips": [mouth.mean(axis=0)] * 2}
    middle = (eyes.mean(axis=0) + mouth.mean(axis=0)) / 2
    random = np.random.default_rng(0)
    whole = answers([np.asarray(picture)])[0][0, answer]
    for name, centres in places.items():
        region, elsewhere = discs(centres, radius), []
        while len(elsewhere) < draws:  # discs in the face that do not touch the place
            drawn = middle + random.uniform(-1, 1, (len(np.unique(centres, axis=0)), 2)) * apart
            other = discs(drawn, radius)
            if not (other & region).any() and other.sum() > 0.9 * region.sum():  # as much of the picture
                elsewhere.append(other)
        crops = [crop for each in (region, *elsewhere) for crop in hidden(picture, each)]
        losses = whole - answers(crops)[0][:, answer]
        yield name, losses[:2].mean(), losses[2:].mean()


probabilities, _, class_maps = answers([np.asarray(picture) for picture in pictures])
for path, picture, row, maps in zip(sys.argv[2:], pictures, probabilities, class_maps, strict=True):
    print(f"{path}: {classes[row.argmax()]} {row.max():.0%}")
    heat = Image.fromarray((255 * maps[row.argmax()]).astype(np.uint8)).resize(picture.size)
    Image.composite(Image.new("RGB", picture.size, "red"), picture, heat).save(f"{path}.map.png")
    if "template_points" in about:  # a model of crops that aucue aligned
        for name, lost, control in what_decides(picture, row.argmax(), json.loads(about["template_points"])):
            points = [round(-100 * each) for each in (lost, control)]
            print("  {} hidden: {:+d} points; as much elsewhere: {:+d}".format(name, *points))
