"""The page itself: Gradio components and what happens when somebody touches them."""

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio import themes
from gradio.data_classes import ImageData
from PIL import Image

from aucue.app import clips, views
from aucue.app.api import AT_ONCE, WAITING
from aucue.app.memory import Uploads
from aucue.app.service import OFFERED, WHOLE, FaceView, Service, Session, Sessions
from aucue.app.uploads import MAX_BYTES, read_upload
from aucue.errors import InputError
from aucue.explanation.files import output_stem
from aucue.pages import ACCENT, PALETTE
from aucue.pages.palette import Colour
from aucue.pictures import to_data_uri

_STYLE = Path(__file__).with_name("style.css")

_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")
_ACCENT = themes.Color(
    *("#fdf2f5", "#fbe3ea", "#f6c6d4", "#ef9db4", ACCENT.dark, "#c94a70", ACCENT.light),
    *("#982a4c", "#7c2340", "#672039", "#3a0d1d"),
)
_NONE = "none"
GONE = "This photograph is no longer kept; choose it again."
UNKNOWN = "This choice is none of the page's; reload it."

_HEAD = """
<div class="aq aq-head">
<h1>aucue</h1><p>Which expression does a face show, and where did the model see it?</p>
</div>"""

# What was chosen in the results (see views.results) becomes an event of the component: a button, a stroke of
# the brush over a face, or a box drawn over the photograph.
_CHOOSE = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-face], [data-expression], [data-brush], [data-way]');
  if (button && button.tagName === 'BUTTON') trigger('select', {...button.dataset});
});
let stroke = null, pad = null;
const paint = (event) => {
  const box = pad.getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
  if (x < 0 || y < 0 || x > 1 || y > 1 || stroke.length >= 500) return;
  stroke.push(x.toFixed(3) + ',' + y.toFixed(3));
  const dot = document.createElement('i');
  dot.style.left = 100 * x + '%';
  dot.style.top = 100 * y + '%';
  pad.appendChild(dot);
};
element.addEventListener('pointerdown', (event) => {
  pad = event.target.closest('[data-pad]');
  if (!pad) return;
  event.preventDefault();
  stroke = [];
  pad.setPointerCapture(event.pointerId);
  paint(event);
});
element.addEventListener('pointermove', (event) => { if (stroke) paint(event); });
element.addEventListener('pointerup', () => {
  if (stroke) trigger('select', {brush: stroke.join(' ')});
  stroke = null;
});
element.addEventListener('pointercancel', () => { stroke = null; });
let corner = null, sheet = null;
const within = (event) => {
  const box = sheet.getBoundingClientRect();
  const share = (value) => Math.min(1, Math.max(0, value));
  return [share((event.clientX - box.left) / box.width), share((event.clientY - box.top) / box.height)];
};
const drawn = (event) => {
  const [x, y] = within(event);
  return [Math.min(x, corner[0]), Math.min(y, corner[1]), Math.max(x, corner[0]), Math.max(y, corner[1])];
};
element.addEventListener('pointerdown', (event) => {
  sheet = event.target.closest('[data-sheet]');
  if (!sheet) return;
  event.preventDefault();
  sheet.setPointerCapture(event.pointerId);
  corner = within(event);
});
element.addEventListener('pointermove', (event) => {
  if (!corner) return;
  const [left, top, right, bottom] = drawn(event);
  sheet.querySelector('i').style.inset =
    [top, 1 - right, 1 - bottom, left].map((share) => 100 * share + '%').join(' ');
});
element.addEventListener('pointerup', (event) => {
  if (!corner) return;
  const [left, top, right, bottom] = drawn(event).map((share) => share.toFixed(3));
  if (right - left > .02 && bottom - top > .02) trigger('select', {box: `${left},${top} ${right},${bottom}`});
  corner = null;
});
element.addEventListener('pointercancel', () => { corner = null; });"""
_SAY_ORIGIN = "for (const each of element.querySelectorAll('.origin')) each.textContent = location.origin;"
_START = "import('/scripts/{name}.js').then((script) => script.start(element.querySelector('.aq')));"
_SET_OPACITY = "(value) => document.documentElement.style.setProperty('--aq-heat', value / 100)"
_SAVE = """
(text) => {
  if (!text) return;
  const {name, uri} = JSON.parse(text);
  const [head, data] = uri.split(',');
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([bytes], {type: head.slice(5, -7)}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}"""


def head() -> str:
    """The page's style; Gradio's own way to add one loses container queries."""
    light, dark = (
        "; ".join(
            f"--{name}: {getattr(PALETTE[name], theme)}"
            for name in ("soft", "accent", "good", "bad", "control")
        )
        for theme in Colour._fields
    )
    colours = f".aq, [role=tab] {{ {light} }} .dark .aq, .dark [role=tab] {{ {dark} }}"
    return f"<style>{colours}\n{_STYLE.read_text(encoding='utf-8')}</style>"


def theme() -> gr.Theme:
    """Quiet colours, and fonts that every system has: Gradio's own would be fetched."""
    return themes.Base(
        primary_hue=_ACCENT, neutral_hue="zinc", radius_size="lg", font=_FONTS, font_mono=_MONO
    )


def new_page(service: Service, sessions: Sessions, uploads: Uploads, max_bytes: int = MAX_BYTES) -> gr.Blocks:
    """Build the page.

    Args:
        service: Who explains.
        sessions: Where the photographs are kept that people look at.
        uploads: Where uploaded files are kept.
        max_bytes: Largest photograph.
    """
    several = len(service.models) > 1
    codebook = service.model(service.models[0]).codebook
    start = views.welcome(sessions.seconds)
    with gr.Blocks(title="aucue", analytics_enabled=False, fill_width=True) as page:
        _html(_HEAD)
        with gr.Tabs():
            with gr.Tab("Explain"):  # noqa: SIM117
                with gr.Row(elem_id="aq-desk", equal_height=False):
                    with gr.Column(elem_id="aq-photo", min_width=280):
                        photo = gr.Image(
                            label="Photograph",
                            sources=["upload", "clipboard", "webcam"],
                            placeholder="Drop a photograph here\nor click to choose one",
                            height=300,
                            buttons=[],
                            elem_id="photograph",
                            alt_text="Your photograph with a box around each face",
                        )
                    with gr.Column(elem_id="aq-results", min_width=320):
                        results = _html(start, js_on_load=_CHOOSE, elem_id="results")
                    with gr.Column(elem_id="aq-options", min_width=280, visible=False) as settings:
                        model = gr.Dropdown(
                            list(service.models), value=service.models[0], label="Model", visible=several
                        )
                        other = gr.Dropdown(
                            [_NONE, *service.models], value=_NONE, label="Compare with", visible=several
                        )
                        readout = gr.Dropdown(
                            [
                                ("The model's own read-out", ""),
                                *((r.title, r.name) for r in OFFERED.values()),
                            ],
                            value="",
                            label="Class map computed by",
                        )
                        opacity = gr.Slider(0, 100, 50, step=5, label="Opacity of maps (%)")
                        with gr.Row():
                            save_picture = gr.Button("Save picture", size="sm", min_width=100)
                            save_numbers = gr.Button("Save JSON", size="sm", min_width=100)
                        saved = gr.Textbox(visible="hidden", elem_id="aq-saved")
            with gr.Tab("Several"):
                _html(
                    views.several(service.models, clips.MAX_SECONDS, clips.MAX_BYTES),
                    js_on_load=_started("several"),
                    elem_id="aq-several",
                )
            with gr.Tab("Camera"):
                _html(views.camera(service.models), js_on_load=_started("camera"), elem_id="aq-camera")
            with gr.Tab("What it means"):
                _html(views.guide(codebook))
            with gr.Tab("For programs"):
                _html(views.api_guide(service.models, list(OFFERED)), js_on_load=_SAY_ORIGIN)

        desk = _Desk(service, sessions, uploads, start, max_bytes)
        shown = [photo, results, settings]
        chosen = [model, other, readout]
        # Raw values go in and out: Gradio would read and write files for the photograph.
        options: dict[str, Any] = {
            "api_visibility": "private",
            "show_progress_on": results,
            "preprocess": False,
            "postprocess": False,
        }
        heavy = options | {"concurrency_limit": AT_ONCE, "concurrency_id": "photographs"}
        photo.input(desk.take, [photo, *chosen], shown, **heavy)
        photo.select(desk.click, chosen, shown, **options)
        results.select(desk.choose, chosen, shown, **options)
        for control in chosen:
            control.input(desk.show, chosen, shown, **heavy)
        opacity.change(None, [opacity], js=_SET_OPACITY, api_visibility="private")
        for button, save, arguments in (
            (save_picture, desk.picture, [*chosen, opacity]),
            (save_numbers, desk.numbers, chosen),
        ):
            event = button.click(save, arguments, [saved], **options)
            event.then(None, [saved], js=_SAVE, api_visibility="private")

        def leave(request: gr.Request) -> None:
            """The page was closed: Gradio would keep its last results for an hour."""
            sessions.drop(_browser(request))
            page.state_holder.session_data.pop(_browser(request), None)

        page.unload(leave)
    page.queue(max_size=WAITING, api_open=False)
    page.state_session_capacity = 4 * WAITING
    page.has_launched = True  # only then does Gradio check the paths of files; mounting never says so
    return page


def _started(script: str) -> str:
    """What makes a part of the page work when it is there."""
    return _START.format(name=script)


def _html(text: str, **options: Any) -> gr.HTML:
    """HTML that brings its own style."""
    return gr.HTML(text, apply_default_css=False, **options)


class _Desk:
    """What happens when somebody touches the page: each method answers one event.

    Every answer is what the listed outputs show next; what goes wrong becomes a sentence instead of the
    results.
    """

    def __init__(
        self, service: Service, sessions: Sessions, uploads: Uploads, start: str, max_bytes: int
    ) -> None:
        self._service = service
        self._classes = tuple(name for model in service.models for name in service.model(model).classes)
        self._sessions = sessions
        self._uploads = uploads
        self._start = start
        self._max_bytes = max_bytes

    def take(
        self, file: dict[str, Any] | None, model: str, other: str, readout: str, request: gr.Request
    ) -> Any:
        """A photograph has come, or was taken away."""
        browser = _browser(request)
        self._sessions.drop(browser)
        if not file:
            return _nothing(self._start)
        data = self._uploads.get(str(file.get("path"))) if isinstance(file, dict) else None
        try:
            if data is None:
                raise InputError("This photograph did not arrive; choose it again.")
            session = self._service.find(read_upload(data, self._max_bytes))
            session.name = _name_of(file)
            return self._begin(browser, session, model, other, readout)
        except InputError as error:
            return _nothing(views.message(str(error)))

    def show(self, model: str, other: str, readout: str, request: gr.Request) -> Any:
        """Another model or read-out was chosen."""
        return self._look(model, other, readout, request, lambda session: (session.face, session.expression))

    def choose(self, model: str, other: str, readout: str, event: gr.EventData, request: gr.Request) -> Any:
        """A face or an expression was chosen in the results, something was brushed over there, or a face that
        was not found is shown.
        """
        chosen = event._data if isinstance(event._data, dict) else {}
        if "way" in chosen or "box" in chosen:
            return self._look_anew(_way_of(chosen), model, other, readout, request)
        if "brush" in chosen:
            points = _points(chosen["brush"])
            return self._look(
                model,
                other,
                readout,
                request,
                lambda session: (None, None),
                lambda session: session.paint(points),
            )
        face, expression = chosen.get("face"), chosen.get("expression")
        if not (face is None or str(face).isdecimal()) or not (
            expression is None or expression in self._classes
        ):
            raise gr.Error(UNKNOWN, print_exception=False)
        index = None if face is None else int(face)
        return self._look(model, other, readout, request, lambda session: (index, expression))

    def click(self, model: str, other: str, readout: str, event: gr.EventData, request: gr.Request) -> Any:
        """A point of the photograph was chosen."""
        try:
            x, y = (float(value) for value in event._data["index"])
        except (TypeError, ValueError, KeyError):
            raise gr.Error(UNKNOWN, print_exception=False) from None
        return self._look(model, other, readout, request, lambda session: (session.face_at(x, y), None))

    def picture(self, model: str, other: str, readout: str, opacity: float, request: gr.Request) -> str:
        """The picture is wanted as a file."""
        return self._saved(
            model,
            other,
            readout,
            request,
            lambda shown: (".png", to_data_uri(views.picture(shown, _share(opacity)))),
        )

    def numbers(self, model: str, other: str, readout: str, request: gr.Request) -> str:
        """The numbers are wanted as a file."""

        def file(shown: list[FaceView]) -> tuple[str, str]:
            text = base64.b64encode(views.face_json(shown).encode()).decode()
            return ".json", f"data:application/json;base64,{text}"

        return self._saved(model, other, readout, request, file)

    def _look_anew(self, way: "_Way", model: str, other: str, readout: str, request: gr.Request) -> Any:
        session = self._sessions.get(_browser(request))
        if session is None:
            return _nothing(views.message(GONE))
        try:
            return self._begin(_browser(request), way(self._service, session), model, other, readout)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def _begin(self, browser: str, session: Session, model: str, other: str, readout: str) -> Any:
        """Everything anew: the photograph, what is said of it, and the options if there is a face."""
        results = self._results(session, model, other, readout)
        self._sessions.put(browser, session)
        return _inline(views.marked(session)), results, gr.Column(visible=bool(len(session.boxes)))

    def _look(
        self,
        model: str,
        other: str,
        readout: str,
        request: gr.Request,
        choice: Callable[[Session], tuple[int | None, str | None]],
        change: Callable[[Session], None] = lambda session: None,
    ) -> Any:
        session = self._sessions.get(_browser(request))
        if session is None:
            return _nothing(views.message(GONE))
        before = session.face
        try:
            session.look_at(*choice(session))
            change(session)
            results = self._results(session, model, other, readout)
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None
        marked = gr.skip() if session.face == before else _inline(views.marked(session))
        return marked, results, gr.skip()

    def _saved(
        self,
        model: str,
        other: str,
        readout: str,
        request: gr.Request,
        file: Callable[[list[FaceView]], tuple[str, str]],
    ) -> str:
        session = self._sessions.get(_browser(request))
        if session is None:
            raise gr.Error(GONE, print_exception=False)
        try:
            ending, uri = file(self._views(session, model, other, readout))
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from None
        which = f"_face{session.face + 1}" if len(session.boxes) > 1 else ""
        return json.dumps({"name": f"{session.name}{which}{ending}", "uri": uri})

    def _results(self, session: Session, model: str, other: str, readout: str) -> str:
        if not len(session.boxes):
            return views.no_face(session)
        return views.results(session, self._views(session, model, other, readout))

    def _views(self, session: Session, model: str, other: str, readout: str) -> list[FaceView]:
        if not all(isinstance(each, str) for each in (model, other, readout)):
            raise InputError(UNKNOWN)
        names = dict.fromkeys(name for name in (model, other) if name != _NONE)
        return [self._service.view(session, name, readout or None) for name in names]


def _nothing(results: str) -> tuple[None, str, gr.Column]:
    """The outputs of an event after which there is no photograph."""
    return None, results, gr.Column(visible=False)


def _name_of(file: dict[str, Any]) -> str:
    """What files of an uploaded photograph are called: as it is itself, without its ending."""
    given = file.get("orig_name")
    return output_stem(Path(given)) if isinstance(given, str) and Path(given).stem else "aucue"


def _inline(picture: Image.Image) -> dict[str, Any]:
    """A picture for Gradio that travels inside the answer, so that no file is written."""
    return ImageData(url=to_data_uri(picture, "jpeg"), orig_name="photograph.jpg").model_dump()


def _share(percent: object) -> float:
    if isinstance(percent, bool) or not isinstance(percent, int | float) or not 0 <= percent <= 100:
        raise InputError(UNKNOWN)
    return percent / 100


_Way = Callable[[Service, Session], Session]
"""Another look at a photograph."""

_WAYS: dict[str, _Way] = {
    "whole": lambda service, session: service.shown(session, WHOLE),
    "left": lambda service, session: service.turned(session, 1),
    "right": lambda service, session: service.turned(session, 3),
}


def _way_of(chosen: dict[str, Any]) -> _Way:
    """What somebody does about a face that was not found.

    Raises:
        gr.Error: It is none of the page's ways.
    """
    if "box" not in chosen:
        way = chosen["way"]
        if not isinstance(way, str) or way not in _WAYS:
            raise gr.Error(UNKNOWN, print_exception=False)
        return _WAYS[way]
    corners = _points(chosen["box"])
    if len(corners) != 2:
        raise gr.Error(UNKNOWN, print_exception=False)
    (left, top), (right, bottom) = corners
    return lambda service, session: service.shown(session, (left, top, right, bottom))


def _points(text: object) -> list[tuple[float, float]]:
    """Points of a stroke: "0.1,0.2 0.15,0.2"; none in an empty text.

    Raises:
        gr.Error: It is no such text.
    """
    if not isinstance(text, str) or not re.fullmatch(r"((0\.\d{3}|1\.000),(0\.\d{3}|1\.000)( |$))*", text):
        raise gr.Error(UNKNOWN, print_exception=False)
    pairs = (pair.split(",") for pair in text.split())
    return [(float(x), float(y)) for x, y in pairs]


def _browser(request: gr.Request) -> str:
    return request.session_hash or ""
