"""Inputs for fuzz.py: small valid files of every kind that aucue reads, and how it reads them."""

import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import safetensors.torch
from PIL import Image
from pyarrow import csv as pacsv
from safetensors import safe_open

import aucue
from aucue.benchmark import Grid
from aucue.benchmark.results import collect
from aucue.benchmark.run import run_grid
from aucue.cli.main import main
from aucue.cues.au_cue import region_model
from aucue.data import (
    AffectNetSource,
    CsvSource,
    FER2013Source,
    FolderSource,
    HuggingFaceSource,
    SyntheticSource,
    open_prepared,
    prepare,
)
from aucue.errors import InputError
from aucue.evaluation import Evaluation
from aucue.explanation.batch import ExplainSettings, explain_files
from aucue.explanation.film import FilmReader
from aucue.faces import Detection, PrecomputedDetector, read_image
from aucue.facs import Codebook
from aucue.models import load_model
from aucue.models.fg2024 import read_config
from aucue.rendering import FaceParameters, Identity, render
from aucue.training import fit

_HEAD = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)
_GRID = """name: fuzz
protocol: holdout
seeds: [0]
settings:
  data.path: DATA
  epochs: 1
  data.batch_size: 8
  data.workers: 0
  classifier.backbone: test_resnet
  classifier.input_size: 32
  classifier.final_stride: 8
axes:
  guidance:
    unguided: {guidance.weight: 0}
    guided: {guidance.weight: 4}
baseline: {guidance: unguided}
"""
_FG2024 = """!munch.Munch
task: F_CL
dataset: RAF-DB
method: CAM
num_classes: 7
img_size: 224
align_atten_to_heatmap: true
align_atten_to_heatmap_layers: '5'
align_atten_to_heatmap_lambda: 9.0
model: !munch.Munch {encoder_name: resnet50, support_background: false, large_maps: true}
"""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        files: What is mutated, one of them at a time.
        read: Reads the input as aucue does.
        slow: How many times longer than usual it takes: it gets that many times fewer inputs.
    """

    files: Sequence[Path]
    read: Callable[[], object]
    slow: float = 1


def _all(source: Any) -> None:
    for index in range(len(source)):
        source[index]


def _pictures(folder: Path, names: Sequence[str]) -> np.random.Generator:
    """Write noisy pictures; returns the source of the noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (24, 24, 3), np.uint8)).save(folder / name)
    return rng


def tables(folder: Path) -> dict[str, Kind]:
    """Codebooks, region tables, grids and settings."""
    package = Path(aucue.__file__).parent
    folder.mkdir(parents=True)
    codebook = Path(shutil.copy(package / "facs" / "codebooks" / "facs.yaml", folder / "codebook.yaml"))
    regions = Path(shutil.copy(package / "cues" / "anatomical.yaml", folder / "regions.yaml"))
    grid, settings, published = folder / "grid.yaml", folder / "train.yaml", folder / "config_model.yaml"
    grid.write_text(_GRID.replace("DATA", "runs/none"))
    settings.write_text(
        "data: {path: runs/none, batch_size: 8}\nepochs: 2\nout: runs/none/out\n"
        "classifier:\n  backbone: test_resnet\n  input_size: 32\noptimizer:\n  lr: 0.001\nseed: 3\n"
    )
    published.write_text(_FG2024)

    def train() -> None:
        said = io.StringIO()
        with redirect_stderr(said), redirect_stdout(io.StringIO()):
            status = main(["train", "--config", str(settings), "--data.path", str(folder / "none")])
        if status != 0:
            raise InputError(said.getvalue().strip())

    return {
        "codebook": Kind([codebook], lambda: Codebook.load(codebook)),
        "regions": Kind([regions], lambda: region_model(regions)),
        "grid": Kind([grid], lambda: Grid.load(grid).cells),
        "train --config": Kind([settings], train, slow=4),
        "fg2024 config": Kind([published], lambda: read_config(published)),
    }


def data_sets(folder: Path) -> dict[str, Kind]:
    """Labels, landmarks and the annotations of data sets."""
    names = [f"{i}.png" for i in range(4)]
    pictures, rng = folder / "labelled", _pictures(folder / "labelled", names)
    labels, points = pictures / "labels.csv", folder / "landmarks.csv"
    labels.write_text("file,label,split\n" + "".join(f"{name},happiness,train\n" for name in names))
    numbers = [f"{value:.1f}" for value in rng.uniform(0, 24, 136)]
    header = ",".join(["file", *(f"{axis}{i}" for i in range(68) for axis in "xy")])
    points.write_text(f"{header}\n" + "".join(f"{name},{','.join(numbers)}\n" for name in names))
    parquet = folder / "landmarks.parquet"
    pq.write_table(pacsv.read_csv(points), parquet)

    fer = folder / "fer" / "fer2013.csv"
    fer.parent.mkdir()
    pixels = " ".join(map(str, rng.integers(0, 255, 48 * 48)))
    fer.write_text("emotion,pixels,Usage\n" + "".join(f"{i},{pixels},Training\n" for i in (0, 3, 6)))

    annotated, release = folder / "affectnet", folder / "affectnet-csv"
    for split in ("train_set", "val_set"):
        _pictures(annotated / split / "images", ["1.jpg"])
        (annotated / split / "annotations").mkdir()
        for name, value in (("exp", "1"), ("val", "0.1"), ("aro", "0.2")):
            np.save(annotated / split / "annotations" / f"1_{name}.npy", np.array(value))
        np.save(annotated / split / "annotations" / "1_lnd.npy", rng.uniform(0, 24, 136))
    _pictures(release, ["1.jpg"])
    for name in ("training", "validation"):
        (release / f"{name}.csv").write_text(f"{_HEAD}\n1.jpg,2,2,20,20,{';'.join(numbers)},1,0.1,0.2\n")

    saved = folder / "saved"
    rows = {"image": [str(pictures / name) for name in names], "label": [0, 1, 0, 1]}
    kinds = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["neutral", "happiness"])
    )
    datasets.DatasetDict({"train": datasets.Dataset.from_dict(rows, kinds)}).save_to_disk(str(saved))
    blank = np.zeros((24, 24, 3), np.uint8)
    return {
        "labels": Kind([labels], lambda: _all(CsvSource(pictures))),
        "landmarks": Kind([points], lambda: PrecomputedDetector(points)(blank, "0.png")),
        "landmarks parquet": Kind([parquet], lambda: PrecomputedDetector(parquet)(blank, "0.png")),
        "labels and landmarks": Kind([labels, points], lambda: _all(CsvSource(pictures, landmarks=points))),
        "folder of labels": Kind([labels], lambda: _all(FolderSource(folder / "labelled"))),
        "fer2013": Kind([fer], lambda: _all(FER2013Source(fer.parent))),
        "affectnet npy": Kind(sorted(annotated.rglob("*.npy")), lambda: _all(AffectNetSource(annotated))),
        "affectnet csv": Kind(sorted(release.glob("*.csv")), lambda: _all(AffectNetSource(release))),
        "hugging face": Kind(
            [path for path in saved.rglob("*") if path.is_file()],
            lambda: _all(HuggingFaceSource(saved)),
            slow=3,
        ),
    }


def photographs(folder: Path) -> dict[str, Kind]:
    """Pictures in all formats, and a video."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1).integers(0, 255, (8, 40, 32, 3), np.uint8)
    kinds = {}
    for format in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"):
        file = folder / f"a.{format.lower()}"
        Image.fromarray(noise[0]).save(file, format)
        kinds[format] = Kind([file], lambda file=file: read_image(file))
    return kinds | {
        "video": Kind([_video(folder / "a.mkv", noise)], lambda: _frames(folder / "a.mkv"), slow=3)
    }


def _video(path: Path, frames: np.ndarray) -> Path:
    import av

    with av.open(str(path), "w") as film:
        stream: Any = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        film.mux(stream.encode())
    return path


def _frames(path: Path) -> None:
    with FilmReader(path, 10.0) as film:
        for _ in film:
            pass


class Rendered:
    """Knows where the face of a rendered picture is."""

    def __init__(self) -> None:
        rendered = render(FaceParameters(Identity.draw(3), {12: 1.0, 6: 1.0}), 96)
        self.picture, self.landmarks = rendered.image, rendered.landmarks.astype(np.float32)

    def __call__(self, image: np.ndarray, key: str | None = None) -> list[Detection]:
        """The face, wherever the picture was taken from."""
        left, top = self.landmarks.min(axis=0).tolist()
        right, bottom = self.landmarks.max(axis=0).tolist()
        return [Detection((left, top, right, bottom), 1.0, self.landmarks, "plain")]


def explanations(folder: Path) -> dict[str, Kind]:
    """A folder of explanations, of a photograph and of a video."""
    folder.mkdir(parents=True)
    face, out = Rendered(), folder / "why"
    photo = folder / "face.png"
    Image.fromarray(face.picture).save(photo)
    inputs = [photo, _video(folder / "face.mkv", np.stack([face.picture] * 3))]

    def explain() -> None:
        explain_files(inputs, out=out, settings=ExplainSettings(workers=1), detector=face)

    explain()
    logs = [out / "explanations.jsonl", out / "videos.jsonl"]
    return {"explanations": Kind(logs[:1], explain, slow=12), "videos": Kind(logs[1:], explain, slow=12)}


def results(folder: Path) -> dict[str, Kind]:
    """A prepared set, and what a tiny grid of trainings leaves behind."""
    folder.mkdir(parents=True)
    prepared, out = folder / "set", folder / "grid"
    prepare(SyntheticSource(train=14, test=7), prepared, detector="none", size=32, workers=1, progress=False)
    table = folder / "grid.yaml"
    table.write_text(_GRID.replace("DATA", str(prepared)))
    grid = Grid.load(table)
    run_grid(grid, out, progress=False)
    cell = grid.cells[-1]
    run, config = cell.folder(out), cell.config(out)
    model = run / "model.safetensors"
    measured = next(run.rglob("evaluation.json"))
    description = folder / "description.json"
    with safe_open(model, "pt") as file:
        description.write_text(file.metadata()["aucue"])
    tensors = safetensors.torch.load_file(model)
    described = folder / "described.safetensors"

    def look() -> None:
        opened = open_prepared(prepared)
        for split in opened.splits:
            _all(opened.dataset(split))

    def load() -> None:
        text = description.read_bytes().decode(errors="replace")
        safetensors.torch.save_file(tensors, described, {"aucue": text, "format": "pt"})
        load_model(described)

    def resume() -> None:
        model.rename(folder / "kept")
        try:
            fit(replace(config, epochs=1), progress=False)
        finally:
            (folder / "kept").replace(model)

    whole = [path for path in sorted(prepared.rglob("*")) if path.is_file()]
    seconds = sorted(run.rglob("seconds.json"))
    return {
        "set: descriptions": Kind([path for path in whole if path.suffix == ".json"], look, slow=3),
        "set: tables": Kind([path for path in whole if path.suffix == ".arrow"], look, slow=3),
        "model file": Kind([model], lambda: load_model(model)),
        "model description": Kind([description], load),
        "evaluation": Kind([measured], lambda: Evaluation.load(measured.parent), slow=2),
        "evaluation: faces": Kind([measured.with_name("per_image.csv")], lambda: collect(grid, out), slow=3),
        "seconds": Kind(seconds, lambda: collect(grid, out), slow=3),
        "training: settings": Kind([run / "config.yaml"], lambda: fit(config, progress=False), slow=2),
        "training: checkpoint": Kind([run / "checkpoints" / "last.ckpt"], resume, slow=40),
    }


FAMILIES = (tables, data_sets, photographs, explanations, results)


def all_kinds(folder: Path) -> dict[str, Kind]:
    """Every kind by name; their files are made in a folder."""
    return {name: kind for make in FAMILIES for name, kind in make(folder / make.__name__).items()}
