"""Many people at the page and its interface at once: errors, answers a minute, memory.

    python benchmarks/serve_load.py --minutes 10 --clients 8

starts `aucue serve` with the model in the box and a detector that knows the face of a rendered photograph, as
a process of its own, and lets clients send photographs: half of them to /api/explain and /api/picture, half
through the page's own events (upload, choose an expression, save). It prints a line per minute: memory is the
median of what was there each second, since that depends on how many photographs are open at the time. It ends
with status 1 if an answer was wrong or memory grew by more than 5 % after the first minute.
"""

import argparse
import io
import json
import multiprocessing
import secrets
import sys
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from aucue.app import Service
from aucue.app.server import serve
from aucue.models import boxed_model
from fuzz_inputs import Rendered


def server(told: Connection) -> None:
    """The process that serves."""
    import torch

    torch.set_num_threads(1)
    service = Service({"box": boxed_model()}, Rendered())
    serve(service, port=0, per_minute=1_000_000, tell=told.send)


def photograph(side: int) -> bytes:
    """The rendered face on a larger photograph, as a JPEG."""
    canvas = np.full((side, side, 3), 90, np.uint8)
    face = Rendered().picture
    canvas[: len(face), : len(face)] = face
    buffer = io.BytesIO()
    Image.fromarray(canvas).save(buffer, "JPEG")
    return buffer.getvalue()


def program(client: httpx.Client, photo: bytes) -> None:
    """A program asks for the numbers and for a picture."""
    client.post("/api/explain", content=photo).raise_for_status()
    client.post("/api/picture", params={"expression": "fear"}, content=photo).raise_for_status()


def person(client: httpx.Client, photo: bytes) -> None:
    """A person drops a photograph into the page, looks at another expression, and leaves."""
    session, choices = secrets.token_hex(5), ["box", "none", ""]

    def event(index: int, data: list[Any], event_data: Any = None) -> None:
        body = {"data": data, "fn_index": index, "session_hash": session, "event_data": event_data}
        client.post("/gradio_api/queue/join", json=body).raise_for_status()
        said = client.get("/gradio_api/queue/data", params={"session_hash": session}).text
        done = [json.loads(line[6:]) for line in said.splitlines() if "process_completed" in line]
        if not done or not done[-1]["success"]:
            raise RuntimeError(said[-300:])

    with client.stream("GET", f"/gradio_api/heartbeat/{session}"):
        (path,) = client.post("/gradio_api/upload", files={"files": ("a.jpg", photo)}).json()
        event(0, [{"path": path, "meta": {"_type": "gradio.FileData"}}, *choices])
        event(2, choices, {"expression": "fear"})
        event(7, [*choices, 50])


def ask(address: str, number: int, photo: bytes, stop: threading.Event, counts: Counter[str]) -> None:
    """One client, until it is told to stop."""
    with httpx.Client(base_url=address, timeout=120) as client:
        while not stop.is_set():
            try:
                (person if number % 2 else program)(client, photo)
                counts["answered"] += 1
            except Exception as error:  # whatever goes wrong is counted
                counts[f"{type(error).__name__}: {str(error)[:100]}"] += 1


def watch(process: psutil.Process, seconds: int) -> float:
    """Median of a process's memory, looked at each second, in MB."""
    seen = []
    for _ in range(seconds):
        time.sleep(1)
        seen.append(process.memory_info().rss / 2**20)
    return median(seen)


def main() -> int:
    """Serve, ask, watch."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--side", type=int, default=1600, help="of the photographs, in pixels")
    options = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=server, args=(there,), daemon=True)
    process.start()
    address, photo = here.recv(), photograph(options.side)
    assert process.pid is not None
    watched, counts, stop = psutil.Process(process.pid), Counter[str](), threading.Event()
    clients = [
        threading.Thread(target=ask, args=(address, number, photo, stop, counts))
        for number in range(options.clients)
    ]
    for client in clients:
        client.start()
    memory, before = [], 0
    for minute in range(1, options.minutes + 1):
        memory.append(watch(watched, 60))
        print(f"minute {minute}: {counts['answered'] - before} rounds, {memory[-1]:.0f} MB", flush=True)
        before = counts["answered"]
    stop.set()
    for client in clients:
        client.join()
    process.terminate()
    wrong = {name: number for name, number in counts.items() if name != "answered"}
    print(f"{counts['answered']} rounds answered; wrong: {wrong or 'none'}")
    return 1 if wrong or max(memory) > 1.05 * memory[0] else 0


if __name__ == "__main__":
    sys.exit(main())
