"""What the files of a training are called, in its folder, beside the model file (`models.naming`)."""

CONFIG_NAME = "config.yaml"
CHECKPOINTS, LAST, BEST = "checkpoints", "last.ckpt", "best.ckpt"

START = "start"
"""As a teacher: the model that a training starts from."""
