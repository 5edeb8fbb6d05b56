"""The angle sum: its value and two derivatives, in every implementation, against one literal formula."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck, gradgradcheck

from torch_gptff.errors import GraphError
from torch_gptff.graph.angles import angle_pairs
from torch_gptff.graph.geometry import COSINE_SCALE
from torch_gptff.ops import Inputs, angle_sum, eager, native

Agree = Callable[[Sequence[Tensor], Sequence[Tensor], float], None]
PARAMETERS = Inputs._fields[4:]
PATHS = ("native", "eager")
WIDE = pytest.param(96, marks=pytest.mark.slow)  # its kernels are compiled for this test alone


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test that asks for it runs with the compiled kernels, and without."""
    use(request.param, monkeypatch)
    return request.param


def use(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if path == "eager":
        monkeypatch.setattr(native, "is_available", lambda dtype, channels: False)
    elif not native.is_available(torch.float32, 32):
        pytest.skip("there is no C++ compiler that makes the native kernels")


def random_inputs(n_bonds: int, channels: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x = Inputs(
        p=normal(n_bonds, channels),
        q=normal(n_bonds, channels),
        k=normal(n_bonds, channels),
        direction=torch.nn.functional.normalize(normal(n_bonds, 3), dim=-1),
        weight=normal(2 * channels, channels) / channels**0.5,
        bias=normal(2 * channels),
        angle_weight=normal(channels),
        angle_bias=normal(channels),
    )
    return Inputs(*(value.to(dtype) for value in x))


def pairs(*bonds_of_centre: int) -> Tensor:
    """All angles of centres with so many bonds each."""
    centre = torch.repeat_interleave(torch.tensor(bonds_of_centre))
    return angle_pairs(centre, torch.zeros(len(centre)), angle_cutoff=1.0)


def shuffled(angle_index: Tensor) -> Tensor:
    return angle_index[:, torch.randperm(angle_index.size(1), generator=torch.Generator().manual_seed(0))]


ANGLES = {
    "none": (3, torch.empty(2, 0, dtype=torch.int64)),
    "no bonds": (0, torch.empty(2, 0, dtype=torch.int64)),
    "one": (2, torch.tensor([[1], [0]])),
    "one centre": (8, pairs(8)),
    "crystal": (45, pairs(12, 0, 1, 2, 12, 5, 13)),
    "bonds without angles at both ends": (20, 5 + pairs(4, 6)),
    "shuffled": (40, shuffled(pairs(12, 2, 12, 14))),
    "centres in a mixed order": (30, pairs(10, 10, 10).view(2, 3, 90)[:, [2, 0, 1]].flatten(1)),
    "repeated": (6, pairs(6).repeat(1, 3)),
    "a bond with itself": (5, torch.tensor([[0, 1, 2, 2], [0, 1, 2, 4]])),
}
"""Numbers of bonds, and pairs of them: whatever is asked for is summed, also what no crystal has."""


def literal(x: Inputs, angle_index: Tensor) -> Tensor:
    """The formula as the docstring has it, on all angles at once."""
    i, j = angle_index
    h = torch.nn.functional.silu(x.p[i] + x.q[j])
    v, g = (h @ x.weight.T + x.bias).chunk(2, dim=-1)
    cosine = (x.direction[i] * x.direction[j]).sum(-1, keepdim=True) * COSINE_SCALE
    message = torch.nn.functional.silu(v) * g.sigmoid() * x.k[j] * (x.angle_weight * cosine + x.angle_bias)
    return torch.zeros_like(x.p).index_add(0, i, message)


def leaves(x: Inputs, names: tuple[str, ...] = Inputs._fields) -> Inputs:
    return Inputs(*(v.detach().requires_grad_(name in names) for name, v in zip(Inputs._fields, x, strict=True)))


def value_and_gradients(function: Callable[[Inputs, Tensor], Tensor], x: Inputs, angle_index: Tensor) -> list[Tensor]:
    """The sum, its gradient, and the gradient of a function of that gradient: as training on forces asks for them."""
    x = leaves(x)
    out = function(x, angle_index)
    first = grad(out.sin().sum(), x, create_graph=True)
    penalty = sum((g * torch.linspace(-1, 1, g.numel(), dtype=g.dtype).view_as(g)).sum() for g in first)
    penalty = penalty + first[3].square().sum()
    return [out.detach(), *(g.detach() for g in first), *grad(penalty, x)]


@pytest.mark.parametrize("angles", ANGLES)
def test_equals_literal_formula_with_both_derivatives(path: str, angles: str, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES[angles]
    x = random_inputs(n_bonds, 32)
    expected = value_and_gradients(literal, x, angle_index)
    assert_agree(value_and_gradients(angle_sum, x, angle_index), expected, epsilons=1000)


@pytest.mark.parametrize("channels", [4, 16, 32, 64, WIDE])
def test_float32_is_the_float64_result_to_rounding(path: str, channels: int, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, channels, torch.float32)
    exact = value_and_gradients(literal, Inputs(*(value.double() for value in x)), angle_index)
    assert_agree(value_and_gradients(angle_sum, x, angle_index), exact, epsilons=100)


@pytest.mark.parametrize(("dtype", "channels"), [(torch.float32, 64), (torch.float64, 64)])
def test_native_and_eager_agree(
    dtype: torch.dtype, channels: int, monkeypatch: pytest.MonkeyPatch, assert_agree: Agree
) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    results = {}
    for path in PATHS:
        with monkeypatch.context() as patch:
            use(path, patch)
            results[path] = value_and_gradients(angle_sum, random_inputs(n_bonds, channels, dtype), angle_index)
    assert_agree(results["native"], results["eager"], epsilons=200)


@pytest.mark.parametrize("channels", [4, 16, 48, 512])
def test_widths_that_have_no_native_kernels(channels: int) -> None:
    assert not native.is_available(torch.float64, channels)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bit_inputs_are_computed_in_float32(path: str, dtype: torch.dtype, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32, dtype)
    out = angle_sum(x, angle_index)
    assert out.dtype == torch.float32
    assert_agree([out], [literal(Inputs(*(value.double() for value in x)), angle_index)], epsilons=100)


# Derivatives


@pytest.mark.parametrize("channels", [4, 32])
def test_gradients_by_every_input(channels: int) -> None:
    """With 32 channels by the native kernels, where there are any; with 4 by chunks."""
    x = leaves(random_inputs(4, channels))
    angle_index = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 0, 0, 2]])
    assert gradcheck(lambda *values: angle_sum(Inputs(*values), angle_index), tuple(x), fast_mode=channels > 4)
    assert gradgradcheck(lambda *values: angle_sum(Inputs(*values), angle_index), tuple(x), fast_mode=channels > 4)


def test_second_gradients_with_frozen_parameters(path: str) -> None:
    x = leaves(random_inputs(4, 32), Inputs._fields[:4])
    angle_index = torch.tensor([[0, 0, 1, 2, 3], [1, 2, 0, 0, 2]])
    assert gradgradcheck(lambda *values: angle_sum(Inputs(*values, *x[4:]), angle_index), x[:4], fast_mode=True)


def test_gradients_of_a_force_loss_reach_the_parameters(path: str, assert_agree: Agree) -> None:
    """The derivative by parameters of a derivative by geometry; nobody looks at the first one by parameters."""
    n_bonds, angle_index = ANGLES["crystal"]
    results = []
    for function in (angle_sum, literal):
        x = leaves(random_inputs(n_bonds, 32))
        (force,) = grad(function(x, angle_index).sin().sum(), x.direction, create_graph=True)
        results.append(grad(force.square().sum(), x))
    assert_agree(results[0], results[1], epsilons=100)


@pytest.mark.parametrize("names", [Inputs._fields, Inputs._fields[:4]])
def test_what_is_kept_for_the_derivatives_changes_nothing(
    names: tuple[str, ...], assert_agree: Agree, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("native", monkeypatch)
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32)
    module = sys.modules[angle_sum.__module__]
    results = []
    for keeps in (True, False):
        monkeypatch.setattr(module, "_is_worth_keeping", lambda x, angle_index, keeps=keeps: keeps)
        results.append([*value_and_gradients(angle_sum, x, angle_index), *second_gradients(x, angle_index, names)])
    assert_agree(results[0], results[1], epsilons=10)


def second_gradients(x: Inputs, angle_index: Tensor, names: tuple[str, ...]) -> list[Tensor]:
    """Of a loss on the gradients by the bonds' inputs, as in training, by the named inputs."""
    x = leaves(x, names)
    first = grad(angle_sum(x, angle_index).sin().sum(), x[:4], create_graph=True)
    return list(grad(sum(g.square().sum() for g in first), [getattr(x, name) for name in names]))


@pytest.mark.parametrize("with_parameters", [True, False])
def test_derivative_of_the_gradient_operator(path: str, with_parameters: bool, assert_agree: Agree) -> None:
    """Where gradients by parameters were not asked for they are zero, and remain so when anything changes."""
    n_bonds, angle_index = ANGLES["crystal"]
    x = leaves(random_inputs(n_bonds, 32))
    dout = torch.randn(n_bonds, 32, dtype=torch.float64)
    results = []
    nothing = dout.new_empty(0, 64)
    for gradients in (
        torch.ops.torch_gptff.angle_sum_backward(dout, list(x), angle_index, nothing, with_parameters),
        grad((literal(x, angle_index) * dout).sum(), x, create_graph=True),
    ):
        seen = [
            g for g, name in zip(gradients, Inputs._fields, strict=True) if with_parameters or name not in PARAMETERS
        ]
        results.append([*gradients[: len(seen)], *grad(sum(g.square().sum() for g in gradients[: len(seen)]), x)])
    assert_agree(results[0], results[1], epsilons=1000)
    if not with_parameters:
        gradients = torch.ops.torch_gptff.angle_sum_backward(dout, list(x), angle_index, nothing, False)
        assert all(not g.any() for g in gradients[4:])
        assert all(g is None or not g.any() for g in grad(gradients[4].sum(), x, allow_unused=True))


def test_third_derivative_is_refused() -> None:
    x = leaves(random_inputs(3, 4))
    values = value = angle_sum(x, pairs(3))
    for _ in range(2):
        (value,) = grad(value.square().sum(), x.p, create_graph=True)
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        grad(value.sum(), x.p)
    assert values.requires_grad


# How it is computed makes no difference


def test_chunks_are_summed_to_the_whole(monkeypatch: pytest.MonkeyPatch, assert_agree: Agree) -> None:
    use("eager", monkeypatch)
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 8)
    whole = value_and_gradients(angle_sum, x, angle_index)
    for size in (1, 7, angle_index.size(1)):
        monkeypatch.setattr(eager, "CHUNK", size)
        assert_agree(value_and_gradients(angle_sum, x, angle_index), whole, epsilons=100)


@pytest.mark.parametrize("angles", ["crystal", "shuffled", "none", "one"])
def test_threads_change_rounding_only_and_the_same_number_nothing(
    angles: str, monkeypatch: pytest.MonkeyPatch, assert_agree: Agree, threads: Callable[[int], None]
) -> None:
    use("native", monkeypatch)
    n_bonds, angle_index = ANGLES[angles]
    x = random_inputs(n_bonds, 64, torch.float32)
    threads(1)
    serial = value_and_gradients(angle_sum, x, angle_index)
    for number in (2, 3, 5):
        threads(number)
        parallel = value_and_gradients(angle_sum, x, angle_index)
        assert_agree(parallel, serial, epsilons=100)
        again = value_and_gradients(angle_sum, x, angle_index)
        assert all(torch.equal(a, b) for a, b in zip(parallel, again, strict=True))


def test_strided_inputs(path: str, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32)
    strided = Inputs(*(torch.stack([v, v.new_full(v.shape, torch.nan)], dim=-1)[..., 0] for v in x))
    strided = strided._replace(p=x.p.T.contiguous().T)
    assert not any(value.is_contiguous() for value in strided)
    expected = value_and_gradients(angle_sum, x, angle_index)
    assert_agree(value_and_gradients(angle_sum, strided, angle_index.T.contiguous().T), expected, epsilons=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_gates(path: str, dtype: torch.dtype, assert_agree: Agree) -> None:
    """Far beyond where an exponential overflows."""
    x = random_inputs(5, 32, dtype)
    x = x._replace(bias=torch.linspace(-1, 1, 64, dtype=dtype) ** 3 * 1e6)
    exact = value_and_gradients(literal, Inputs(*(value.double() for value in x)), pairs(5))
    assert_agree(value_and_gradients(angle_sum, x, pairs(5)), exact, epsilons=100)


def test_nan_stays_where_it_belongs(path: str) -> None:
    """It reaches every bond that the broken one forms an angle with, and no other."""
    n_bonds, angle_index = 45, pairs(20, 25)
    for name in ("p", "q", "k", "direction"):
        x = random_inputs(n_bonds, 32)
        getattr(x, name)[7] = torch.nan
        is_nan = angle_sum(x, angle_index).isnan().any(dim=1)
        assert torch.equal(is_nan, literal(x, angle_index).isnan().any(dim=1))
        assert is_nan[:20].any()
        assert not is_nan[20:].any()


# Within the rest of PyTorch


@pytest.mark.slow
@pytest.mark.parametrize("channels", [4, 32])
@pytest.mark.parametrize("with_parameters", [True, False])
def test_operators_keep_their_promises(channels: int, with_parameters: bool) -> None:
    names = Inputs._fields if with_parameters else Inputs._fields[:4]
    x = leaves(random_inputs(5, channels), names)
    angle_index = pairs(3, 2)
    dout = torch.randn(5, channels, dtype=torch.float64, requires_grad=True)
    operators = torch.ops.torch_gptff
    t = [torch.randn_like(value) for value in x]
    frozen = [value.detach() for value in x]
    for keep in (False, True) if channels == 32 and native.is_available(torch.float64, 32) else (False,):
        torch.library.opcheck(operators.angle_sum, (*x, angle_index, keep))
        kept = operators.angle_sum(*frozen, angle_index, keep)[1]
        torch.library.opcheck(operators.angle_sum_backward, (dout, list(x), angle_index, kept, with_parameters))
        arguments = (t, dout.detach(), frozen, angle_index, kept, False, with_parameters)
        torch.library.opcheck(operators.angle_sum_double_backward, arguments)
    moved = (t, dout.detach(), frozen, angle_index, dout.new_empty(0, 2 * channels), True, True)
    torch.library.opcheck(operators.angle_sum_double_backward, moved)


def test_compiled_as_one_graph(assert_agree: Agree) -> None:
    torch._dynamo.reset()

    def loss(p: Tensor, x: Inputs, angle_index: Tensor) -> Tensor:
        return angle_sum(Inputs(p * 2, *x[1:]), angle_index).sin().sum()

    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32)
    results = []
    for function in (loss, torch.compile(loss, backend="aot_eager", fullgraph=True)):
        p = x.p.clone().requires_grad_()
        value = function(p, x, angle_index)
        results.append([value.detach(), *grad(value, p)])
    assert_agree(results[1], results[0], epsilons=100)


def test_autocast_is_not_let_in(path: str, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32, torch.float32)
    expected = value_and_gradients(angle_sum, x, angle_index)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        actual = value_and_gradients(angle_sum, x, angle_index)
    assert all(value.dtype == torch.float32 for value in actual)
    assert_agree(actual, expected, epsilons=0)


def test_functional_gradients(path: str, assert_agree: Agree) -> None:
    n_bonds, angle_index = ANGLES["crystal"]
    x = random_inputs(n_bonds, 32)

    def loss(function: Callable[[Inputs, Tensor], Tensor], direction: Tensor) -> Tensor:
        return function(x._replace(direction=direction), angle_index).sin().sum()

    def second(function: Callable[[Inputs, Tensor], Tensor]) -> Tensor:
        force = torch.func.grad(lambda u: loss(function, u))
        return torch.func.grad(lambda u: force(u).square().sum())(x.direction)

    assert_agree([second(angle_sum)], [second(literal)], epsilons=1000)


# Bad input


@pytest.mark.parametrize("bond", [-1, 8])
def test_angle_of_a_bond_that_does_not_exist(path: str, bond: int) -> None:
    angle_index = pairs(8)
    angle_index[1, 3] = bond
    with pytest.raises(GraphError, match=f"row 1 of angle_index points to row {bond} of 8"):
        angle_sum(random_inputs(8, 32), angle_index)


def test_inputs_that_do_not_fit_together(path: str) -> None:
    x = random_inputs(8, 32)
    with pytest.raises(GraphError, match=r"k is \[7, 32\], but \[8, 32\] fits"):
        angle_sum(x._replace(k=x.k[:7]), pairs(8))
    with pytest.raises(GraphError, match=r"angle_index is torch.int32 \[2, 56\]; it must be int64"):
        angle_sum(x, pairs(8).int())
    operator = torch.ops.torch_gptff.angle_sum
    with pytest.raises(GraphError, match=r"bias is torch.float32 on cpu, but p is torch.float64 on cpu"):
        operator(*x._replace(bias=x.bias.float()), pairs(8), False)
