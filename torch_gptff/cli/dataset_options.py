"""Options of the readers of data, as the command line gives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

ReaderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="An option of the format of the data: [bold]naming=REF_[/bold], [bold]energy_key=dft_energy[/bold], ...",
        show_default=False,
    ),
]


def parsed(options: Sequence[str] | None) -> dict[str, Any]:
    """``["type_map=Li,O", "energy_key=dft"]`` as a dictionary.

    Raises:
        typer.BadParameter: there is no ``=`` in one.
    """
    values: dict[str, Any] = {}
    for option in options or ():
        key, equals, value = option.partition("=")
        if not equals:
            raise typer.BadParameter(f"{option!r} is not KEY=VALUE", param_hint="--option")
        values[key] = value.split(",") if key == "type_map" else value
    return values
