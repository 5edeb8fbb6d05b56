// What the kernels take first, and their entry points: tensors as arrays of pointers, in the order that Python has them in.
#pragma once
#include "../simd.hpp"

constexpr int MAX_HEADS = 8;

struct Bonds {
    int64_t channels, count, neighbours, centres, heads, rows, turns;  // turns: the neighbours have features that turn
    double per_angstrom;
    const int64_t *centre, *neighbour;
};
struct Term {  // coefficient times U[first] U[second] enters Z[third] by a path
    int32_t first, second, third, path;
    double coefficient;
};
struct Sizes {
    int64_t channels, atoms, paths, terms;
    const Term *list;
};

extern "C" {
void bond_harmonics_forward(const int64_t *, const real *const *, real *const *, int);
void bond_harmonics_backward(const int64_t *, const real *const *, const real *const *, real *const *, int);
void geometric_attention_forward(const Bonds *, const real *const *, real *const *, int);
void geometric_attention_backward(const Bonds *, const real *const *, const real *const *, real *const *, int);
void tensor_product_forward(const Sizes *, const real *const *, real *const *, int);
void tensor_product_backward(const Sizes *, const real *const *, const real *const *, real *const *, int);
}
