"""aucue: guided, interpretable facial-expression recognition."""

from aucue._torchvision import ensure_importable

ensure_importable()
