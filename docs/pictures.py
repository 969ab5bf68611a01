"""Draw the README's picture from a finished demo: python docs/pictures.py runs/demo docs/images/guidance.png.

Faces by a fixed rule, not picked: in row k the test face number 5 k of the row's expression.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from aucue.cues import AUCue
from aucue.data import eval_transform, open_prepared
from aucue.guidance import attention
from aucue.models import load_model
from aucue.pictures import normalize, overlay, panel

EXPRESSIONS = ("happiness", "surprise", "anger")
TITLES = ("an expert looks here", "an unguided network here", "a guided network here")


def main(demo: Path, out: Path) -> None:
    """Draw one row per expression."""
    prepared = open_prepared(demo / "plain" / "faces")
    models = [load_model(demo / "plain" / arm / "model.safetensors")[0] for arm in ("unguided", "guided")]
    size = models[0].input_size
    dataset, shown = prepared.dataset("test", eval_transform(size)), prepared.dataset("test")
    cue = AUCue("facs", prepared.classes)
    tiles = []
    for row, expression in enumerate(EXPRESSIONS):
        label = prepared.classes.index(expression)
        index = int(np.flatnonzero(dataset.labels == label)[5 * row])
        sample, picture = dataset[index], shown[index]
        face = picture["image"].permute(1, 2, 0).numpy()
        drawn = cue(picture["landmarks"][None], torch.tensor([label]), face.shape[:2])
        maps = [drawn.map[0, 0].numpy()]
        with torch.inference_mode():
            outputs = [model(sample["image"][None]) for model in models]
            finals = [out.features[model.final_layer] for model, out in zip(models, outputs, strict=True)]
            maps += [normalize(attention(features)[0, 0].numpy()) for features in finals]
        tiles += [face, *(overlay(face, heat, opacity=0.6) for heat in maps)]
    # a row's expression stands above its face; the pictures are shown at half their size or less
    titles = [title for name in EXPRESSIONS for title in (name, *TITLES)]
    panel(tiles, titles, columns=1 + len(TITLES), tile_size=300).save(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
