"""`aucue serve`: a web page on this machine that explains photographs."""

from pathlib import Path

from aucue.errors import InputError


def command(
    *,
    model: list[Path] | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    readout: str | None = None,
    prior: str | None = None,
    device: str = "auto",
    max_megabytes: int = 20,
    rate: int = 120,
    open: bool = False,
) -> int:
    """Show a web page that says which expression a photograph's faces show, and where the model saw it.

    The page is at http://127.0.0.1:7860 until Ctrl-C. It takes one photograph, several, videos, and what a
    camera sees. It loads nothing from elsewhere, sends nothing elsewhere, and keeps photographs in memory
    only while somebody looks at them; a video lies in a file without a name until it has been looked at.
    Programs ask it at /api/explain; docs/serve.md describes that.

    Args:
        model: Model files (.safetensors); the first is shown at first, two can be compared side by side. By
            default the model that comes with aucue.
        host: Address to listen at. The default can be reached from this machine alone; with another one,
            whoever reaches that address can use the page, without a password.
        port: Port; 0 takes a free one.
        readout: Read-out of the class maps to begin with: cam, gradcam, gradcam++, gradcam++-fg2024,
            layercam, xgradcam or smoothgradcam++ (others are too slow for a page, or do not read every
            model); by default that of the method the model was trained as.
        prior: Mix of expressions that answers are given for: natural (as frequent as in the training), even,
            or a file of shares (YAML, a line for each expression); by default the answers are those of each
            model as it was trained.
        device: Where the networks run: auto (a CUDA GPU if there is one), cpu, cuda, cuda:1 or mps.
        max_megabytes: Largest photograph.
        rate: Photographs and choices that are answered per client and minute.
        open: Open the page in a browser.
    """
    import signal
    import webbrowser

    from aucue.models import is_box, require_file

    if not 0 <= port <= 65535:  # the system would take it modulo 65536
        raise InputError(f"--port must be from 0 to 65535, not {port}.")
    if min(max_megabytes, rate) < 1:
        raise InputError(
            "--max-megabytes and --rate must be at least 1: with less no photograph is answered."
        )
    for file in model or ():  # before torch is imported, which takes seconds
        require_file(file)
    from aucue.app import Service, names_of
    from aucue.app.server import require_gradio, serve
    from aucue.models import boxed_model

    require_gradio()
    files = [boxed_model() if is_box(file) else file for file in model or [boxed_model()]]
    service = Service(names_of(files), device=device, readout=readout, prior=prior)

    def tell(address: str) -> None:
        print(f"aucue is at {address} (Ctrl-C ends it)", flush=True)
        if open:
            webbrowser.open(address)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidy up however it is ended
    serve(service, host, port, max_bytes=max_megabytes * 2**20, per_minute=rate, tell=tell)
    return 0
