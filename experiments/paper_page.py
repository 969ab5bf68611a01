"""Tables and figure of docs/results.md, from what the grids of the paper on FER+ have measured so far.

for grid in cues losses table3-ferplus figure5-ferplus methods-ferplus; do
    aucue benchmark $grid --out runs/paper-ferplus
done
python -m experiments.paper_page --out runs/paper-ferplus
"""

import argparse
from dataclasses import replace
from pathlib import Path

from aucue.benchmark import GRIDS, Grid, collect
from aucue.benchmark.figure import draw
from aucue.benchmark.results import BenchmarkResults
from aucue.benchmark.tables import main_table
from aucue.evaluation.report.tables import markdown
from experiments.doc_tables import block, paste

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "results.md"
NAMES = ("cues", "losses", "table3-ferplus", "figure5-ferplus", "methods-ferplus")
SHOWN = ("accuracy", "balanced_accuracy", "att_cos", "cam_cos", "specificity", "own_face")
CAUSAL = (
    "occlusion.mean",
    "deletion.mean",
    "insertion.mean",
    "hidden.left",
    "painted.left",
    "dearest.first",
    "dearest.rank",
)
"""What decides; measured where a grid asks for evidence. The files of a benchmark have all measures."""


def text(results: BenchmarkResults) -> str:
    """The tables of a grid, and what its trainings took, starts included."""
    tables = [main_table(results, measures=SHOWN)]
    if results.grid.assessment.evidence:
        title = f"What decides, on {results.grid.assessment.evidence} test faces of each expression"
        tables.append(replace(main_table(results, measures=CAUSAL), title=title, notes=()))
    seconds = [taken for taken, _ in results.seconds.values()]
    times = f"{len(seconds)} trainings, {sum(seconds) / 60:.0f} minutes on one core without their evaluation."
    return "\n\n".join([*map(markdown, tables), times])


def main() -> None:
    """Bring tables and figure into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/paper-ferplus"), help="of the benchmarks")
    parser.add_argument("--grids", nargs="+", choices=NAMES, default=NAMES, help="those that are there")
    parser.add_argument("--seeds", type=int, nargs="+", help="those that are there, if not all")
    arguments = parser.parse_args()
    for name in arguments.grids:
        grid = Grid.load(GRIDS / f"{name}.yaml")
        results = collect(replace(grid, seeds=tuple(arguments.seeds or grid.seeds)), arguments.out)
        paste(PAGE, {name: block(name, text(results))})
        figure = draw(results)
        if figure is not None:
            figure.savefig(DOCS / "images" / f"{name}.png", dpi=110)


if __name__ == "__main__":
    main()
