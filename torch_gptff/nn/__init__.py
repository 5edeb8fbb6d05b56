"""Layers, each usable by itself in another network."""

from torch_gptff.nn.angle_conv import AngleConv
from torch_gptff.nn.atom_conv import AtomConv
from torch_gptff.nn.bond_conv import BondConv
from torch_gptff.nn.element_energies import ElementEnergies
from torch_gptff.nn.envelope import NoEnvelope, PolynomialEnvelope, make_envelope
from torch_gptff.nn.linear import BlockLinear, GatedLinear
from torch_gptff.nn.radial import BesselBasis
from torch_gptff.nn.readout import AtomwiseReadout, PooledReadout, Readout, sum_by_structure
from torch_gptff.nn.transformer import GlobalAttention, GraphTransformer, LocalAttention

__all__ = [
    "AngleConv",
    "AtomConv",
    "AtomwiseReadout",
    "BesselBasis",
    "BlockLinear",
    "BondConv",
    "ElementEnergies",
    "GatedLinear",
    "GlobalAttention",
    "GraphTransformer",
    "LocalAttention",
    "NoEnvelope",
    "PolynomialEnvelope",
    "PooledReadout",
    "Readout",
    "make_envelope",
    "sum_by_structure",
]
