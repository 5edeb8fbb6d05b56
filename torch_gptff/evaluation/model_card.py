"""Model card: what a checkpoint states about itself, as part of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch_gptff.graph.checks import element_ranges
from torch_gptff.report import Report

if TYPE_CHECKING:
    from torch_gptff.potential import Potential


LONG = 300
"""Largest number of characters of a piece of the provenance that is not folded."""


def add_model_card(report: Report, potential: Potential) -> None:
    """Add name, size, limits, origin and configuration of the model."""
    model = potential.model
    report.heading("Model").facts(
        {
            "name": model.name,
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "elements": f"{len(model.elements)}: {element_ranges(model.elements)}",
            "cutoff of bonds": f"{model.cutoff:g} Å",
            "cutoff of angles": "no angles" if model.angle_cutoff is None else f"{model.angle_cutoff:g} Å",
            "local": model.is_local,
            "extensive": model.is_extensive,
            "smooth at the cutoffs": model.is_smooth,
            "sum over atoms": model.is_atomwise,
        }
    )
    report.heading("Limits")
    for limit in limits(potential):
        report.text(limit)
    report.heading("Origin of the weights")
    _add_provenance(report, potential.provenance)
    report.code(json.dumps(model.config.to_dict(), indent=2, ensure_ascii=False), "Configuration of the model")


def limits(potential: Potential) -> list[str]:
    """Limits of the model: from its declarations, and from ``limits`` in its provenance."""
    model = potential.model
    said = [
        f"Structures of elements other than {element_ranges(model.elements)} are refused.",
        f"Atoms further apart than {model.cutoff:g} Å see each other only through atoms between them: "
        "electrostatics and dispersion of longer range are left out."
        if model.is_local
        else "Every atom of a structure sees every other one, so that a structure cannot be divided among processes.",
    ]
    if not model.is_extensive:
        said.append("The energy is not extensive: several cells of a crystal have another energy per atom than one.")
    if not model.is_smooth:
        said.append(
            f"Energy and forces jump where a neighbour crosses a cutoff ({model.cutoff:g} Å for bonds): molecular "
            "dynamics does not conserve the energy, and equations of state have kinks."
        )
    if not model.is_atomwise:
        said.append("The energy is not a sum over atoms: there are no atomic energies.")
    given = potential.provenance.get("limits", [])
    return said + ([given] if isinstance(given, str) else [str(each) for each in given])


def _add_provenance(report: Report, provenance: Mapping[str, Any]) -> None:
    """Lists of tables, such as the sources of the data, as tables; long tables folded; everything else as facts.

    But for the limits, which have a chapter of their own.
    """
    provenance = {name: value for name, value in provenance.items() if name != "limits"}
    tables = {name: value for name, value in provenance.items() if _is_table(value)}
    folded = {name: value for name, value in provenance.items() if name not in tables and _is_long(value)}
    facts = {name: value for name, value in provenance.items() if name not in {*tables, *folded}}
    if facts:
        report.facts(facts)
    for name, rows in tables.items():
        columns = list(dict.fromkeys(key for row in rows for key in row))
        report.heading(_title(name), level=3)
        report.table(columns, [[_plain(row.get(column)) for column in columns] for row in rows])
    for name, value in folded.items():
        report.code(json.dumps(value, indent=2, ensure_ascii=False), _title(name))
    if not provenance:
        report.note("The checkpoint does not say where its weights come from.")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _is_long(value: Any) -> bool:
    return isinstance(value, Mapping | list) and len(json.dumps(value)) > LONG


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list) else value
