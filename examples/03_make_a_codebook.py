"""Make a codebook: expressions that the bundled ones lack, and what each asks a network to look at.

A codebook says which action units make up an expression; that is all guidance needs to draw where an expert
looks. Here is one with contempt (bundled), pain and a compound expression. Before you train with a codebook,
look at its maps, and at how much they resemble one another: expressions with nearly the same map cannot be
told apart by where a network looks.

    python examples/03_make_a_codebook.py --out codebook.png
"""

import argparse
from pathlib import Path

import torch
import yaml

from aucue import AUCue, Codebook
from aucue.metrics import map_cosine
from aucue.pictures import overlay, panel
from aucue.rendering import FaceParameters, Identity, render

CLINIC = """
name: clinic
extends: contempt                  # facs and contempt; a name of ours, or the path of a file
adds:                              # new names are announced, so that a typo is an error
  expressions: [pain, happily surprised]
expressions:
  pain: [4, 6, 7, 9, 10, 43]       # Prkachin and Solomon, Pain 2008
  happily surprised: [1, 2, 12, 25]
"""
SIZE = 240


def main(out: Path | None) -> None:
    codebook = Codebook.from_dict(yaml.safe_load(CLINIC))  # of a file: Codebook.load("clinic.yaml")
    for expression, units in codebook.entries.items():
        print(f"{expression:18}", ", ".join(str(codebook.action_units[number]) for number in units) or "-")

    shown = [name for name in codebook.expressions if codebook[name]]
    cue = AUCue(codebook, classes=shown)
    identity = Identity.draw(12)
    neutral = render(FaceParameters(identity), SIZE)
    landmarks = torch.from_numpy(neutral.landmarks).expand(len(shown), -1, -1)  # (K, 68, 2)
    maps, _ = cue(landmarks, torch.arange(len(shown)), (SIZE, SIZE))  # (K, 1, H, W)
    print("\nExpressions whose maps are most alike (cosine):")
    for first, name in enumerate(shown):
        cosines = map_cosine(maps, maps[first].expand_as(maps))
        cosines[first] = 0
        nearest = int(cosines.argmax())
        print(f"  {name:18}{shown[nearest]:18}{cosines[nearest]:.2f}")

    if out:
        new = ["contempt", "pain", "happily surprised"]
        faces, expected, captions = [], [], []
        for name in new:
            units = codebook[name]
            face = render(FaceParameters(identity, action_units=dict.fromkeys(units, 0.8)), SIZE)
            label = torch.tensor([shown.index(name)])
            map_, _ = cue(torch.from_numpy(face.landmarks)[None], label, (SIZE, SIZE))
            faces.append(face.image)
            expected.append(overlay(face.image, map_[0, 0].numpy()))
            captions.append(", ".join(str(codebook.action_units[number]) for number in units))
        titles, captions = new + [""] * len(new), [""] * len(new) + captions
        panel(faces + expected, titles, captions, columns=len(new), tile_size=SIZE).save(out)
        print(f"\nLook at {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="picture to write")
    main(parser.parse_args().out)
