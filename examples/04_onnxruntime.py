"""A model without aucue and torch: `aucue export --out model.onnx`, then onnxruntime, numpy and Pillow.

    python examples/04_onnxruntime.py model.onnx FACE...

Each FACE is a picture of one face, aligned as the model expects (`about["template_points"]` says where eyes
and mouth lie; `aucue.FaceReader` makes such crops). The map of what was found is written beside it.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image

session = onnxruntime.InferenceSession(sys.argv[1])
about = session.get_modelmeta().custom_metadata_map  # classes, template, codebook, licence, ...
classes, side = json.loads(about["classes"]), int(about["input_size"])
bilinear = Image.Resampling.BILINEAR  # as aucue resizes crops
pictures = [Image.open(path).convert("RGB").resize((side, side), bilinear) for path in sys.argv[2:]]
crops = np.stack([np.asarray(picture) for picture in pictures])  # (B, S, S, 3) uint8

probabilities, attention, class_maps = map(np.asarray, session.run(None, {"crops": crops}))

for path, picture, row, maps in zip(sys.argv[2:], pictures, probabilities, class_maps, strict=True):
    print(f"{path}: {classes[row.argmax()]} {row.max():.0%}")
    heat = Image.fromarray((255 * maps[row.argmax()]).astype(np.uint8)).resize(picture.size)
    Image.composite(Image.new("RGB", picture.size, "red"), picture, heat).save(f"{path}.map.png")
