"""`aucue explain` on a folder of photographs and on a minute of video: how fast, and in what memory?

    python benchmarks/explain.py folder --photos ../shared/data/ferplus/images --out runs/bench-folder
    python benchmarks/explain.py video --out runs/bench-video

Without --model, a small network with random weights is used: what it says means nothing, how long it takes
does.
"""

import argparse
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from aucue.classifiers import Classifier
from aucue.explanation import Explainer
from aucue.explanation.film import FilmReader, FilmWriter
from aucue.faces import FaceReader, PrecomputedDetector
from aucue.facs import Codebook
from aucue.models import Card, save_model
from aucue.rendering import FaceParameters, Identity, View, render

BROKEN = {"empty": b"", "letter": b"Dear reader", "cut": None, "zeros": bytes(2000), "page": b"<html></html>"}


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("folder", "video"))
    parser.add_argument("--photos", type=Path, help="folder of photographs with a face each")
    parser.add_argument(
        "--landmarks", type=Path, help="table of their landmarks; by default they are searched"
    )
    parser.add_argument("--count", type=int, default=500, help="photographs taken from it")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the video")
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second that are looked at")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=False)
    model = arguments.model or random_model(arguments.out / "model.safetensors")
    if arguments.what == "folder":
        measure_folder(arguments.photos, arguments.landmarks, arguments.count, model, arguments.out)
    else:
        measure_video(arguments.seconds, arguments.fps, model, arguments.out)


def random_model(path: Path) -> Path:
    """A ResNet-18 at 112 pixels."""
    classifier = Classifier("resnet18", input_size=112, final_stride=8)
    return save_model(
        path, classifier, Card(classes=classifier.classes, codebook=Codebook.load("facs").to_dict())
    )


def measure_folder(photos: Path, landmarks: Path | None, count: int, model: Path, out: Path) -> None:
    """Explain a folder with five broken files; kill it half-way and go on; compare with single faces."""
    folder, made = out / "photos", out / "explanations"
    folder.mkdir()
    files = sorted(path for path in photos.iterdir() if path.is_file())
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, count).astype(int)]
    for path in chosen:
        (folder / path.name).symlink_to(path.resolve())
    for name, content in BROKEN.items():
        content = chosen[0].read_bytes()[:300] if content is None else content
        (folder / f"broken_{name}.jpg").write_bytes(content)

    log = made / "explanations.jsonl"
    command = [*explain_command(), str(folder), "--model", str(model), "--out", str(made)]
    command += ["--detector", str(landmarks)] if landmarks else []
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and lines_of(log) < count // 2:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = {path.name: path.stat().st_mtime_ns for path in made.glob("*_face1.png")}
    logged = lines_of(log)
    say(f"killed after {logged} lines and {len(before)} pictures")

    start, cpu = time.perf_counter(), children_cpu()
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    took, cpu = time.perf_counter() - start, children_cpu() - cpu
    say(finished.stdout[-1500:])
    records = [json.loads(line) for line in log.read_text().splitlines()]
    faces = [record for record in records if record["faces"]]
    kept = sum((made / name).stat().st_mtime_ns == stamp for name, stamp in before.items())
    new = len(records) - logged
    say(
        f"exit status {finished.returncode}; {len({record['photo'] for record in records})} of {count} "
        f"photographs in the log, {len(faces)} faces; {kept} of {len(before)} pictures of the first run "
        "untouched"
    )
    say(f"second run: about {new} photographs in {took:.1f} s ({cpu:.1f} s of CPU, start included)")
    leftovers = [path.name for path in made.rglob("*.unfinished")]
    say(f"left unfinished: {leftovers or 'nothing'}; without a face: {len(records) - len(faces)}")
    compare_with_single_faces(model, landmarks, chosen[: min(count, 64)], out)


def compare_with_single_faces(model: Path, landmarks: Path | None, photos: list[Path], out: Path) -> None:
    """In one process: batches as `explain_files` makes them, and one photograph after the other."""
    from aucue.explanation import ExplainSettings, explain_files

    detector = PrecomputedDetector(landmarks) if landmarks else None
    explainer = Explainer(model, FaceReader(detector, 224))
    explainer(photos[0])
    start = time.process_time()
    settings = ExplainSettings(detector=str(landmarks) if landmarks else None, workers=1)
    report = explain_files(photos, model, out / "batched", settings)
    batched = (time.process_time() - start) / max(report.faces, 1)
    start, count = time.process_time(), 0
    for photo in photos:
        for number, explanation in enumerate(explainer(photo)):
            explanation.save(out / "single", f"{photo.stem}_{number}")
            count += 1
    single = (time.process_time() - start) / max(count, 1)
    faces = [face for photo in photos[:32] for face in explainer.reader(photo)]
    alone = time_of(lambda: [explainer.faces([face]) for face in faces]) / len(faces)
    together = time_of(lambda: explainer.faces(faces)) / len(faces)
    drawn = time_of(lambda: explainer.faces(faces[:1])[0].picture())
    say(
        f"CPU per face, files written: {1000 * batched:.0f} ms in batches ({1 / batched:.1f} faces/s), "
        f"{1000 * single:.0f} ms one by one ({1 / single:.1f} faces/s)"
    )
    say(
        f"network and maps alone: {1000 * together:.1f} ms per face in batches of {len(faces)}, "
        f"{1000 * alone:.1f} ms one by one; one face explained and drawn: {1000 * drawn:.0f} ms"
    )


def measure_video(seconds: float, fps: float, model: Path, out: Path) -> None:
    """Render a video of two people who move, explain it, and watch the memory."""
    from aucue.explanation import ExplainSettings, explain_files

    film = out / "two.mp4"
    truth = render_video(film, seconds)
    say(f"{film}: {seconds:g} s, {len(truth)} frames, {film.stat().st_size / 1e3:.0f} kB")
    memory = Memory()
    start, cpu = time.perf_counter(), time.process_time()
    with memory:
        settings = ExplainSettings(fps=fps, smooth=0.5, workers=1)
        report = explain_files([film], model, out / "explanations", settings)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    for sentence in report.unread:
        say(sentence)
    found = report.videos[0]
    say(
        f"{found.frames} frames and {found.faces} faces in {took:.1f} s, {cpu:.1f} s of CPU: "
        f"{cpu / seconds:.2f} s of CPU per second of video"
    )
    say(f"memory (MB) over the run: {memory.summary()}")
    for id, person in found.tracks.items():
        say(f"track {id}: {person.first:.1f} to {person.last:.1f} s, {person.faces} faces")
    with (out / "explanations" / found.files.table).open() as file:
        rows = list(csv.DictReader(file))
    say(f"faces per track and person: {faces_of_people(rows, truth)}")
    with FilmReader(out / "explanations" / found.files.annotated, 1000) as annotated:
        frames = sum(1 for _ in annotated)
        say(f"the annotated video decodes to {frames} frames at {annotated.fps:g} per second")


def render_video(
    path: Path, seconds: float, fps: int = 25, size: tuple[int, int] = (640, 360)
) -> list[np.ndarray]:
    """Two people who move and change their expressions, one of them hidden for half a second now and then.

    Returns:
        Of each frame the places (2, 2) of their heads' centres in pixels.
    """
    width, height = size
    people = [[sprite(seed, units, k) for units in EXPRESSIONS for k in range(STEPS)] for seed in (11, 24)]
    places = []
    with FilmWriter(path, fps) as film:
        for index in range(round(seconds * fps)):
            t = index / fps
            frame = Image.new("RGB", size, (150, 160, 168))
            centres = [
                (0.27 * width + 60 * np.sin(t / 2.1), height / 2 + 45 * np.sin(t / 1.3)),
                (0.74 * width + 70 * np.sin(t / 1.7 + 1), height / 2 + 40 * np.sin(t / 2.3)),
            ]
            for person, (x, y) in zip(people, centres, strict=True):
                head = person[int(t * 8) % len(person)]
                frame.paste(head, (round(x - head.width / 2), round(y - head.height / 2)))
            if 0 < t % 15 - 7 < 0.5:
                ImageDraw.Draw(frame).rectangle((0, 0, width // 2, height), (90, 96, 104))
            film.write(np.asarray(frame), t)
            places.append(np.array(centres))
    return places


STEPS = 10
EXPRESSIONS = ({6: 0.9, 12: 1.0, 25: 0.8}, {1: 0.9, 2: 0.9, 5: 0.8, 26: 0.9}, {4: 0.9, 7: 0.7, 23: 0.6})


def sprite(seed: int, units: dict[int, float], step: int) -> Image.Image:
    """A head on its way to an expression and back."""
    strength = float(np.sin(np.pi * step / STEPS))
    units = {unit: value * strength for unit, value in units.items()}
    return Image.fromarray(render(FaceParameters(Identity.draw(seed), units, View()), 190).image)


def faces_of_people(rows: list[dict[str, str]], truth: list[np.ndarray]) -> dict[str, list[int]]:
    """How many faces of each track lie where which person was: a stable track has but one."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        x, y = ((float(row[a]) + float(row[b])) / 2 for a, b in (("left", "right"), ("top", "bottom")))
        nearest = np.linalg.norm(truth[int(row["frame"])] - (x, y), axis=1).argmin()
        counts[row["track"]][int(nearest)] += 1
    return dict(counts)


class Memory:
    """Resident memory of this process, looked at twice a second; a context manager."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self._done.wait(0.5):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen.append(pages * page / 1e6)

    def summary(self) -> str:
        """A tenth of the values, evenly spread."""
        places = np.linspace(0, len(self.seen) - 1, 11).astype(int)
        return " ".join(f"{self.seen[i]:.0f}" for i in places) + f"; most {max(self.seen):.0f}"


def explain_command() -> list[str]:
    """The command line of this installation."""
    return [sys.executable, "-m", "aucue", "explain", "--workers", "1"]


def lines_of(path: Path) -> int:
    """Whole lines of a file that may not exist yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def children_cpu() -> float:
    """Seconds of CPU of finished subprocesses."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def time_of(function) -> float:
    """Seconds of CPU of a call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def say(text: str) -> None:
    """Print at once, so that a long run can be watched."""
    print(text, flush=True)


if __name__ == "__main__":
    main()
