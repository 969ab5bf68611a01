"""The web page: a photograph in the browser -> expression, evidence and maps, on this machine alone.

`Service` holds the models and explains photographs, `views` turns explanations into HTML, pictures and JSON;
both know nothing of the web. `api`, `page` and `server` put them behind HTTP and need the extra `aucue[app]`.
"""

from aucue.app.service import Answer, FaceView, Service, Session, Sessions, names_of
from aucue.app.uploads import MAX_BYTES, MAX_PIXELS, read_upload

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "Answer",
    "Session",
    "Sessions",
    "Service",
    "FaceView",
    "names_of",
    "read_upload",
]
