"""Is the explanation true? Unguided, `fg2024` and `aucue` training over several seeds, on FER+'s test part.

    python benchmarks/evidence.py --out runs/evidence [--only ARM ...] [--seeds 0 1 2] [--epochs 8]

Trains the small network of `ferplus_set.py` once per recipe and seed on nine tenths of the training part
(hard labels; the last epoch is kept) and evaluates it once on the test part, all arms by the same action-unit
maps: codebook `facs`, regions `anatomical`; and by those of the paper beside. Nothing is chosen on the test
part: the recipe was settled by `recipe_trials.py`. Everything resumes, and a finished cell is never run
again; several processes may share a folder, one thread each. The folder then holds evidence.md and pictures;
--docs brings the tables to docs/evidence.md and the picture without photographs to docs/images/evidence.png.
"""

import argparse
import shutil
import time
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from aucue.evaluation import evaluate
from aucue.training import RECIPES, fit, with_recipe
from evidence_pictures import write_pictures
from evidence_tables import blocks, paste
from ferplus_set import prepared, small_network

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
PICTURE = PAGE.parent / "images" / "evidence.png"
JUDGES = {"evaluation": ("facs", "anatomical"), "evaluation-fg2024": ("fg2024", "fg2024-224")}


def main() -> None:
    """Train, evaluate, tabulate, draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/evidence"))
    parser.add_argument("--only", nargs="+", default=list(RECIPES), choices=RECIPES, help="arms to run")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--faces", type=int, default=40, help="test faces per expression with evidence")
    parser.add_argument("--soft", action="store_true", help="train on the votes, not on their majority")
    parser.add_argument("--data", type=Path, help="another prepared set")
    parser.add_argument("--k", type=int, default=7, help="which test image of each expression is drawn")
    parser.add_argument("--docs", action="store_true", help="bring tables and picture to docs/")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.data or prepared(arguments.out, arguments.soft)
    for seed in arguments.seeds:
        for arm in arguments.only:
            run_cell(arguments.out, path, arm, seed, arguments.epochs, arguments.faces)
    cells = {
        arm: [cell_folder(arguments.out, arm, arguments.epochs, seed) for seed in arguments.seeds]
        for arm in RECIPES
    }
    if missing := [c.name for its in cells.values() for c in its if not is_finished(c)]:
        print(f"no tables yet: {', '.join(missing)} are not finished")
        return
    text = blocks(cells, path)
    page = arguments.out / "evidence.md"
    page.write_text("\n\n".join(text.values()) + "\n", encoding="utf-8")
    first = {arm: folders[0] / "model.safetensors" for arm, folders in cells.items()}
    pictures = write_pictures(first, path, arguments.out, arguments.k)
    print(f"{page.read_text()}\nTables: {page}\nPictures: {', '.join(map(str, pictures))}")
    if arguments.docs:
        paste(PAGE, text)
        shutil.copyfile(pictures[-1], PICTURE)


def cell_folder(out: Path, arm: str, epochs: int, seed: int) -> Path:
    """Folder of one training and its evaluations."""
    return out / f"{arm}-{epochs}-{seed}"


def is_finished(folder: Path) -> bool:
    """Whether a cell is trained and evaluated."""
    return all((folder / judge / "evaluation.json").is_file() for judge in JUDGES)


def run_cell(out: Path, path: Path, arm: str, seed: int, epochs: int, faces: int) -> None:
    """Train one arm with one seed and evaluate it, unless that is done or another process is at it."""
    folder = cell_folder(out, arm, epochs, seed)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            started = time.perf_counter()
            model = fit(with_recipe(small_network(path, folder, seed, epochs), arm), progress=False)
            trained = time.perf_counter()
            for judge in JUDGES:
                _evaluate(model, path, folder, judge, faces)
    except Timeout:
        print(f"{folder.name}: another process is at it", flush=True)
        return
    evaluated = time.perf_counter() - trained
    print(f"{folder.name}: trained {trained - started:.0f} s, evaluated {evaluated:.0f} s", flush=True)


def _evaluate(model: Path, path: Path, folder: Path, judge: str, faces: int) -> None:
    """Evaluate by one kind of action-unit maps; the folder appears whole or not at all."""
    target, unfinished = folder / judge, folder / ".unfinished"
    if target.exists():
        return
    shutil.rmtree(unfinished, ignore_errors=True)
    codebook, regions = JUDGES[judge]
    evaluate(
        model,
        path,
        "test",
        codebook=codebook,
        regions=regions,
        workers=0,
        evidence=judge == "evaluation",
        evidence_faces=faces,
        name=folder.name,
        out=unfinished,
        progress=False,
    )
    unfinished.rename(target)


if __name__ == "__main__":
    main()
