"""The graph record: atoms, bonds and angles of one structure or of a batch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from torch_gptff.errors import GraphError
from torch_gptff.notebook import facts_html

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Molecule, Structure


class CrystalData(Data):
    """Atoms in a (partly) periodic cell, the bonds between them and the angles between bonds.

    A :class:`torch_geometric.data.Data` that PyG's ``DataLoader`` and ``Batch`` put together and take apart.
    A field that has not been computed, or a label that is not known, is absent.

    Attributes:
        z: atomic numbers, int64, ``[N]``
        pos: Cartesian positions in Å, ``[N, 3]``
        cell: cell vectors in Å as rows, ``[1, 3, 3]`` (``[B, 3, 3]`` in a batch); zero where there is none
        pbc: whether each cell vector is a period, bool, ``[1, 3]``
        edge_index: bonds, ``[2, E]``; row 0 the neighbour ``j`` (PyG's source), row 1 the centre ``i`` (target);
            sorted by centre
        edge_shift: number of cells between neighbour and centre, integers ``[E, 3]``: ``r_ij = pos[j] + edge_shift @
            cell - pos[i]``
        angle_index: pairs of bonds with one centre, ``[2, A]``, as columns of ``edge_index``; an angle updates the
            bond in row 0
        energy: total energy in eV, ``[1]``
        forces: ``-dE/dpos`` in eV/Å, ``[N, 3]``
        stress: ``(1/V) dE/dstrain`` in eV/Å³, positive = tensile, ``[1, 3, 3]``
        batch: the structure every atom belongs to, ``[N]``; in a batch only
    """

    def __copy__(self) -> CrystalData:
        from torch_gptff.graph.rotation import warn_of_positions_alone

        warn_of_positions_alone(self, sys._getframe(1).f_back)  # the caller of copy.copy
        return super().__copy__()

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key == "angle_index":
            return self.num_edges
        return super().__inc__(key, value, *args, **kwargs)

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        if key in ("edge_index", "angle_index"):
            return 1
        return super().__cat_dim__(key, value, *args, **kwargs)

    def _repr_html_(self) -> str:
        """Formula, cell and numbers of atoms and bonds, in a notebook."""
        from torch_gptff.graph.formula import reduced_formula

        facts = {name: str(list(value.shape)) for name, value in self.to_dict().items() if isinstance(value, Tensor)}
        if "z" in self and "cell" in self and self.cell.size(0) == 1 and len(self.z):
            lengths = self.cell[0].detach().norm(dim=1).tolist()
            told = {"formula": reduced_formula(self.z.cpu().numpy()), "atoms": str(len(self.z))}
            told["periodic along"] = ", ".join(n for n, p in zip("abc", self.pbc[0].tolist(), strict=True) if p) or "–"
            if any(lengths):
                told["a, b, c"] = ", ".join(f"{length:.4f}" for length in lengths) + " Å"
            facts = {**told, **facts}
        return facts_html(type(self).__name__, facts)

    @classmethod
    def from_tensors(
        cls,
        z: Tensor,
        pos: Tensor,
        batch: Tensor | None = None,
        cell: Tensor | None = None,
        pbc: Tensor | Sequence[bool] | bool | None = None,
    ) -> CrystalData:
        """One record of ``B`` structures from the tensors that PyG models are called with.

        Args:
            z: atomic numbers, ``[N]``
            pos: positions in Å, ``[N, 3]``
            batch: the structure of every atom, ascending, ``[N]``; ``None`` for one structure
            cell: cell vectors as rows in Å, ``[B, 3, 3]``; ``None`` for molecules
            pbc: the periodic directions, ``[B, 3]``, or one choice (three or a single bool) for all structures;
                ``None`` means every direction where there is a ``cell``, and none otherwise

        Raises:
            GraphError: shapes do not fit together.
        """
        if z.dim() != 1 or pos.shape != (len(z), 3):
            raise GraphError(f"z must be [N] and pos [N, 3]; got {list(z.shape)} and {list(pos.shape)}")
        if batch is not None and batch.shape != z.shape:
            raise GraphError(f"batch must be [N] like z; got {list(batch.shape)} and {list(z.shape)}")
        n_structures = structure_count(batch) if cell is None else cell.size(0)
        if cell is not None and cell.shape != (n_structures, 3, 3):
            raise GraphError(f"cell must be [B, 3, 3], one for each structure; got {list(cell.shape)}")
        if batch is None and n_structures != 1:
            raise GraphError(f"{n_structures} cells but no batch: say which structure each atom belongs to")
        if batch is not None and len(batch) and not torch.compiler.is_compiling():
            if int(batch.max()) >= n_structures:
                raise GraphError(f"batch names structure {int(batch.max())}, but there are {n_structures} cells")
            if bool((batch.diff() < 0).any()):
                raise GraphError("batch must be ascending: the atoms of one structure stand together")
        periodic = torch.as_tensor(cell is not None if pbc is None else pbc, dtype=torch.bool, device=pos.device)
        if periodic.shape not in ((), (1,), (3,), (1, 3), (n_structures, 3)):
            raise GraphError(f"pbc must be [B, 3], three bools or one; got {list(periodic.shape)}")
        return cls(
            z=z,
            pos=pos,
            cell=pos.new_zeros(n_structures, 3, 3) if cell is None else cell,
            pbc=periodic.expand(n_structures, 3).clone(),
            **({} if batch is None else {"batch": batch}),
        )

    @classmethod
    def from_ase(cls, atoms: Atoms, dtype: torch.dtype = torch.float64) -> CrystalData:
        """Atoms without labels; see :func:`torch_gptff.graph.convert.from_ase`."""
        from torch_gptff.graph.convert import from_ase

        return from_ase(atoms, dtype)

    @classmethod
    def from_pymatgen(cls, structure: Structure | Molecule, dtype: torch.dtype = torch.float64) -> CrystalData:
        """See :func:`torch_gptff.graph.convert.from_pymatgen`."""
        from torch_gptff.graph.convert import from_pymatgen

        return from_pymatgen(structure, dtype)

    def to_ase(self) -> Atoms:
        """Atoms without labels; see :func:`torch_gptff.graph.convert.to_ase`."""
        from torch_gptff.graph.convert import to_ase

        return to_ase(self)

    def to_pymatgen(self) -> Structure | Molecule:
        """See :func:`torch_gptff.graph.convert.to_pymatgen`."""
        from torch_gptff.graph.convert import to_pymatgen

        return to_pymatgen(self)


def structure_index(data: Data) -> tuple[Tensor, int]:
    """The structure that every atom belongs to, int64 ``[N]``, and the number of structures ``B``."""
    batch = data.get("batch")
    if batch is None:
        batch = torch.zeros_like(data.z)
    return batch, data.cell.size(0)


def structure_count(batch: Tensor | None) -> int:
    """Number of structures of the atoms of ``batch`` ``[N]``."""
    return 1 if batch is None or len(batch) == 0 else int(batch.max()) + 1
