"""`aucue train`: settings in, one model file out."""

from typing import Literal

from jsonargparse import Namespace

from aucue.classifiers.methods import METHODS
from aucue.cli.arguments import Parser
from aucue.training.config import TrainConfig
from aucue.training.recipe import RECIPES, changes_of_recipe, recipe_description, recipe_settings

DESCRIPTION = """Train an expression classifier, guided by action units or not.

Settings come from --recipe NAME, which sets guidance and balance, from --config FILE (YAML), which wins over
it, and from the options below, which win over both. The model lands in <out>/model.safetensors with
everything needed to use it. The same command continues an interrupted training. Unguided twin of a
configuration: --guidance.weight 0 --out ANOTHER."""


def run(argv: list[str]) -> int:
    """Parse settings, train, say where the model is."""
    parser = Parser(prog="aucue train", description=f"{DESCRIPTION}\n\n{_recipes()}\n\n{_methods()}")
    parser.add_argument("--config", action="config", help="YAML file with any of the settings below.")
    parser.add_argument("--recipe", type=Literal[RECIPES], help="Recipe that sets guidance and balance.")
    parser.add_argument("--overwrite", action="store_true", help="Start anew even if --out holds a training.")
    parser.add_class_arguments(TrainConfig)
    settings = parser.instantiate(_parse(parser, argv))
    names = TrainConfig.__dataclass_fields__
    config = TrainConfig(**{name: settings[name] for name in names})

    from aucue.training.fitting import fit
    from aucue.work import is_first_rank

    if settings.recipe and is_first_rank():
        for name, (value, of_recipe) in changes_of_recipe(config, settings.recipe).items():
            print(f"Note: {name} is {value}, not {of_recipe} as in the recipe {settings.recipe}.")
    model = fit(config, overwrite=settings.overwrite)
    if not is_first_rank():
        return 0
    print(f"Model: {model}")
    print(f"Next:  aucue evaluate {model} --data {config.data.path} --out {config.out}/evaluation")
    return 0


def _parse(parser: Parser, argv: list[str]) -> Namespace:
    """Parse; what the recipe sets takes the place of the defaults, so that everything given wins over it."""
    settings = parser.parse_args(argv)
    if settings.recipe is None:
        return settings
    parser.set_defaults(recipe_settings(settings.recipe))
    return parser.parse_args(argv)


def _recipes() -> str:
    """What --recipe chooses from."""
    return "Recipes:\n" + "\n".join(f"- {name}: {recipe_description(name)}" for name in RECIPES)


def _methods() -> str:
    """What --classifier.method chooses from, in a paragraph."""
    rows = [f"{row.name} ({row.title}, {row.citation})" for row in METHODS.values()]
    return f"Methods: {'; '.join(rows)}."
