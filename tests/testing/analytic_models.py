"""A small energy model that has every property a model can have, and models each broken in one way.

Each broken one is a potential that the conformance suite must find out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from torch_gptff.graph import structure_index
from torch_gptff.models import EnergyModel
from torch_gptff.nn import PolynomialEnvelope, sum_by_structure
from torch_gptff.potential import Potential, Prediction


class PairsAndAngles(EnergyModel):
    """Soft repulsion of pairs and a penalty on angles, under smooth envelopes, in the manner of Stillinger and Weber.

    ``E_i = tanh(Σ_j a_i a_j u(r_ij) exp(−r_ij)) + b Σ_jk v(r_ij) v(r_ik) (cos θ_jik + 1/3)²``
    """

    name = "pairs-and-angles"
    cutoff = 4.5
    angle_cutoff = 3.2
    elements = frozenset(range(1, 95))
    is_atomwise = True
    is_local = True
    is_extensive = True
    is_smooth = True

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(1 + torch.arange(95, dtype=torch.float64) / 100)
        self.stiffness = nn.Parameter(torch.tensor([0.02], dtype=torch.float64))
        self.envelope = PolynomialEnvelope(6, self.cutoff)
        self.angle_envelope = PolynomialEnvelope(6, self.angle_cutoff)

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        return sum_by_structure(self.atomic_energies(graph, vectors), *structure_index(graph))

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        centre = graph.edge_index[1]
        lengths = vectors.norm(dim=-1)
        pairs = self.pair_energies(graph, lengths)
        shares = pairs.new_zeros(len(graph.z)).index_add(0, centre, pairs)
        first, second = graph.angle_index
        weight = self.angle_envelope(lengths)
        cosine = (vectors[first] * vectors[second]).sum(dim=-1) / (lengths[first] * lengths[second])
        angles = self.stiffness * weight[first] * weight[second] * (cosine + 1 / 3) ** 2
        return (torch.tanh(shares).index_add(0, centre[first], angles)).double()

    def pair_energies(self, graph: Data, lengths: Tensor) -> Tensor:
        strength = self.strength[graph.z]
        neighbour, centre = graph.edge_index
        return strength[neighbour] * strength[centre] * self.envelope(lengths) * torch.exp(-lengths)


class ForcesNotOfTheEnergy(Potential):
    """Forces of a head of their own, a little off the gradient."""

    def evaluate(self, graph: Data, **wanted: bool) -> Prediction:
        found = super().evaluate(graph, **wanted)
        forces = None if found.forces is None else 1.001 * found.forces
        return Prediction(found.energy, forces, found.stress, found.energies)


class StressOfTheWrongSign(Potential):
    def evaluate(self, graph: Data, **wanted: bool) -> Prediction:
        found = super().evaluate(graph, **wanted)
        return Prediction(found.energy, found.forces, None if found.stress is None else -found.stress, found.energies)


class StressOfASignedVolume(Potential):
    """Right in every right-handed cell."""

    def evaluate(self, graph: Data, **wanted: bool) -> Prediction:
        found = super().evaluate(graph, **wanted)
        sign = torch.linalg.det(graph.cell).sign().view(-1, 1, 1)
        return Prediction(
            found.energy, found.forces, None if found.stress is None else sign * found.stress, found.energies
        )


class ForcesCutOff(Potential):
    """Forces that a loss cannot be differentiated through."""

    def evaluate(self, graph: Data, **wanted: bool) -> Prediction:
        found = super().evaluate(graph, **wanted)
        forces = None if found.forces is None else found.forces.detach().requires_grad_()
        return Prediction(found.energy, forces, found.stress, found.energies)


class JumpAtTheCutoff(PairsAndAngles):
    def pair_energies(self, graph: Data, lengths: Tensor) -> Tensor:
        return super().pair_energies(graph, lengths) + 1e-3 * (1 + graph.z[graph.edge_index[0]])


class KinkAtTheCutoff(PairsAndAngles):
    """A continuous energy whose forces jump."""

    def pair_energies(self, graph: Data, lengths: Tensor) -> Tensor:
        return super().pair_energies(graph, lengths) + 1e-3 * (self.cutoff - lengths)


class JumpAtTheAngleCutoff(PairsAndAngles):
    def __init__(self) -> None:
        super().__init__()
        self.angle_envelope = PolynomialEnvelope(6, self.cutoff)


class JumpsAndSaysSo(JumpAtTheCutoff):
    is_smooth = False


class SmoothButDeniesIt(PairsAndAngles):
    is_smooth = False


class SeesThePosition(PairsAndAngles):
    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        return super().atomic_energies(graph, vectors) + 1e-4 * graph.pos.sum(dim=-1)


class SeesTheAxes(PairsAndAngles):
    """A term that knows up from sideways."""

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        weight = self.envelope(vectors.norm(dim=-1)) * vectors[:, 2] ** 2
        extra = weight.new_zeros(len(graph.z)).index_add(0, graph.edge_index[1], weight)
        return super().atomic_energies(graph, vectors) + 1e-4 * extra


class SeesHandedness(PairsAndAngles):
    """A pseudoscalar: the volume that three weighted sums of an atom's bonds span."""

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        neighbour, centre = graph.edge_index
        weight = self.envelope(vectors.norm(dim=-1)) * self.strength[graph.z][neighbour]
        sums = [
            vectors.new_zeros(len(graph.z), 3).index_add(
                0, centre, (weight * vectors.norm(dim=-1) ** power).unsqueeze(-1) * vectors
            )
            for power in range(3)
        ]
        return super().atomic_energies(graph, vectors) + 1e-4 * torch.stack(sums, dim=-1).det()


class SeesTheOrderOfAtoms(PairsAndAngles):
    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        return super().atomic_energies(graph, vectors) * (1 + 1e-3 * torch.arange(len(graph.z)))


class IgnoresImages(PairsAndAngles):
    """Bonds of an atom to its own images left out, as in a test of ``i != j``."""

    def pair_energies(self, graph: Data, lengths: Tensor) -> Tensor:
        neighbour, centre = graph.edge_index
        return super().pair_energies(graph, lengths) * (neighbour != centre)


class Pooled(PairsAndAngles):
    """A function of the sum over atoms, and says that it is a sum of functions."""

    is_atomwise = False
    is_local = False

    def interaction_energy(self, graph: Data, vectors: Tensor) -> Tensor:
        total = super().interaction_energy(graph, vectors)
        return total + 1e-3 * total**2


class ExtensiveButDeniesIt(PairsAndAngles):
    is_extensive = False


class LocalButDeniesIt(PairsAndAngles):
    is_local = False


class ActsAtADistance(PairsAndAngles):
    """Every atom feels the mean of all others, and says that it feels its neighbours alone."""

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        batch, n_structures = structure_index(graph)
        own = super().atomic_energies(graph, vectors)
        mean = sum_by_structure(own, batch, n_structures) / torch.bincount(batch, minlength=n_structures)
        return own * (1 + 1e-3 * mean[batch])


class SeesTheBatch(PairsAndAngles):
    """A normalization over all atoms of a batch."""

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        return super().atomic_energies(graph, vectors) + 1e-6 * graph.z.double().mean()


class ChangesItsInput(PairsAndAngles):
    """Atoms centred in place."""

    def build_graph(self, data: Data, backend: str | None = None) -> Data:
        data.pos -= data.pos.mean(dim=0)
        return super().build_graph(data, backend)


class AddsToItsInput(PairsAndAngles):
    def build_graph(self, data: Data, backend: str | None = None) -> Data:
        data.n_atoms = torch.tensor([len(data.z)])
        return super().build_graph(data, backend)


class Remembers(PairsAndAngles):
    """A running average, as a normalization layer left in training mode keeps."""

    calls = 0

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        self.calls += 1
        return super().atomic_energies(graph, vectors) * (1 + 1e-6 * self.calls)


class SeesTheOrderOfBonds(PairsAndAngles):
    def pair_energies(self, graph: Data, lengths: Tensor) -> Tensor:
        centre = graph.edge_index[1]
        is_first = torch.cat([centre.new_ones(1), centre.diff()])[: len(centre)] != 0
        return super().pair_energies(graph, lengths) * (1 + 1e-3 * is_first)


class HasADeadParameter(PairsAndAngles):
    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(3, dtype=torch.float64))


class LosesDigits(PairsAndAngles):
    """A large constant that is added and taken away again."""

    def atomic_energies(self, graph: Data, vectors: Tensor) -> Tensor:
        large = 1e3 * self.strength[graph.z]
        return ((super().atomic_energies(graph, vectors).to(vectors.dtype) + large) - large).double()


class TakesAnyElement(PairsAndAngles):
    def build_graph(self, data: Data, backend: str | None = None) -> Data:
        known = data.clone()
        known.z = data.z.clamp(1, 94)
        return super().build_graph(known, backend)
