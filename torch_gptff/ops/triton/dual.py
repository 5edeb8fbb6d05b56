"""Numbers of a kernel, as tuples: a value alone, or a value and its derivative along one direction (a dual number).

A kernel that computes with these functions gives a function of plain inputs, and of inputs with tangents the derivative
of that function along the tangents: of a gradient, the product of the second derivatives with the tangents.
"""

import triton
import triton.language as tl


@triton.jit
def load(x, at):
    """Load a tensor, or a tensor and its tangent."""
    if len(x) == 1:
        return (tl.load(x[0] + at),)
    else:
        return tl.load(x[0] + at), tl.load(x[1] + at)


@triton.jit
def result(a):
    """The number to store: the value of a plain number, the derivative of a dual one."""
    return a[len(a) - 1]


@triton.jit
def chain(value, slope, a):
    """A function of ``a``, from its value and its slope there."""
    if len(a) == 1:
        return (value,)
    else:
        return value, slope * a[1]


@triton.jit
def add(a, b):
    if len(a) == 1:
        if len(b) == 1:
            return (a[0] + b[0],)
        else:
            return a[0] + b[0], b[1]
    else:
        if len(b) == 1:
            return a[0] + b[0], a[1]
        else:
            return a[0] + b[0], a[1] + b[1]


@triton.jit
def mul(a, b):
    if len(a) == 1:
        if len(b) == 1:
            return (a[0] * b[0],)
        else:
            return a[0] * b[0], a[0] * b[1]
    else:
        if len(b) == 1:
            return a[0] * b[0], a[1] * b[0]
        else:
            return a[0] * b[0], a[1] * b[0] + a[0] * b[1]


@triton.jit
def total(a, AXIS: tl.constexpr):
    """The sum along an axis, which stays with one entry."""
    if len(a) == 1:
        return (tl.sum(a[0], axis=AXIS, keep_dims=True),)
    else:
        return tl.sum(a[0], axis=AXIS, keep_dims=True), tl.sum(a[1], axis=AXIS, keep_dims=True)
