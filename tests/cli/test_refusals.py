"""What can be refused at once is: before torch, and whatever else takes seconds, is imported."""

import json
import subprocess
import sys

import pytest

from ..builders import described_set

# Arguments, exit status, what is said; the folder holds a photograph and sets with train and test.
ROWS = [
    ("--help", 0, "Commands:"),
    ("train --help", 0, "the unguided twin is trained"),
    ("train --print_config --out run --data.path both", 0, "label_smoothing: 0.0"),
    ("train --bogus 1", 2, "There is no option '--bogus'"),
    ("train --data.path both", 2, "--out"),
    ("train --out run --data.path both --epochs many", 2, "--epochs: expected a whole number, got many"),
    ("train --out run --data.path both --epochs 0", 2, "epochs: a whole number from 1"),
    ("train --out run --data.path both --classifier.method cm", 2, "--classifier.method"),
    ("train --out run --data.path both --guidance.loss cosin", 2, "--guidance.loss"),
    ("train --out run --data.path both --guidance.codebook fac", 2, "Did you mean 'facs'?"),
    ("train --out run --data.path both --trainer.logger paper", 2, "trainer.logger: 'paper' is none of"),
    ("train --out run --data.path both --trainer.device 0xcuda", 2, "device: '0xcuda' is none"),
    ("train --out run --data.path gone --epochs 0", 2, "epochs: a whole number"),  # settings, then the set
    ("train --out run --data.path gone", 2, "gone: no such folder; make a prepared set"),
    ("train --out run --data.path gone --from box", 2, "gone: no such folder"),
    ("train --out run --data.path both --from gone.safetensors", 2, "gone.safetensors: no such model file"),
    ("train --out run --data.path tested", 2, "tested: no split 'train'; it has test."),
    ("train --out run --data.path trained --select_on test", 2, "trained: no split 'test'; it has train."),
    ("train --out other --data.path gone", 2, "other holds a training with other settings (see other/config"),
    ("train --out PHOTO --data.path both", 2, "PHOTO is a file; --out needs a folder"),
    ("evaluate gone.safetensors --data gone --out y", 2, "gone.safetensors: no such model file"),
    ("evaluate box --data gone --out y", 2, "gone: no such folder; make a prepared set"),
    ("evaluate box --data both --out y --split val", 2, "both: no split 'val'; it has train, test."),
    ("evaluate box --data both --out y --split vel", 2, "--split: expected one of train, val, test"),
    ("evaluate box --data both --out done", 2, "evaluation.json exists; choose another --out"),
    ("benchmark figure6 --data raf-db=both --out y", 2, "Did you mean 'figure5'?"),
    ("benchmark table1 --data raf-db=gone --out y", 2, "gone: no such folder"),
    ("benchmark ferplus --data gone --out y", 2, "gone: no such folder"),
    ("benchmark ferplus --data trained --out y", 2, "trained: no split 'test'"),
    ("explain gone.jpg also.png", 1, "skipped: also.png does not exist"),
    ("explain PHOTO --model gone.safetensors", 2, "gone.safetensors: no such model file"),
    (
        "explain PHOTO --model other",
        2,
        "other is a folder; name the model file in it, such as model.safetens",
    ),
    ("explain PHOTO --faces blurred", 2, "--faces blurred has no effect without --report"),
    ("explain PHOTO --nonsense", 2, "There is no option '--nonsense'"),
    ("export gone.safetensors --out a.onnx", 2, "gone.safetensors: no such model file"),
    ("export --out PHOTO", 2, "PHOTO exists; choose another name"),
    ("serve --port 65537", 2, "--port must be from 0 to 65535, not 65537."),
    ("serve --rate 0", 2, "--max-megabytes and --rate must be at least 1"),
    ("serve --model gone.safetensors", 2, "gone.safetensors: no such model file"),
    ("inspect gone", 2, "gone: no such folder"),
    ("inspect both --model gone.safetensors", 2, "gone.safetensors: no such model file"),
    ("prepare nothing --out y", 2, "There is no source 'nothing'"),
    ("prepare folder --root gone --out y", 2, "gone"),
    ("prepare csv --root gone --out y", 2, "no such table"),
    ("models --search fer", 2, "--search has no effect without --hub"),
    ("cue PHOTO --all --expression fear", 2, "--all draws every action unit, --expression those of one"),
    ("cue gone.jpg", 2, "gone.jpg does not exist"),
    ("import-fg2024 gone.pt gone.yaml --out y.safetensors", 2, "gone.pt: no such model file"),
]

_CODE = """
import contextlib, io, json, sys
from aucue.cli.main import main

for row in json.loads(sys.argv[1]):
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = main(row.split())
    heavy = {"torch", "timm", "lightning", "datasets", "pandas", "matplotlib"} & sys.modules.keys()
    print(json.dumps([status, told.getvalue(), sorted(heavy)]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, list[str]]]:
    """What one process says to all of them, and what it has imported by then."""
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "PHOTO").write_bytes(b"x")
    for name, splits in {"both": ("train", "test"), "trained": ("train",), "tested": ("test",)}.items():
        described_set(folder / name, *splits)
    for file in ("other/model.safetensors", "other/config.yaml", "done/evaluation.json"):
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text("epochs: 3\n")
    command = [sys.executable, "-c", _CODE, json.dumps([row for row, _, _ in ROWS])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (folder / "run").exists()
    assert not (folder / "y").exists()
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {row: tuple(answer) for (row, _, _), answer in zip(ROWS, told, strict=True)}


@pytest.mark.parametrize(("row", "status", "said"), ROWS, ids=[row for row, _, _ in ROWS])
def test_refusals_need_no_torch(
    answers: dict[str, tuple[int, str, list[str]]], row: str, status: int, said: str
):
    found, told, heavy = answers[row]
    assert said in " ".join(told.split())
    assert found == status
    assert heavy == []
