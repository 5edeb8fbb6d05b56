"""Layers, each usable by itself in another network."""

from typing import TYPE_CHECKING

from torch_gptff.lazy import import_lazily

if TYPE_CHECKING:
    from torch_gptff.nn.angle_conv import AngleConv
    from torch_gptff.nn.atom_conv import AtomConv
    from torch_gptff.nn.bond_conv import BondConv
    from torch_gptff.nn.element_energies import ElementEnergies, ReferenceEnergies
    from torch_gptff.nn.envelope import NoEnvelope, PolynomialEnvelope, make_envelope
    from torch_gptff.nn.expected_errors import ExpectedErrors
    from torch_gptff.nn.generated import remove_generated_modules
    from torch_gptff.nn.geometric_attention import GeometricAttention
    from torch_gptff.nn.geometric_transformer import GeometricTransformer
    from torch_gptff.nn.harmonic_angle_conv import HarmonicAngleConv, legendre_sums
    from torch_gptff.nn.linear import BlockLinear, GatedLinear
    from torch_gptff.nn.radial import BesselBasis, RadialFeatures
    from torch_gptff.nn.radial_table import RadialTable
    from torch_gptff.nn.readout import AtomwiseReadout, PooledReadout, Readout, sum_by_structure
    from torch_gptff.nn.repulsion import ZBLRepulsion
    from torch_gptff.nn.transformer import GlobalAttention, GraphTransformer, LocalAttention
    from torch_gptff.ops.harmonics import spherical_harmonics

__all__ = [
    "AngleConv",
    "AtomConv",
    "AtomwiseReadout",
    "BesselBasis",
    "BlockLinear",
    "BondConv",
    "ElementEnergies",
    "ExpectedErrors",
    "GatedLinear",
    "GeometricAttention",
    "GeometricTransformer",
    "GlobalAttention",
    "GraphTransformer",
    "HarmonicAngleConv",
    "LocalAttention",
    "NoEnvelope",
    "PolynomialEnvelope",
    "PooledReadout",
    "RadialFeatures",
    "RadialTable",
    "Readout",
    "ReferenceEnergies",
    "ZBLRepulsion",
    "legendre_sums",
    "make_envelope",
    "remove_generated_modules",
    "spherical_harmonics",
    "sum_by_structure",
]

import_lazily(
    __name__,
    {
        ".angle_conv": "AngleConv",
        ".atom_conv": "AtomConv",
        ".bond_conv": "BondConv",
        ".element_energies": "ElementEnergies ReferenceEnergies",
        ".envelope": "NoEnvelope PolynomialEnvelope make_envelope",
        ".expected_errors": "ExpectedErrors",
        ".generated": "remove_generated_modules",
        ".geometric_attention": "GeometricAttention",
        ".geometric_transformer": "GeometricTransformer",
        ".harmonic_angle_conv": "HarmonicAngleConv legendre_sums",
        ".linear": "BlockLinear GatedLinear",
        ".radial": "BesselBasis RadialFeatures",
        ".radial_table": "RadialTable",
        ".readout": "AtomwiseReadout PooledReadout Readout sum_by_structure",
        ".repulsion": "ZBLRepulsion",
        ".transformer": "GlobalAttention GraphTransformer LocalAttention",
        "..ops.harmonics": "spherical_harmonics",
    },
)
