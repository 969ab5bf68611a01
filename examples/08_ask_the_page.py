"""Ask a running page from a program: photographs in, answers out, nothing of aucue imported.

    aucue serve &
    python examples/08_ask_the_page.py photo.jpg other.jpg

One that cannot be used says why, and the rest go on.
"""

import argparse
import json
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen


def ask(address: str, photo: Path) -> dict:
    """What the page says of a photograph; what decides is left out, which takes most of the time."""
    request = Request(f"{address}/api/explain?if_hidden=false", data=photo.read_bytes(), method="POST")
    try:
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except HTTPError as refusal:
        return json.load(refusal)  # {"error": "a sentence"}
    except URLError as error:
        raise SystemExit(f"No page answers at {address} ({error.reason}); start one: aucue serve") from error


def main(address: str, photos: list[Path]) -> None:
    for photo in photos:
        said = ask(address, photo)
        if "error" in said:
            print(f"{photo.name}: {said['error']}")
            continue
        for face in said["faces"]:
            print(f"{photo.name}: {face['expression']}, {face['probabilities'][face['expression']]:.1%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", nargs="+", type=Path)
    parser.add_argument("--address", default="http://127.0.0.1:7860")
    arguments = parser.parse_args()
    main(arguments.address, arguments.photos)
