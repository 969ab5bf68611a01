"""Write docs/methods.md from the registry: `python docs/make_methods.py [--models DIR]`.

With --models, the folder of `experiments/methods.py` (DIR/<method>/model.safetensors, unguided ones in
DIR/<method>_unguided/; read-outs of one network share that of CAM), the pictures are drawn anew: one rendered
face as each method sees it.
"""

import argparse
import inspect
from dataclasses import fields
from pathlib import Path
from typing import Any

from docstring_parser import parse

from aucue.cams import READOUTS
from aucue.classifiers import ADL, HEADS, METHODS, Method

DOCS = Path(__file__).parent
PICTURES = "images/methods"
LAYERS = {-1: "the last one", -2: "the last but one"}

INTRODUCTION = """# Methods

<!-- Written by docs/make_methods.py from src/aucue/classifiers/methods.py: change it there. -->

A method is a backbone, a head, perhaps a regulariser, a read-out of class maps, and the layer that is
guided. The eleven of the paper (Belharbi et al., FG 2024), and `units`, which is ours, are rows of one table,
`aucue.classifiers.METHODS`:

{table}

Any of them is trained with and without guidance:

```
aucue train --data.path SET --out RUN      --classifier.method acol
aucue train --data.path SET --out RUN_TWIN --classifier.method acol --guidance.weight 0
```

{shared} are read-outs of one network: train it once
and choose the map when you use it, `aucue evaluate MODEL --readout layercam ...`,
`aucue explain PHOTO --readout gradcam ...`. The same option reads any other network, and there are
[more read-outs](#read-outs) than methods.

$F_k$ are the last feature maps ($h \\times w$), $w$ and $b$ weights and biases, $y_c$ the logit of class
$c$, $M_c$ its map, $g_k = \\partial y_c / \\partial F_k$; $\\mathrm{{mean}}$ and $\\sum$ without index
run over cells, and $\\mathrm{{norm}}\\, M = (M - \\min M) / \\max(M - \\min M)$. Heads start
Xavier-uniform with zero biases. The heads `gap`, `max` and `logsumexp` (`--classifier.head`) belong to no
row; they replace weighted GAP where a method has it.
"""

READING = """## Read-outs

How a class map is read off a trained network is a choice of its own, `--readout` in `aucue evaluate`,
`explain`, `export` and `serve`, `readout=` in `aucue.cams.ClassMap`, for networks of other makes and any
of their layers. By default it is that of the method.

{table}

The first six cost nothing beside the pass that gives the answer; other heads than average pooling and a
linear layer take a backward pass through the head. Smooth GradCAM++ runs the network four times more
there, and is GradCAM++ in closed form with such a head, whose gradients no noise changes. ScoreCAM, SS-
CAM and IS-CAM run the network once, 35 times and 10 times for *each channel* of the layer (64 to 2048),
which is for a few faces, not for a test set, and not for the page of `aucue serve`; masks and noise lie
on the normalised picture, and numbers and strengths are those of the published code. No exported graph
runs a network again, so ONNX has none of these three, nor `adl-fg2024`, which takes one more pass: it reads
a block further up, and so wants a last stage of two blocks or more, and average pooling.
"""

AGREEMENT = """## Where we agree with the published code, and where we differ

`tests/golden` compares with arrays that the published code computed on a ResNet-50 with coarse (7 x 7)
and fine (28 x 28) maps, and on its two transformers, from the same weights and pictures. Logits agree
within 1e-5, class maps in [0, 1] within 1e-4: for the heads `wgap`, `gap`, `max`, `logsumexp`, `wildcat`,
`prm` and `acol`, for ADL, for CAM, GradCAM, GradCAM++ and LayerCAM, for TS-CAM and for APViT. These are
the settings it takes:

{parity}

Otherwise we differ on purpose:

- **The class of a map.** The published code is always given the label, and so is CAM-COS here.
  Explanations show the predicted class, or the one asked for.
- **ADL.** The published code counts its blocks with the ADL layers among them, reads the class map one
  block before the last one and starts from weights that are shifted by one block. Here the last layer is
  read, and every block starts from its own weights. The published read-out is `adl-fg2024`, for networks
  whose last stage has two blocks or more; it takes a second pass.
- **ADL on other backbones.** It sits after the first block of the last stage but one and after the first
  and the last block of the last stage, which in a ResNet-50 are the published places. Networks of tokens
  are refused.
- **CutMix.** Every batch is mixed, with a share drawn uniformly (probability 1 and beta 1, as published).
  Pictures, labels and cues are pasted together. A sample whose two parts do not both have a cue takes no
  part in the alignment. Cues are pasted by area, so that a coarse cue is mixed in the cells on the box's
  border.
- **Alignment, cues, codebook and measures** have parity settings of their own (`fg2024`).
"""


def page() -> str:
    """The whole page."""
    shared = [row.title for row in METHODS.values() if row.shares_network_with(METHODS["cam"])]
    introduction = INTRODUCTION.format(table=_overview(), shared=f"{', '.join(shared[:-1])} and {shared[-1]}")
    sections = [section(row) for row in METHODS.values()]
    readouts = READING.format(table=_readouts())
    return "\n".join([introduction, *sections, readouts, AGREEMENT.format(parity=_parity())])


def section(row: Method) -> str:
    """What there is to say about one method."""
    lines = [f'<a id="{_anchor(row)}"></a>', "", f"## {row.title}", ""]
    lines += [f"{row.summary} [{row.citation}]({row.url}).", ""]
    lines += [f"$${row.logit}, \\qquad {row.formula}$$", ""]
    picture = f"{PICTURES}/{row.name}.png"
    if (DOCS / picture).is_file():
        lines += [f"![A face, its class maps without and with guidance: {row.title}]({picture})", ""]
    stride = "" if row.final_stride is None else f", last maps at 1/{row.final_stride} of it"
    if row.in_paper:
        lines.append(f"Published on `{row.backbone}`, {row.input_size} x {row.input_size} pixels{stride}.")
    lines.append(f"Head `{row.head}`, guided layer: {LAYERS[row.layer]}.")
    if parameters := _parameters(row):
        lines += ["", "| parameter | default | |", "|---|---|---|", *parameters]
    if row.departs:
        lines += ["", f"Published code: {row.departs}"]
    return "\n".join([*lines, ""])


def _overview() -> str:
    head = [
        "| `--classifier.method` | | network | regulariser | read-out | guided layer |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join(
        head
        + [
            f"| `{row.name}` | [{row.title}](#{_anchor(row)}), {row.citation} "
            f"| {_network(row)} | {row.regulariser or ''} | {row.readout} | {LAYERS[row.layer]} |"
            for row in METHODS.values()
        ]
    )


def _readouts() -> str:
    rows = ["| `--readout` | | class map |", "|---|---|---|"]
    for row in READOUTS.values():
        rows.append(f"| `{row.name}` | {row.title}, {row.source} | {row.formula} |")
    return "\n".join(rows)


def _anchor(row: Method) -> str:
    """Where the section is found: an anchor of its own, since renderers disagree about GradCAM++."""
    return f"method-{row.name.replace('+', 'p')}"


def _network(row: Method) -> str:
    return f"`{row.backbone}`" if row.has_own_backbone else f"any, head `{row.head}`"


def _parameters(row: Method) -> list[str]:
    """Rows of a table: the parameters of head and regulariser."""
    meanings = {p.arg_name: p.description or "" for p in parse(inspect.getdoc(HEADS[row.head]) or "").params}
    defaults = inspect.signature(HEADS[row.head]).parameters
    rows = [(name, p.default, meanings[name]) for name, p in defaults.items() if p.default is not p.empty]
    if row.regulariser == "adl":
        meanings = {p.arg_name: p.description or "" for p in parse(inspect.getdoc(ADL) or "").params}
        rows += [(entry.name, entry.default, meanings[entry.name]) for entry in fields(ADL)]
    return [f"| `{name}` | {_shown(value)} | {' '.join(text.split())} |" for name, value, text in rows]


def _shown(value: Any) -> str:
    return "" if value is None else f"`{value}`"


def _parity() -> str:
    rows = ["| method | parity with the published code |", "|---|---|"]
    for row in METHODS.values():
        if options := row.fg2024.get("head_options"):
            setting = " ".join(
                f"`--classifier.head_options.{name} {value}`" for name, value in options.items()
            )
        elif readout := row.fg2024.get("readout"):
            setting = f"`aucue evaluate --readout {readout}`"
        else:
            continue
        rows.append(f"| {row.title} | {setting} |")
    return "\n".join(rows)


def draw(models: Path) -> None:
    """Draw one rendered face as every trained method sees it, without and with guidance."""
    import numpy as np
    import torch
    from PIL import Image

    from aucue.cams import normalize_cam
    from aucue.data import SyntheticSource
    from aucue.faces import Detection, FaceReader
    from aucue.models import load_model
    from aucue.pictures import overlay, panel

    sample = SyntheticSource(train=0, val=0, test=7, seed=11, size=320)[1]
    known = Detection((0.0, 0.0, 320.0, 320.0), 1.0, np.asarray(sample.landmarks), "precomputed")
    for row in METHODS.values():
        tiles, titles = [], []
        network = "cam" if row.shares_network_with(METHODS["cam"]) else row.name
        for folder, title in ((f"{network}_unguided", "without guidance"), (network, "with guidance")):
            file = models / folder / "model.safetensors"
            if not file.is_file():
                continue
            classifier, info = load_model(file)
            crop = FaceReader(lambda image, key=None: [known], 256, info.template or "aucue")(sample.image)[
                0
            ].crop
            small = Image.fromarray(crop).resize((classifier.input_size,) * 2, Image.Resampling.BILINEAR)
            with torch.inference_mode():
                out = classifier(torch.from_numpy(np.array(small)).permute(2, 0, 1)[None])
                label = torch.tensor([classifier.classes.index(sample.label)])
                map_ = normalize_cam(classifier.class_map(out, label, row.readout))[0, 0]
            if not tiles:
                tiles, titles = [crop], [sample.label]
            tiles.append(overlay(crop, map_.numpy()))
            titles.append(title)
        if tiles:
            path = DOCS / PICTURES / f"{row.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            panel(tiles, titles, tile_size=180).save(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, help="folder with one training per method")
    arguments = parser.parse_args()
    if arguments.models:
        draw(arguments.models)
    (DOCS / "methods.md").write_text(page())
