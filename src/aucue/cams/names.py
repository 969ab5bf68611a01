"""What read-outs are called; needs no torch, so that settings are read quickly."""

READOUT_NAMES = (
    "cam",
    "gradcam",
    "gradcam++",
    "gradcam++-fg2024",
    "layercam",
    "xgradcam",
    "adl-fg2024",
    "smoothgradcam++",
    "scorecam",
    "ss-cam",
    "is-cam",
)
"""The keys of `READOUTS`."""
