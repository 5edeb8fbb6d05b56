"""``torch-gptff info``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch_gptff.potential import Potential


def info(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            envvar="TORCH_GPTFF_MODEL",
            help="A checkpoint: [bold]gptff-universal[/bold], [bold]gptff-v1[/bold], [bold]gptff-v2[/bold], or a path.",
            show_default=False,
        ),
    ],
) -> None:
    """Describe a checkpoint: configuration, elements, properties, provenance."""
    from torch_gptff.io import load_pretrained

    sections = describe(load_pretrained(model))
    width = max(len(name) for rows in sections.values() for name in rows)
    blocks = (
        "\n".join([title, *(f"  {name:<{width}}  {value}" for name, value in rows.items())])
        for title, rows in sections.items()
    )
    typer.echo("\n\n".join(blocks))


def describe(potential: Potential) -> dict[str, dict[str, object]]:
    """Facts about a potential, by section and name."""
    from torch_gptff.graph.checks import element_ranges
    from torch_gptff.io import fingerprint
    from torch_gptff.io.fingerprint import of_compounds

    model = potential.model
    declared = {
        "local": model.is_local,
        "extensive": model.is_extensive,
        "smooth at the cutoffs": model.is_smooth,
        "sum over atoms": model.is_atomwise,
    }
    return {
        "model": {
            "name": model.name,
            "parameters": f"{sum(parameter.numel() for parameter in model.parameters()):,}",
            "dtype": str(model.dtype).removeprefix("torch."),
            "elements": f"{element_ranges(model.elements)} ({len(model.elements)})",
            "readouts": f"{model.num_readouts}{_calibrated(potential)}",
            "seen together": "not known"
            if potential.seen_pairs is None
            else f"{len(potential.seen_pairs):,} pairs of elements",
            "cutoff of bonds": f"{model.cutoff} Å",
            "cutoff of angles": "no angles" if model.angle_cutoff is None else f"{model.angle_cutoff} Å",
        },
        "references": _references(potential),
        "properties": {name: "yes" if value else "no" for name, value in declared.items()},
        "configuration": dict(model.config.to_dict()),
        "provenance": dict(potential.provenance) or {"unknown": ""},
        "fingerprint": {name: f"{energy:.6f} eV" for name, energy in of_compounds(fingerprint(potential)).items()},
    }


def _references(potential: Potential) -> dict[str, object]:
    """Each reference with the elements that it has energies of; the one in use is marked."""
    from torch_gptff.graph.checks import element_ranges

    rows: dict[str, object] = {
        name: f"{element_ranges(frozenset(table))} ({len(table)}){', in use' if name == potential.reference else ''}"
        for name, table in sorted(potential.references.items())
    }
    return rows if potential.reference is not None else {"without a name": "in use", **rows}


def _calibrated(potential: Potential) -> str:
    factors = potential.calibration
    if potential.model.num_readouts == 1:
        return ""
    if factors is None:
        return ", not calibrated"
    seen = "" if factors.seen is None else f", seen up to {1000 * factors.seen:.0f} meV/atom"
    if factors.errors is not None:
        return f", expected errors × {factors.energy:.3g} (energy), spread × {factors.forces:.3g} (forces){seen}"
    return f", spread × {factors.energy:.3g} (energy), × {factors.forces:.3g} (forces){seen}"
