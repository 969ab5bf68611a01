"""`aucue train`: settings in, one model file out."""

from aucue.classifiers.methods import METHODS
from aucue.cli.arguments import Parser
from aucue.training.config import TrainConfig

DESCRIPTION = """Train an expression classifier, guided by action units or not.

Settings come from --config FILE (YAML) and from the options below, which win. The model lands in
<out>/model.safetensors with everything needed to use it. The same command continues an interrupted training.
Unguided twin of a configuration: --guidance.weight 0 --out ANOTHER."""


def run(argv: list[str]) -> int:
    """Parse settings, train, say where the model is."""
    parser = Parser(prog="aucue train", description=f"{DESCRIPTION}\n\n{_methods()}")
    parser.add_argument("--config", action="config", help="YAML file with any of the settings below.")
    parser.add_argument("--overwrite", action="store_true", help="Start anew even if --out holds a training.")
    parser.add_class_arguments(TrainConfig)
    settings = parser.instantiate(parser.parse_args(argv))
    names = TrainConfig.__dataclass_fields__
    config = TrainConfig(**{name: settings[name] for name in names})

    from aucue.data import is_first_rank
    from aucue.training.fit import fit

    model = fit(config, overwrite=settings.overwrite)
    if not is_first_rank():
        return 0
    print(f"Model: {model}")
    print(f"Next:  aucue evaluate {model} --data {config.data.path} --out {config.out}/evaluation")
    return 0


def _methods() -> str:
    """What --classifier.method chooses from, in a paragraph."""
    rows = [f"{row.name} ({row.title}, {row.citation})" for row in METHODS.values()]
    return f"Methods: {'; '.join(rows)}."
