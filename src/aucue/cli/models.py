"""`aucue models`: the models that can be used by name."""

from aucue.errors import InputError


def command(*, hub: bool = False, search: str | None = None) -> int:
    """List the models that --model and --from take by name: box, and those of a hub that are on this machine.

    Args:
        hub: Ask the hub which others it has.
        search: With --hub, a part of the name.
    """
    if search and not hub:
        raise InputError("--search has no effect without --hub; add it, or leave --search out.")
    from rich.table import Table

    from aucue.models.listing import ListedModel, models_here, models_of_hub
    from aucue.work.terminal import Terminal

    def add(model: ListedModel) -> None:
        card = model.card
        what = (len(card.classes), card.method, card.how_guided) if card else ("", "", "")
        size = f"{model.bytes / 2**20:.1f} MiB" if model.bytes else ""
        table.add_row(model.name, model.where, size, *map(str, what))

    table = Table(title="models")
    for heading in ("name", "where", "size", "classes", "method", "guidance"):
        table.add_column(heading)
    here = list(models_here())
    for model in here:
        add(model)
    for model in models_of_hub(search or "") if hub else ():
        if model.name not in {each.name for each in here}:
            add(model)
    terminal = Terminal()
    terminal.print(table)
    terminal.say("Use one by its name: aucue explain PHOTO --model NAME, aucue train --from NAME")
    return 0
