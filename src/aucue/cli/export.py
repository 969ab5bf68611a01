"""`aucue export`: a model file -> a form for other runtimes, or for a model hub."""

from pathlib import Path
from typing import Literal

from aucue.errors import InputError
from aucue.models import require_file
from aucue.work.files import refuse_existing


def command(
    model: Path | None = None,
    *,
    format: Literal["onnx", "hub"] = "onnx",
    out: Path,
    readout: str | None = None,
    repo: str | None = None,
    license: str | None = None,
    upload: bool = False,
    public: bool = False,
    overwrite: bool = False,
) -> int:
    """Put a model behind something else than aucue, or on a model hub.

    With --format onnx, FILE.onnx becomes one graph from uint8 face crops (B, S, S, 3), RGB, of the model's
    input size, to probabilities (B, K), attention (B, 1, h, w) and class maps (B, K, h, w) in [0, 1], for any
    batch size. It is checked against torch on random crops before it is written.

    With --format hub, the folder --out becomes what a hub takes: model.safetensors and a card (README.md) for
    you to read and complete. Nothing leaves this machine unless you add --upload. A model on a hub is used as
    hf:OWNER/NAME wherever aucue takes a model file.

    Args:
        model: Model file (.safetensors) that `aucue train` wrote, or hf:OWNER/NAME; by default the model in
            the box.
        format: Other runtimes (onnx), or a model hub (hub).
        out: File to write (.onnx), or the folder for a hub.
        readout: Of onnx, read-out of the class maps: cam, gradcam, gradcam++, gradcam++-fg2024, layercam,
            xgradcam or smoothgradcam++ (adl-fg2024, scorecam, ss-cam and is-cam run the network again,
            which no exported graph does); by default that of the method the model was trained as.
        repo: Of hub, the repository, as OWNER/NAME.
        license: Of hub, licence of the weights, as the hub names it, such as mit or cc-by-nc-4.0.
        upload: Of hub, send the folder's two files to --repo.
        public: Of hub, let everyone see the repository if it is made; by default it is private.
        overwrite: Replace the file, or another model in the folder, and with --upload the model in --repo.
    """
    given = {"readout": readout, "repo": repo, "license": license, "upload": upload, "public": public}
    for name in ("readout",) if format == "hub" else ("repo", "license", "upload", "public"):
        if given[name]:
            raise InputError(f"--{name} has no effect with --format {format}; leave it out.")
    if model is not None:
        require_file(model)
    if format == "onnx":
        refuse_existing(out, overwrite)
        return _onnx(model, out, readout, overwrite)
    if repo is None:
        raise InputError("--format hub needs --repo OWNER/NAME, under which the card tells how to load it.")
    return _hub(model, out, repo, license, upload, public, overwrite)


def _onnx(model: Path | None, out: Path, readout: str | None, overwrite: bool) -> int:
    from aucue.export import export_onnx
    from aucue.work.terminal import Terminal

    made = export_onnx(model, out, readout, overwrite)
    terminal = Terminal()
    terminal.say(f"{out}: {made.path.stat().st_size / 2**20:.1f} MiB, any batch size")
    terminal.say(f"Largest difference between onnxruntime and torch on {made.faces} random crops:")
    for name, difference in made.differences.items():
        terminal.say(f"  {name:<15}{difference:.1e}")
    return 0


def _hub(
    model: Path | None, out: Path, repo: str, license: str | None, upload: bool, public: bool, overwrite: bool
) -> int:
    from aucue.export import push, write_repository
    from aucue.work.terminal import Terminal

    files = write_repository(model, out, repo, license, overwrite)
    terminal = Terminal()
    for path in files:
        terminal.say(f"{path}  {path.stat().st_size / 2**10:,.0f} KiB")
    if not upload:
        seen = "everyone" if public else "you alone"
        terminal.say(
            f"Nothing was sent. Read and complete {files[1]}; the same command with --upload then sends",
            f"these two files to {repo} (a new repository is seen by {seen}).",
        )
        return 0
    terminal.say(
        f"Sent: {push(out, repo, public, overwrite)}", f"Next: aucue explain PHOTO --model hf:{repo}"
    )
    return 0
