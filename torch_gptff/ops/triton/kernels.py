"""The angle sum, its gradient and the gradient of that, a block of angles to a program.

The mathematics, with the same names, is in :mod:`torch_gptff.ops.eager`. The two halves of ``W h + b``, the values
``v`` and the gates ``g``, are tiles of their own. Rows of a block beyond the last angle read zeros and add nothing.
"""

import triton
import triton.language as tl

# Helpers


@triton.jit
def block_of_angles(angle_index, count, BLOCK: tl.constexpr):
    """The bonds ``i`` and ``j`` of this program's angles, and which of them there are."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    real = at < count
    return tl.load(angle_index + at, mask=real, other=0), tl.load(angle_index + count + at, mask=real, other=0), real


@triton.jit
def rows(matrix, index, real, D: tl.constexpr):
    return tl.load(matrix + index[:, None] * D + tl.arange(0, D)[None, :], mask=real[:, None], other=0.0)


@triton.jit
def add_rows(matrix, index, real, values, D: tl.constexpr):
    at = matrix + index[:, None] * D + tl.arange(0, D)[None, :]
    tl.atomic_add(at, values, mask=real[:, None], sem="relaxed")


@triton.jit
def half(weight, D: tl.constexpr):
    """The ``[D, D]`` matrix that begins at a pointer."""
    n = tl.arange(0, D)
    return tl.load(weight + n[:, None] * D + n[None, :])


@triton.jit
def add_half(weight, values, D: tl.constexpr):
    n = tl.arange(0, D)
    tl.atomic_add(weight + n[:, None] * D + n[None, :], values, sem="relaxed")


@triton.jit
def row(vector, D: tl.constexpr):
    return tl.load(vector + tl.arange(0, D))[None, :]


@triton.jit
def add_row(vector, values, D: tl.constexpr):
    """Add the sum of ``values`` over the block."""
    tl.atomic_add(vector + tl.arange(0, D), tl.sum(values, axis=0), sem="relaxed")


@triton.jit
def products(a, i, b, j, real):
    """``a_i · b_j`` of vectors in space."""
    total = tl.load(a + 3 * i, mask=real, other=0.0) * tl.load(b + 3 * j, mask=real, other=0.0)
    for axis in tl.static_range(1, 3):
        total += tl.load(a + 3 * i + axis, mask=real, other=0.0) * tl.load(b + 3 * j + axis, mask=real, other=0.0)
    return total


@triton.jit
def add_scaled(a, i, scale, b, j, real):
    """``a_i += scale b_j`` of vectors in space."""
    for axis in tl.static_range(3):
        values = scale * tl.load(b + 3 * j + axis, mask=real, other=0.0)
        tl.atomic_add(a + 3 * i + axis, values, mask=real, sem="relaxed")


# Kernels


@triton.jit(do_not_specialize=["count"])
def forward(
    p, q, k, direction, weight, bias, angle_weight, angle_bias,
    out,
    angle_index, count,
    SCALE: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr, COPIES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i, j, real = block_of_angles(angle_index, count, BLOCK)
    w_v, w_g = half(weight, D), half(weight + D * D, D)
    z = rows(p, i, real, D) + rows(q, j, real, D)
    h = z * tl.sigmoid(z)
    v = tl.dot(h, tl.trans(w_v), input_precision=PRECISION) + row(bias, D)
    g = tl.dot(h, tl.trans(w_g), input_precision=PRECISION) + row(bias + D, D)
    cosine = products(direction, i, direction, j, real)[:, None] * SCALE
    c = cosine * row(angle_weight, D) + row(angle_bias, D)
    message = v * tl.sigmoid(v) * tl.sigmoid(g) * rows(k, j, real, D) * c
    add_rows(out, i, real, message, D)


@triton.jit(do_not_specialize=["count"])
def backward(
    dout,
    p, q, k, direction, weight, bias, angle_weight, angle_bias,
    d_p, d_q, d_k, d_direction, d_weight, d_bias, d_angle_weight, d_angle_bias,
    angle_index, count,
    SCALE: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr, COPIES: tl.constexpr, PRECISION: tl.constexpr,
    WITH_PARAMETERS: tl.constexpr,
):  # fmt: skip
    i, j, real = block_of_angles(angle_index, count, BLOCK)
    w_v, w_g = half(weight, D), half(weight + D * D, D)
    z = rows(p, i, real, D) + rows(q, j, real, D)
    sigma_z = tl.sigmoid(z)
    h = z * sigma_z
    v = tl.dot(h, tl.trans(w_v), input_precision=PRECISION) + row(bias, D)
    g = tl.dot(h, tl.trans(w_g), input_precision=PRECISION) + row(bias + D, D)
    sigma_v, sigma_g = tl.sigmoid(v), tl.sigmoid(g)
    s = v * sigma_v
    core = s * sigma_g
    cosine = products(direction, i, direction, j, real)[:, None] * SCALE
    w_a = row(angle_weight, D)
    c = cosine * w_a + row(angle_bias, D)

    dm = rows(dout, i, real, D)
    dmk = dm * rows(k, j, real, D)
    add_rows(d_k, j, real, dm * core * c, D)
    dc = dmk * core
    dmkc = dmk * c
    dy_v = dmkc * sigma_g * (sigma_v + s * (1 - sigma_v))
    dy_g = dmkc * core * (1 - sigma_g)
    dh = tl.dot(dy_v, w_v, input_precision=PRECISION)
    dh = tl.dot(dy_g, w_g, dh, input_precision=PRECISION)
    dz = dh * (sigma_z + h * (1 - sigma_z))
    add_rows(d_p, i, real, dz, D)
    add_rows(d_q, j, real, dz, D)
    dcosine = tl.sum(dc * w_a, axis=1) * SCALE
    add_scaled(d_direction, i, dcosine, direction, j, real)
    add_scaled(d_direction, j, dcosine, direction, i, real)
    if WITH_PARAMETERS:
        copy = tl.program_id(0) % COPIES
        d_weight += copy * 2 * D * D
        d_bias += copy * 2 * D
        add_half(d_weight, tl.dot(tl.trans(dy_v), h, input_precision=PRECISION), D)
        add_half(d_weight + D * D, tl.dot(tl.trans(dy_g), h, input_precision=PRECISION), D)
        add_row(d_bias, dy_v, D)
        add_row(d_bias + D, dy_g, D)
        add_row(d_angle_weight + copy * D, dc * cosine, D)
        add_row(d_angle_bias + copy * D, dc, D)


@triton.jit(do_not_specialize=["count"])
def double_backward(
    t_p, t_q, t_k, t_direction,
    dout,
    p, q, k, direction, weight, bias, angle_weight, angle_bias,
    ddout,
    d_p, d_q, d_k, d_direction, d_weight, d_bias, d_angle_weight, d_angle_bias,
    angle_index, count,
    SCALE: tl.constexpr, D: tl.constexpr, BLOCK: tl.constexpr, COPIES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    i, j, real = block_of_angles(angle_index, count, BLOCK)
    w_v, w_g = half(weight, D), half(weight + D * D, D)
    z = rows(p, i, real, D) + rows(q, j, real, D)
    sigma_z = tl.sigmoid(z)
    h = z * sigma_z
    slope_z = sigma_z + h * (1 - sigma_z)
    v = tl.dot(h, tl.trans(w_v), input_precision=PRECISION) + row(bias, D)
    g = tl.dot(h, tl.trans(w_g), input_precision=PRECISION) + row(bias + D, D)
    sigma_v, sigma_g = tl.sigmoid(v), tl.sigmoid(g)
    s = v * sigma_v
    slope_v = sigma_v + s * (1 - sigma_v)
    slope_g = sigma_g * (1 - sigma_g)
    cosine = products(direction, i, direction, j, real)[:, None] * SCALE
    w_a = row(angle_weight, D)
    c = cosine * w_a + row(angle_bias, D)

    # Tangents, forward.
    tz = rows(t_p, i, real, D) + rows(t_q, j, real, D)
    th = slope_z * tz
    tv = tl.dot(th, tl.trans(w_v), input_precision=PRECISION)
    tg = tl.dot(th, tl.trans(w_g), input_precision=PRECISION)
    ts, tsigma = slope_v * tv, slope_g * tg
    tcosine = products(t_direction, i, direction, j, real) + products(direction, i, t_direction, j, real)
    tcosine = tcosine[:, None] * SCALE
    tc = tcosine * w_a
    k_j, tk = rows(k, j, real, D), rows(t_k, j, real, D)
    kc, tkc = k_j * c, tk * c + k_j * tc
    core, tcore = s * sigma_g, ts * sigma_g + s * tsigma
    add_rows(ddout, i, real, tcore * kc + core * tkc, D)

    # Gradients, backward.
    dm = rows(dout, i, real, D)
    add_rows(d_k, j, real, dm * (tcore * c + core * tc), D)
    dc, dtc = dm * (tcore * k_j + core * tk), dm * core * k_j
    dcore, dtcore = dm * tkc, dm * kc
    ds, dts = dcore * sigma_g + dtcore * tsigma, dtcore * sigma_g
    dsigma, dtsigma = dcore * s + dtcore * ts, dtcore * s
    curve_v = sigma_v * (1 - sigma_v) * (2 + v * (1 - 2 * sigma_v))
    curve_g = slope_g * (1 - 2 * sigma_g)
    dy_v, dty_v = ds * slope_v + dts * curve_v * tv, dts * slope_v
    dy_g, dty_g = dsigma * slope_g + dtsigma * curve_g * tg, dtsigma * slope_g
    dh = tl.dot(dy_v, w_v, input_precision=PRECISION)
    dh = tl.dot(dy_g, w_g, dh, input_precision=PRECISION)
    dth = tl.dot(dty_v, w_v, input_precision=PRECISION)
    dth = tl.dot(dty_g, w_g, dth, input_precision=PRECISION)
    curve_z = sigma_z * (1 - sigma_z) * (2 + z * (1 - 2 * sigma_z))
    dz = dh * slope_z + dth * curve_z * tz
    add_rows(d_p, i, real, dz, D)
    add_rows(d_q, j, real, dz, D)
    dcosine = tl.sum(dc * w_a, axis=1) * SCALE
    dtcosine = tl.sum(dtc * w_a, axis=1) * SCALE
    add_scaled(d_direction, i, dcosine, direction, j, real)
    add_scaled(d_direction, i, dtcosine, t_direction, j, real)
    add_scaled(d_direction, j, dcosine, direction, i, real)
    add_scaled(d_direction, j, dtcosine, t_direction, i, real)

    copy = tl.program_id(0) % COPIES
    d_weight += copy * 2 * D * D
    d_bias += copy * 2 * D
    dw_v = tl.dot(tl.trans(dy_v), h, input_precision=PRECISION)
    dw_g = tl.dot(tl.trans(dy_g), h, input_precision=PRECISION)
    add_half(d_weight, tl.dot(tl.trans(dty_v), th, dw_v, input_precision=PRECISION), D)
    add_half(d_weight + D * D, tl.dot(tl.trans(dty_g), th, dw_g, input_precision=PRECISION), D)
    add_row(d_bias, dy_v, D)
    add_row(d_bias + D, dy_g, D)
    add_row(d_angle_weight + copy * D, dc * cosine + dtc * tcosine, D)
    add_row(d_angle_bias + copy * D, dc, D)
