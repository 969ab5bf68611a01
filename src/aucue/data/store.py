"""The stored form of a prepared set: a Hugging Face data set in Arrow files."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import datasets
from datasets.arrow_writer import ArrowWriter
from pyarrow import compute as pc

from aucue.data.shards import MASK, PROBABILITIES, has_masks, read_rows
from aucue.data.sources.source import SPLITS
from aucue.faces import NUM_LANDMARKS


def features(classes: Sequence[str], soft: bool = False, masked: bool = False) -> datasets.Features:
    """Columns of a prepared set; `soft` if its labels are probabilities, too, `masked` if it has masks."""
    masks = {MASK: datasets.Value("binary")}
    probabilities = {PROBABILITIES: datasets.List(datasets.Value("float32"), length=len(classes))}
    return datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=list(classes)),
            "landmarks": datasets.Array2D((NUM_LANDMARKS, 2), "float32"),
            "landmarks_valid": datasets.Value("bool"),
            "key": datasets.Value("string"),
            "person": datasets.Value("string"),
            "how": datasets.Value("string"),
            "score": datasets.Value("float32"),
            "box": datasets.List(datasets.Value("float32")),
            "source": datasets.Value("string"),
            "attributes": datasets.Value("string"),
            **(masks if masked else {}),
            **(probabilities if soft else {}),
        }
    )


def write_dataset(shards: Sequence[Path], folder: Path, classes: Sequence[str]) -> None:
    """Gather shards into one stored data set. One shard is in memory at a time.

    Args:
        shards: In the order of the rows.
        folder: Where `datasets.load_from_disk` will find it; replaced if it exists.
        classes: Class names in the order of their ids.
    """
    shutil.rmtree(folder, ignore_errors=True)
    parts = folder.with_name("parts")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    writers: dict[str, ArrowWriter] = {}
    masked = any(map(has_masks, shards))
    for shard in shards:
        table = read_rows(shard)
        if not masked and MASK in table.column_names:
            table = table.drop_columns(MASK)
        for split in table["split"].unique().to_pylist():
            if split not in writers:
                path = parts / f"{split}.arrow"
                columns = features(classes, PROBABILITIES in table.column_names, masked)
                writers[split] = ArrowWriter(features=columns, path=str(path))
            rows = table.filter(pc.field("split") == split).drop_columns("split")
            writers[split].write_table(rows)
    for writer in writers.values():
        writer.finalize()
        writer.close()
    ordered = {
        split: datasets.Dataset.from_file(str(parts / f"{split}.arrow"))
        for split in SPLITS
        if split in writers
    }
    with _quiet():
        datasets.DatasetDict(ordered).save_to_disk(folder)  # pyright: ignore
    shutil.rmtree(parts)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress bars of `datasets`."""
    shown = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
