"""`aucue import-fg2024`: a checkpoint that the authors of the paper release -> a model file."""

from pathlib import Path


def command(
    model: Path,
    config: Path,
    *,
    out: Path,
    classes: Path | None = None,
    overwrite: bool = False,
) -> int:
    """Turn a released checkpoint of the FG 2024 paper into a model file of aucue.

    All of its methods are read: CAM, GradCAM, GradCAM++, LayerCAM, WILDCAT, ACoL, PRM, ADL, CutMix, TS-CAM
    and APViT. The checkpoint is never unpickled. Tensors that do not fit are named.

    Args:
        model: The checkpoint, model.pt.
        config: Its configuration, config_model.yaml.
        out: Model file to write (.safetensors).
        classes: The set's class_id.yaml; by default the published ids of RAF-DB and AffectNet (neutral 0,
            happiness 1, surprise 2, fear 3, anger 4, disgust 5, sadness 6).
        overwrite: Replace the file in --out.
    """
    from aucue.data.sources.folds import read_class_ids
    from aucue.facs import EXPRESSIONS
    from aucue.models import require_file
    from aucue.work.files import check_free

    require_file(model)
    check_free(out.parent, [out.name], overwrite)
    from aucue.models import save_model
    from aucue.models.fg2024 import import_checkpoint
    from aucue.work.terminal import Terminal

    names = EXPRESSIONS if classes is None else read_class_ids(classes)
    classifier, info = import_checkpoint(model, config, names)
    save_model(out, classifier, info, overwrite)
    Terminal().say(
        f"{out}: {info.method} on {classifier.config['backbone']}, "
        f"{classifier.input_size} x {classifier.input_size} images, {info.how_guided}",
        f"Next: aucue explain PHOTO --model {out}",
    )
    return 0
