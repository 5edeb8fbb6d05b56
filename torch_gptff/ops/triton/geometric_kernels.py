"""Geometric attention and tensor products on a GPU, with their gradients; of dual numbers, the gradients of those.

The mathematics, with the same names, is in :mod:`torch_gptff.ops.geometric_attention` and
:mod:`torch_gptff.ops.tensor_product`. An input is a tuple of its pointer and, for dual numbers, that of its tangent.
"""

import triton
import triton.language as tl

from torch_gptff.ops.triton.dual import add, chain, load, mul, result, total

# Radial functions. `knots` are the first row of the table that meets at each bond, and of the four pieces of the
# B-spline the weights and their slopes by the length.


@triton.jit
def spline(length, PER_ANGSTROM: tl.constexpr, ROWS: tl.constexpr):
    u = length[0] * PER_ANGSTROM
    # Beyond the last knot the functions stay as they are there.
    per = tl.where(u < ROWS - 3, PER_ANGSTROM, 0.0).to(u.dtype)
    u = tl.minimum(u, ROWS - 3)
    row = tl.minimum(u.to(tl.int64), ROWS - 4)
    t = u - row
    s = 1 - t
    w_0, w_1, w_2, w_3 = s * s * s / 6, t * t * (t / 2 - 1) + 2 / 3, s * s * (s / 2 - 1) + 2 / 3, t * t * t / 6
    d_0, d_1, d_2, d_3 = -s * s / 2 * per, t * (1.5 * t - 2) * per, s * (2 - 1.5 * s) * per, t * t / 2 * per
    per *= per
    weight = chain(w_0, d_0, length), chain(w_1, d_1, length), chain(w_2, d_2, length), chain(w_3, d_3, length)
    slope = (
        chain(d_0, s * per, length),
        chain(d_1, (3 * t - 2) * per, length),
        chain(d_2, (3 * s - 2) * per, length),
        chain(d_3, t * per, length),
    )
    return row, weight, slope


@triton.jit
def knots_of(table, knots, column, STRIDE: tl.constexpr):
    """The four coefficients of functions that meet at each bond."""
    at = knots[0] * STRIDE + column
    return load(table, at), load(table, at + STRIDE), load(table, at + 2 * STRIDE), load(table, at + 3 * STRIDE)


@triton.jit
def mix(weight, rows):
    return add(
        add(mul(weight[0], rows[0]), mul(weight[1], rows[1])), add(mul(weight[2], rows[2]), mul(weight[3], rows[3]))
    )


@triton.jit
def radial(table, knots, column, STRIDE: tl.constexpr):
    """Radial functions at each bond."""
    return mix(knots[1], knots_of(table, knots, column, STRIDE))


@triton.jit
def radial_and_slope(table, knots, column, STRIDE: tl.constexpr):
    rows = knots_of(table, knots, column, STRIDE)
    return mix(knots[1], rows), mix(knots[2], rows)


@triton.jit
def add_to_table(d_table, knots, column, gradient, real, STRIDE: tl.constexpr):
    if d_table is not None:
        for k in tl.static_range(4):
            at = d_table + (knots[0] + k) * STRIDE + column
            tl.atomic_add(at, result(mul(gradient, knots[1][k])), mask=real, sem="relaxed")


# Attention: a program has the bonds of one centre, in blocks, and the channels of one head.
# Tiles are [bonds, channels]. A block's bonds beyond the last of the centre are that one again, with the weight zero.


@triton.jit
def weigh(
    x, q, block, end, neighbour, h, channel,
    BONDS: tl.constexpr, C: tl.constexpr, SCORES: tl.constexpr, STRIDE: tl.constexpr,
    PER_ANGSTROM: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """A block of bonds: their numbers, which of them are there, their neighbours, knots and weights."""
    key, length, table = x[1], x[3], x[6]
    e = block + tl.arange(0, BONDS)[:, None]
    real = e < end
    e = tl.minimum(e, end - 1)
    j = tl.load(neighbour + e)
    knots = spline(load(length, e), PER_ANGSTROM, ROWS)
    product = mul(mul(q, radial(table, knots, channel, STRIDE)), load(key, j * C + channel))
    score = add(total(product, 1), radial(table, knots, SCORES + h, STRIDE))
    g = tl.where(real, 2 * tl.sigmoid(score[0]), 0.0)
    return e, real, j, knots, chain(g, g * (1 - g / 2), score)


@triton.jit
def attention_forward(
    x, out, offsets, neighbour,
    BONDS: tl.constexpr, C: tl.constexpr, HEADS: tl.constexpr, L: tl.constexpr, SCORES: tl.constexpr,
    STRIDE: tl.constexpr, PER_ANGSTROM: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    query, value, harmonics, turning, table = x[0], x[2], x[4], x[5], x[6]
    WIDTH: tl.constexpr = C // HEADS
    COMPONENTS: tl.constexpr = (L + 1) * (L + 1)
    i, h = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = h * WIDTH + tl.arange(0, WIDTH)[None, :]
    start, end = tl.load(offsets + i), tl.load(offsets + i + 1)
    q = load(query, i * C + channel)
    sums = (tl.zeros([BONDS, WIDTH], q[0].dtype),) * COMPONENTS  # of degree 0 last
    weights = tl.zeros([BONDS, 1], q[0].dtype)

    for block in range(start, end, BONDS):
        e, _, j, knots, g = weigh(x, q, block, end, neighbour, h, channel, BONDS, C, SCORES, STRIDE, PER_ANGSTROM, ROWS)
        weights += result(mul(g, radial(table, knots, SCORES + HEADS, STRIDE)))
        ga = mul(g, load(value, j * C + channel))
        zero = mul(radial(table, knots, C + channel, STRIDE), ga)
        if len(turning) > 0:
            along = mul(g, radial(table, knots, (2 + L) * C + channel, STRIDE))
            itself = mul(g, radial(table, knots, (3 + L) * C + channel, STRIDE))
        new = ()
        for l in tl.static_range(1, L + 1):
            rga = mul(radial(table, knots, (1 + l) * C + channel, STRIDE), ga)
            for m in tl.static_range(2 * l + 1):
                Y = load(harmonics, e * (COMPONENTS - 1) + l * l - 1 + m)
                message = mul(rga, Y)
                if len(turning) > 0:
                    v = load(turning[l - 1], (j * (2 * l + 1) + m) * C + channel)
                    message = add(message, mul(itself, v))
                    zero = add(zero, mul(along, mul(v, Y)))
                new += (sums[l * l - 1 + m] + result(message),)
        new += (sums[COMPONENTS - 1] + result(zero),)
        sums = new

    tl.store(out[0] + i * C + channel, tl.sum(sums[COMPONENTS - 1], axis=0, keep_dims=True))
    for l in tl.static_range(1, L + 1):
        for m in tl.static_range(2 * l + 1):
            at = (i * (2 * l + 1) + m) * C + channel
            tl.store(out[l] + at, tl.sum(sums[l * l - 1 + m], axis=0, keep_dims=True))
    tl.store(out[L + 1] + i * HEADS + h, tl.sum(weights))


@triton.jit
def attention_backward(
    x, dout, d, offsets, neighbour,
    BONDS: tl.constexpr, C: tl.constexpr, HEADS: tl.constexpr, L: tl.constexpr, SCORES: tl.constexpr,
    STRIDE: tl.constexpr, PER_ANGSTROM: tl.constexpr, ROWS: tl.constexpr, COPIES: tl.constexpr,
):  # fmt: skip
    query, key, value, harmonics, turning, table = x[0], x[1], x[2], x[4], x[5], x[6]
    d_query, d_key, d_value, d_length, d_harmonics, d_turning, d_table = d
    WIDTH: tl.constexpr = C // HEADS
    COMPONENTS: tl.constexpr = (L + 1) * (L + 1)
    i, h = tl.program_id(0).to(tl.int64), tl.program_id(1)
    channel = h * WIDTH + tl.arange(0, WIDTH)[None, :]
    start, end = tl.load(offsets + i), tl.load(offsets + i + 1)
    if d_table is not None:
        d_table += (i % COPIES) * ROWS * STRIDE
    q = load(query, i * C + channel)
    g_0 = (tl.load(dout[0] + i * C + channel),)
    g_total = (tl.load(dout[L + 1] + i * HEADS + h),)
    dq = tl.zeros([BONDS, WIDTH], q[0].dtype)

    for block in range(start, end, BONDS):
        e, real, j, knots, g = weigh(
            x, q, block, end, neighbour, h, channel, BONDS, C, SCORES, STRIDE, PER_ANGSTROM, ROWS
        )
        a = load(value, j * C + channel)
        ga = mul(g, a)
        # The values: core is the gradient by g a, of_weight that by g, of_length that by the length.
        R, slope = radial_and_slope(table, knots, C + channel, STRIDE)
        core = mul(R, g_0)
        dR = mul(ga, g_0)
        of_length = mul(dR, slope)
        add_to_table(d_table, knots, C + channel, dR, real, STRIDE)
        if len(turning) > 0:
            R_p, slope_p = radial_and_slope(table, knots, (2 + L) * C + channel, STRIDE)
            R_v, slope_v = radial_and_slope(table, knots, (3 + L) * C + channel, STRIDE)
            of_product, of_itself = mul(mul(R_p, g), g_0), mul(R_v, g)
            product, itself = (tl.zeros_like(dq),), (tl.zeros_like(dq),)
        for l in tl.static_range(1, L + 1):
            R, slope = radial_and_slope(table, knots, (1 + l) * C + channel, STRIDE)
            rga = mul(R, ga)
            along = (tl.zeros_like(dq),)
            for m in tl.static_range(2 * l + 1):
                component = e * (COMPONENTS - 1) + l * l - 1 + m
                Y = load(harmonics, component)
                g_m = (tl.load(dout[l] + (i * (2 * l + 1) + m) * C + channel),)
                along = add(along, mul(Y, g_m))
                dY = mul(rga, g_m)
                if len(turning) > 0:
                    at = (j * (2 * l + 1) + m) * C + channel
                    v = load(turning[l - 1], at)
                    product = add(product, mul(v, Y))
                    itself = add(itself, mul(v, g_m))
                    dY = add(dY, mul(of_product, v))
                    dv = add(mul(of_product, Y), mul(of_itself, g_m))
                    tl.atomic_add(d_turning[l - 1] + at, result(dv), mask=real, sem="relaxed")
                tl.atomic_add(d_harmonics + component, result(total(dY, 1)), mask=real, sem="relaxed")
            core = add(core, mul(R, along))
            dR = mul(ga, along)
            of_length = add(of_length, mul(dR, slope))
            add_to_table(d_table, knots, (1 + l) * C + channel, dR, real, STRIDE)
        tl.atomic_add(d_value + j * C + channel, result(mul(core, g)), mask=real, sem="relaxed")
        of_weight = mul(a, core)
        if len(turning) > 0:
            product = mul(product, g_0)
            of_weight = add(of_weight, add(mul(R_p, product), mul(R_v, itself)))
            dR_p, dR_v = mul(product, g), mul(itself, g)
            of_length = add(of_length, add(mul(dR_p, slope_p), mul(dR_v, slope_v)))
            add_to_table(d_table, knots, (2 + L) * C + channel, dR_p, real, STRIDE)
            add_to_table(d_table, knots, (3 + L) * C + channel, dR_v, real, STRIDE)

        # The weights: g = g(q . (R k) + bias), and the sum of envelope times g.
        _, slope_b = radial_and_slope(table, knots, SCORES + h, STRIDE)
        envelope, slope_u = radial_and_slope(table, knots, SCORES + HEADS, STRIDE)
        ds = mul(chain(g[0] * (1 - g[0] / 2), 1 - g[0], g), add(total(of_weight, 1), mul(envelope, g_total)))
        du = mul(g, g_total)
        add_to_table(d_table, knots, SCORES + h, ds, real, STRIDE)
        add_to_table(d_table, knots, SCORES + HEADS, du, real, STRIDE)
        k = load(key, j * C + channel)
        R, slope = radial_and_slope(table, knots, channel, STRIDE)
        qs = mul(q, ds)
        dq += result(mul(mul(k, ds), R))
        tl.atomic_add(d_key + j * C + channel, result(mul(qs, R)), mask=real, sem="relaxed")
        dR = mul(qs, k)
        of_length = add(of_length, mul(dR, slope))
        add_to_table(d_table, knots, channel, dR, real, STRIDE)
        dr = add(total(of_length, 1), add(mul(ds, slope_b), mul(du, slope_u)))
        tl.atomic_add(d_length + e, result(dr), mask=real, sem="relaxed")

    tl.store(d_query + i * C + channel, tl.sum(dq, axis=0, keep_dims=True))


# Tensor products: a program has one atom, and tiles are [channels]. TERMS lists for each component what enters its Z,
# for each component what its U enters, and what each path is made of.


@triton.jit
def products(terms: tl.constexpr, weight, a, b):
    """The sum over terms of the path's weight times the coefficient times both components."""
    z = (tl.zeros_like(a[0][0]),)
    for n in tl.static_range(len(terms)):
        scaled = (weight[terms[n][2]][0] * terms[n][3],)
        z = add(z, mul(scaled, mul(a[terms[n][0]], b[terms[n][1]])))
    return z


@triton.jit
def triple_products(terms: tl.constexpr, a, b):
    """The sum over terms of the coefficient times three components, the third of them of ``a``."""
    z = (tl.zeros_like(b[0][0]),)
    for n in tl.static_range(len(terms)):
        scaled = mul(a[terms[n][2]], (terms[n][3],))
        z = add(z, mul(scaled, mul(b[terms[n][0]], b[terms[n][1]])))
    return z


@triton.jit
def features_of_atom(x, i, channel, C: tl.constexpr, L: tl.constexpr, PATHS: tl.constexpr, TERMS: tl.constexpr):
    """Weights of the paths, the factor that scales features, and the components of U and Z."""
    v, weight = x
    w, scaled, u, z = (), (), (), ()
    for path in tl.static_range(PATHS):
        w += (load(weight, path * C + channel),)
    square = (tl.zeros([C], v[0][0].dtype.element_ty),)
    for l in tl.static_range(1, L + 1):
        for m in tl.static_range(2 * l + 1):
            component = load(v[l - 1], (i * (2 * l + 1) + m) * C + channel)
            square = add(square, mul(component, component))
            scaled += (component,)
    mean = mul(total(square, 0), (1 / (C * len(scaled)),))
    root = 1 / tl.sqrt(1 + mean[0])
    scale = chain(root, -root * root * root / 2, mean)
    for m in tl.static_range(len(scaled)):
        u += (mul(scaled[m], scale),)
    for m in tl.static_range(len(scaled)):
        z += (products(TERMS[0][m], w, u, u),)
    return w, scale, u, z


@triton.jit
def product_forward(x, out, C: tl.constexpr, L: tl.constexpr, PATHS: tl.constexpr, TERMS: tl.constexpr):
    i, channel = tl.program_id(0).to(tl.int64), tl.arange(0, C)
    _, _, u, z = features_of_atom(x, i, channel, C, L, PATHS, TERMS)
    for l in tl.static_range(1, L + 1):
        two, three = (tl.zeros_like(u[0][0]),), (tl.zeros_like(u[0][0]),)
        for m in tl.static_range(l * l - 1, l * l + 2 * l):
            two = add(two, mul(u[m], u[m]))
            three = add(three, mul(u[m], z[m]))
            tl.store(out[l] + (i * (2 * l + 1) + m - l * l + 1) * C + channel, result(z[m]))
        tl.store(out[0] + (i * 2 * L + l - 1) * C + channel, result(two))
        tl.store(out[0] + (i * 2 * L + L + l - 1) * C + channel, result(three))


@triton.jit
def product_backward(x, dout, d, C: tl.constexpr, L: tl.constexpr, PATHS: tl.constexpr, TERMS: tl.constexpr):
    d_v, d_weight = d
    i, channel = tl.program_id(0).to(tl.int64), tl.arange(0, C)
    w, scale, u, z = features_of_atom(x, i, channel, C, L, PATHS, TERMS)
    of_invariants, dz, du = (), (), ()
    for l in tl.static_range(1, L + 1):
        two = (2 * tl.load(dout[0] + (i * 2 * L + l - 1) * C + channel),)
        three = (tl.load(dout[0] + (i * 2 * L + L + l - 1) * C + channel),)
        for m in tl.static_range(l * l - 1, l * l + 2 * l):
            g = (tl.load(dout[l] + (i * (2 * l + 1) + m - l * l + 1) * C + channel),)
            of_invariants += (add(mul(u[m], two), mul(z[m], three)),)
            dz += (add(mul(u[m], three), g),)
    if d_weight is not None:
        for path in tl.static_range(PATHS):
            dw = triple_products(TERMS[2][path], dz, u)
            tl.atomic_add(d_weight + path * C + channel, result(dw), sem="relaxed")
    # U = V / root(1 + mean of V^2): dV = (dU - U (mean of U . dU)) / root(1 + mean of V^2)
    along = (tl.zeros_like(u[0][0]),)
    for m in tl.static_range(len(u)):
        du += (add(of_invariants[m], products(TERMS[1][m], w, dz, u)),)
        along = add(along, mul(u[m], du[m]))
    part = mul(total(along, 0), (-1 / (C * len(u)),))
    for l in tl.static_range(1, L + 1):
        for m in tl.static_range(l * l - 1, l * l + 2 * l):
            dv = mul(scale, add(du[m], mul(part, u[m])))
            tl.store(d_v[l - 1] + (i * (2 * l + 1) + m - l * l + 1) * C + channel, result(dv))
