"""Radial functions as a spline of a network: against SciPy's splines, and how they end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import Tensor
from torch.autograd import grad

from torch_gptff.nn import PolynomialEnvelope, RadialTable
from torch_gptff.ops.geometric_attention import Spline, columns

CHANNELS, DEGREE, HEADS, CUTOFF = 8, 2, 4, 4.3


@pytest.fixture(params=[False, True], ids=["first", "turning"])
def layer(request: pytest.FixtureRequest) -> RadialTable:
    table = RadialTable(CHANNELS, DEGREE, HEADS, request.param, CUTOFF, 6, num_radial=5, hidden_channels=7).double()
    table.reset_parameters()
    return table


def functions(layer: RadialTable, r: Tensor) -> Tensor:
    radial = layer()
    return Spline.at(r, radial).of(radial.table)


def parts(layer: RadialTable, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Functions of scores, of values, biases of scores, and the envelope."""
    scores, values, biases, envelope, _ = values.split([*layer.parts, 1, layer.filling], dim=-1)
    return scores, values, biases, envelope


def network(layer: RadialTable, r: Tensor) -> Tensor:
    n = torch.arange(1, 6, dtype=torch.float64)
    return layer.lin_out(
        torch.nn.functional.silu(layer.lin_hidden(2**0.5 * torch.sin(n * torch.pi * r[:, None] / CUTOFF)))
    )


def test_it_has_the_columns_that_the_operator_reads(layer: RadialTable) -> None:
    sets = 2 + DEGREE + (2 if "turning" in repr(layer) or layer.parts[1] == (DEGREE + 3) * CHANNELS else 0)
    radial = layer()
    assert radial.table.shape[1] == columns(CHANNELS, DEGREE, HEADS, sets == DEGREE + 4)[1]
    assert layer.parts == (CHANNELS, (sets - 1) * CHANNELS, HEADS)
    assert not radial.table[:, -layer.filling :].any()


def test_it_is_the_spline_of_the_network_under_the_envelope(layer: RadialTable) -> None:
    """SciPy's cubic spline of the same coefficients, with knots an eighth of an Å apart, of which the cutoff is one."""
    step = CUTOFF / 35
    knots = (torch.arange(38, dtype=torch.float64) - 1) * step
    envelope = PolynomialEnvelope(6, CUTOFF - step)(knots.clamp(min=0)).unsqueeze(-1)
    scores, values, biases = network(layer, knots).split(layer.parts, dim=1)
    coefficients = torch.cat([scores, layer.SCALE * envelope * values, biases, envelope], dim=1).detach()
    spline = BSpline((np.arange(42) - 3) * step, coefficients.numpy(), 3)

    r = torch.linspace(0.01, CUTOFF - 0.01, 97, dtype=torch.float64)
    found = functions(layer, r)[:, : coefficients.size(1)]
    torch.testing.assert_close(found, torch.from_numpy(spline(r.numpy())), atol=1e-12, rtol=0)


def test_it_is_near_the_network_itself(layer: RadialTable) -> None:
    """Splines are fine enough for the functions of the network."""
    r = torch.linspace(0.8, CUTOFF, 50, dtype=torch.float64)
    scores, _, biases, _ = parts(layer, functions(layer, r))
    wanted, _, wanted_biases = network(layer, r).split(layer.parts, dim=1)
    assert (scores - wanted).abs().max() < 0.1 * wanted.std()
    assert (biases - wanted_biases).abs().max() < 0.1 * wanted.std()


def test_value_slope_and_curvature_end_at_the_cutoff(layer: RadialTable) -> None:
    """Exactly at zero, there and beyond; just before, they are not zero."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        weight = torch.randn(layer.parts[1], generator=generator, dtype=torch.float64)

    def ends(r: Tensor) -> list[Tensor]:
        r = r.requires_grad_()
        _, values, _, envelope = parts(layer, functions(layer, r))
        found = []
        for value in (values @ weight, envelope.squeeze(-1)):
            (slope,) = grad(value.sum(), r, create_graph=True)
            (curvature,) = grad(slope.sum(), r, create_graph=True)
            found += [value, slope, curvature]
        return found

    beyond = torch.tensor([CUTOFF, CUTOFF + 1e-9, CUTOFF + 0.1, 10 * CUTOFF], dtype=torch.float64)
    for value in ends(beyond):
        assert not value.any()
    for value in ends(torch.tensor([CUTOFF - 0.4], dtype=torch.float64)):
        assert value.abs() > 1e-6
    for power, value in enumerate(ends(torch.tensor([CUTOFF - 1e-3], dtype=torch.float64))):
        assert value.abs() < 1e-3 ** (3 - power % 3)


def test_functions_of_scores_do_not_end(layer: RadialTable) -> None:
    """They weigh what has an envelope, and are continuous."""
    near, at, beyond = functions(layer, torch.tensor([CUTOFF - 1e-7, CUTOFF, CUTOFF + 1], dtype=torch.float64))
    scores, _, biases, _ = parts(layer, at)
    assert scores.abs().min() > 0
    assert biases.abs().min() > 0
    torch.testing.assert_close(near, at, atol=1e-5, rtol=0)
    assert torch.equal(at, beyond)


def test_the_envelope_is_one_near_the_atom(layer: RadialTable) -> None:
    r = torch.linspace(0, CUTOFF, 200, dtype=torch.float64)
    envelope = parts(layer, functions(layer, r))[-1].squeeze(-1)
    torch.testing.assert_close(envelope[:40], torch.ones(40, dtype=torch.float64), atol=2e-3, rtol=0)
    assert bool((envelope.diff() <= 1e-15).all())


def test_a_new_layer_has_functions_of_the_order_of_one() -> None:
    """However it comes to be: as it is made, and after its weights are drawn anew."""
    for drawn_anew in (False, True):
        torch.manual_seed(0)
        layer = RadialTable(64, 2, 4, True, 6.0, 6)
        if drawn_anew:
            layer.reset_parameters()
        scores, values, _, _ = parts(layer, functions(layer, torch.linspace(1.5, 3.0, 50)))
        assert 0.3 < scores.std() < 3
        assert 0.3 < values.std() / layer.SCALE < 3


def test_reset_parameters_draws_every_weight_by_the_seed(layer: RadialTable) -> None:
    def drawn(seed: int) -> list[Tensor]:
        torch.manual_seed(seed)
        layer.reset_parameters()
        return [weight.clone() for weight in layer.parameters()]

    for first, again, other in zip(drawn(1), drawn(1), drawn(2), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
