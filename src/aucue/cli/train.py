"""`aucue train`: settings in, one model file out."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

from jsonargparse import ActionConfigFile, Namespace  # pyright: ignore[reportPrivateImportUsage]

from aucue.classifiers.methods import METHODS
from aucue.cli.arguments import Parser
from aucue.errors import InputError, require_extras
from aucue.models.naming import MODEL_FILE
from aucue.training.checks import check_set, check_settings, check_start
from aucue.training.config import CONFIGS, TrainConfig
from aucue.training.recipe import RECIPES, changes_of_recipe, recipe_description, recipe_settings
from aucue.work.files import printable, shipped
from aucue.work.tables import check_keys, did_you_mean, kind, read_mapping

DESCRIPTION = """Train an expression classifier, guided by action units or not.

Settings come from --from MODEL, which sets the network and what it starts from, from --recipe NAME, which
sets guidance and balance, from --config FILE (YAML), which wins over both, and from the options below, which
win over all. The model lands in <out>/model.safetensors with
everything needed to use it. The same command continues an interrupted training. Unguided twin of a
configuration: --guidance.weight 0 --out ANOTHER."""


def run(argv: list[str]) -> int:
    """Parse settings, train, say where the model is."""
    parser = Parser(prog="aucue train", description=f"{DESCRIPTION}\n\n{_recipes()}\n\n{_methods()}")
    parser.add_argument(
        "--config",
        action=_ConfigFile,
        help=f"YAML file with any of the settings below, or one of {', '.join(shipped(CONFIGS))}.",
    )
    parser.add_argument(
        "--from", type=str, help="Trained model to start from: box, a model file or hf:OWNER/NAME."
    )
    parser.add_argument("--recipe", type=Literal[RECIPES], help="Recipe that sets guidance and balance.")
    parser.add_argument("--overwrite", action="store_true", help="Start anew even if --out holds a training.")
    parser.add_class_arguments(TrainConfig)
    settings = parser.parse_args(argv)
    require_extras("lightning", "datasets")
    if not isinstance(settings.overwrite, bool):
        raise InputError(f"overwrite: true or false is needed, not {settings.overwrite!r}.")
    config = _config(parser, _with_defaults(parser, settings, argv))
    check_start(config, settings.overwrite)

    from aucue.models import load_card
    from aucue.training.fitting import fit
    from aucue.training.start import comparison_sentence
    from aucue.work import is_first_rank
    from aucue.work.terminal import Terminal

    terminal = Terminal()
    if settings.recipe and is_first_rank():
        for name, (value, of_recipe) in changes_of_recipe(config, settings.recipe).items():
            terminal.say(f"Note: {name} is {value}, not {of_recipe} as in the recipe {settings.recipe}.")
    if is_first_rank() and (started := _start(config)) is not None:
        terminal.say(started)
    if is_first_rank() and config.teacher is not None:
        terminal.say(f"Teacher: {config.teacher}; what it says of the training faces replaces their labels.")
    model = fit(config, overwrite=settings.overwrite)
    if not is_first_rank():
        return 0
    terminal.say(f"Model: {model}")
    starts = config.classifier.weights is not None
    if starts and (compared := comparison_sentence(load_card(model))) is not None:
        terminal.say(compared)
    if (split := _split_to_evaluate(config)) is not None:
        data = f"--data {config.data.path}{split}"
        terminal.say(f"Next:  aucue evaluate {model} {data} --out {config.out}/evaluation")
    return 0


class _ConfigFile(ActionConfigFile):
    """A file of settings, read once with errors that name it, before its values are parsed."""

    def __call__(self, parser: Any, cfg: Namespace, values: Any, option_string: str | None = None) -> None:
        """Take the settings of the file `values`."""
        values = _settings_file(values)
        settings = read_mapping(values)
        if not Path(values).is_file():  # a pipe: the parser reads it again, and would find nothing
            raise InputError(f"{printable(values)} is no file; save the settings in one.")
        _check_names(settings, TrainConfig, printable(values), ("from", "recipe", "overwrite"))
        super().__call__(parser, cfg, values, option_string)


def _settings_file(name: str) -> str:
    """A file of settings by its own name, or by that of one that comes with aucue."""
    ours = shipped(CONFIGS)
    if name in ours and not Path(name).exists():
        return str(ours[name])
    if not Path(name).suffix and not Path(name).exists():
        raise InputError(
            f"{printable(name)}: no such file, and none of {', '.join(ours)}.{did_you_mean(name, ours)}"
        )
    return name


def _check_names(settings: Mapping[str, Any], group: type, where: str, more: tuple[str, ...] = ()) -> None:
    """Refuse settings that no one knows, and groups of them that hold none."""
    check_keys(settings, (*(entry.name for entry in fields(group)), *more), where)
    hints = get_type_hints(group)
    for name, value in settings.items():
        if not is_dataclass(hint := hints.get(name)):
            continue
        if not isinstance(value, Mapping):
            raise InputError(
                f"{where}: '{name}:' needs settings below it, not {kind(value)}; give some or leave it out."
            )
        _check_names(value, hint, f"{where}, {name}")  # pyright: ignore[reportArgumentType]


def _start(config: TrainConfig) -> str | None:
    """What the training takes from a model."""
    from aucue.data import open_prepared
    from aucue.training.start import start_sentence

    try:
        return start_sentence(config, open_prepared(config.data.path).classes)
    except InputError:  # the training says it, unless it is finished and needs neither
        return None


def _split_to_evaluate(config: TrainConfig) -> str | None:
    """What names the faces that the next command can measure: nothing for `test`; None if there are none."""
    from aucue.data import open_prepared

    try:
        splits = open_prepared(config.data.path).splits
    except InputError:  # the model was there already, its faces are not
        return None
    if "test" in splits:
        return ""
    return " --split val" if "val" in splits else None


def _config(parser: Parser, settings: Namespace) -> TrainConfig:
    made = parser.instantiate(settings)
    return TrainConfig(**{name: made[name] for name in TrainConfig.__dataclass_fields__})


def _check_given(config: TrainConfig) -> None:
    """Refuse what is wrong whatever a model sets, before that is read, which needs torch."""
    check_settings(config)
    if not Path(config.out, MODEL_FILE).exists():  # a training that is finished needs no set
        check_set(config)


def _with_defaults(parser: Parser, settings: Namespace, argv: list[str]) -> Namespace:
    """The settings anew, where what a model and a recipe set is the default, so that what is given wins."""
    defaults: dict[str, Any] = {}
    if (model := settings["from"]) is not None:
        from aucue.models import require_file

        require_file(model)
        _check_given(_config(parser, settings))
        from aucue.training.start import model_settings

        defaults |= model_settings(model)
    if settings.recipe is not None:
        defaults |= recipe_settings(settings.recipe)
    if not defaults:
        return settings
    parser.set_defaults(defaults)
    return parser.parse_args(argv)


def _recipes() -> str:
    """What --recipe chooses from."""
    return "Recipes:\n" + "\n".join(f"- {name}: {recipe_description(name)}" for name in RECIPES)


def _methods() -> str:
    """What --classifier.method chooses from, in a paragraph."""
    rows = [f"{row.name} ({row.title}, {row.citation})" for row in METHODS.values()]
    return f"Methods: {'; '.join(rows)}."
