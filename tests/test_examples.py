"""The examples run as they stand and show what they promise."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name: str) -> str:
    """What an example prints, run as a reader would run it."""
    process = subprocess.run([sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_guide_your_training_loop():
    printed = run("01_guide_your_training_loop.py")
    row = r"lambda (\d) (before|after) +accuracy ([\d.]+)  cosine of attention and mask ([\d.]+)"
    rows = {(weight, when): (float(acc), float(cos)) for weight, when, acc, cos in re.findall(row, printed)}
    unguided, (accuracy, guided) = rows["0", "after"][1], rows["4", "after"]
    assert accuracy > 0.9
    assert guided > 0.9
    assert guided > unguided + 0.1
    assert rows["0", "before"] == rows["4", "before"]  # the same network to begin with
