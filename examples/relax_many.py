"""Relax many crystals in batches, and resume after a stop.

    python examples/relax_many.py                                          # 12 alloys, effective medium theory
    python examples/relax_many.py --model gptff-v1 --files structures/*.cif

prints a line for every crystal when it is relaxed. Stop it at any time (also with kill -9) and start it again: crystals
that were relaxed are not computed again.
"""

import argparse
from collections.abc import Iterator
from itertools import combinations

from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from torch_gptff import load_pretrained
from torch_gptff.io.journal import Journal
from torch_gptff.io.structures import read_structures
from torch_gptff.workflows import Relaxation, relax_many


def alloys() -> Iterator[Atoms]:
    """Ordered alloys AB3 of two fcc metals (the structure of Cu3Au), each at the lattice constant of B."""
    for first, second in combinations(("Cu", "Ag", "Au", "Ni", "Pd", "Pt"), 2):
        atoms = bulk(second, cubic=True)
        atoms.symbols[0] = first
        yield atoms


def main(arguments: list[str] | None = None) -> dict[int, Relaxation]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a checkpoint; effective medium theory without it")
    parser.add_argument("--files", nargs="+", help="structure files; alloys of two fcc metals without them")
    parser.add_argument("--fmax", type=float, default=0.02, help="eV/Å")
    parser.add_argument("--number", type=int, default=12, help="of alloys")
    parser.add_argument("--journal", default="relax_many.jsonl")
    options = parser.parse_args(arguments)
    calculator = EMT() if options.model is None else load_pretrained(options.model)
    if options.files:
        structures = [atoms for file in options.files for atoms in read_structures(file)]
    else:
        structures = list(alloys())[: options.number]
    journal = Journal(options.journal, {"model": options.model, "fmax": options.fmax})
    print(f"{len(structures)} crystals, {len(journal)} of them done before")
    done: dict[int, Relaxation] = {}
    for number, result in relax_many(structures, calculator, fmax=options.fmax, journal=journal):
        formula = structures[number].symbols
        if not isinstance(result, Relaxation):
            print(f"{number} {formula}: {result}")
            continue
        change = result.final.get_volume() / result.initial.get_volume() - 1
        verdict = "converged" if result.converged else "NOT CONVERGED"
        print(f"{number} {formula}: {verdict} after {result.n_steps} steps, volume {100 * change:+.1f} %")
        done[number] = result
    return done


if __name__ == "__main__":
    main()
