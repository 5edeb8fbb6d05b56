#include "pair_gptff.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

namespace gptff {

using LAMMPS_NS::NeighConst::REQ_FULL;

PairGPTFF::PairGPTFF(LAMMPS_NS::LAMMPS *lmp) : Pair(lmp) {
    single_enable = 0;
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    no_virial_fdotr_compute = 1;  // the virial is a sum over bonds
    centroidstressflag = LAMMPS_NS::CENTROID_NOTAVAIL;
}

PairGPTFF::~PairGPTFF() {
    if (number >= 0) engine->forget(number);
    if (allocated) {
        memory->destroy(setflag);
        memory->destroy(cutsq);
    }
}

void PairGPTFF::settings(int narg, char **arg) {
    precision = narg ? arg[0] : "";
    if (narg > 1 || (narg && precision != "float32" && precision != "float64"))
        error->all(FLERR, "pair_style gptff takes float32, float64 or nothing, which is the precision of the model");
}

void PairGPTFF::coeff(int narg, char **arg) {
    const int types = atom->ntypes;
    if (narg != 3 + types || std::strcmp(arg[0], "*") || std::strcmp(arg[1], "*"))
        error->all(FLERR, "pair_coeff of gptff is: pair_coeff * * MODEL ELEMENT..., with one element for each of the {} "
                   "atom types", types);
    std::string message, elements;
    engine = gptff::engine(message);
    if (!engine) error->one(FLERR, "pair_style gptff: " + message);
    for (int type = 1; type <= types; ++type) elements += std::string(type > 1 ? " " : "") + arg[2 + type];

    if (number >= 0) engine->forget(number);
    z_of_type.assign(types + 1, 0);
    Model model{};
    model.name = arg[2], model.elements = elements.c_str(), model.precision = precision.c_str();
    model.processes = comm->nprocs, model.rank = comm->me, model.pair = this, model.z = z_of_type.data() + 1;
    model.exchange = [](void *pair, int reverse, int count, void *const *arrays, const int64_t *widths) {
        static_cast<PairGPTFF *>(pair)->exchange(reverse, count, arrays, widths);
    };
    std::vector<char> reason(MESSAGE, 0);
    number = engine->load(&model, reason.data());
    if (number < 0) error->one(FLERR, std::string("pair_style gptff: ") + reason.data());
    cutoff = model.cutoff, bytes = model.bytes;
    comm_forward = comm_reverse = int((model.width * bytes + sizeof(double) - 1) / sizeof(double));

    if (!allocated) {
        memory->create(setflag, types + 1, types + 1, "pair:setflag");
        memory->create(cutsq, types + 1, types + 1, "pair:cutsq");
        allocated = 1;
    }
    for (int i = 1; i <= types; ++i)
        for (int j = 1; j <= types; ++j) setflag[i][j] = j >= i;
}

void PairGPTFF::init_style() {
    if (std::strcmp(update->unit_style, "metal"))
        error->all(FLERR, "pair_style gptff computes in eV and Å: set units metal");
    if (!force->newton_pair) error->all(FLERR, "pair_style gptff adds forces to ghost atoms: set newton on");
    if (neighbor->nex_type || neighbor->nex_group || neighbor->nex_mol || neighbor->includegroup)
        error->all(FLERR, "pair_style gptff needs all neighbours of an atom: leave out neigh_modify exclude and include");
    if (atom->molecular != LAMMPS_NS::Atom::ATOMIC)
        for (int n = 1; n <= 3; ++n)
            if (force->special_lj[n] != 1 || force->special_coul[n] != 1)
                error->all(FLERR, "pair_style gptff needs all neighbours of an atom: set special_bonds lj/coul 1 1 1");
    neighbor->add_request(this, REQ_FULL);
}

double PairGPTFF::init_one(int, int) { return cutoff; }

void PairGPTFF::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    find_rows();
    find_bonds();
    energies.assign(atom->nlocal, 0);
    gradient.assign(vectors.size(), 0);
    const int64_t own = atom->nlocal, all = z.size();
    const Atoms atoms{own,           all, int64_t(centre.size()), z.data(), neighbour.data(), centre.data(), vectors.data(),
                      energies.data(), gradient.data()};
    std::vector<char> reason(MESSAGE, 0);
    if (engine->compute(number, &atoms, reason.data()) < 0)
        error->one(FLERR, std::string("pair_style gptff: ") + reason.data());
    if (eflag_global)
        for (double energy : energies) eng_vdwl += energy;
    if (eflag_atom)
        for (int i = 0; i < own; ++i) eatom[i] += energies[i];
    add_forces_and_virials();
}

// One process has every atom: its ghosts are images of its own atoms, and nothing needs to be exchanged.
void PairGPTFF::find_rows() {
    const int own = atom->nlocal, all = own + atom->nghost;
    std::vector<double> row(all);
    for (int i = 0; i < all; ++i) row[i] = i;
    if (comm->nprocs == 1) {
        void *array = row.data();
        const int64_t kept = bytes, width = 1;
        bytes = sizeof(double);
        exchange(false, 1, &array, &width);
        bytes = kept;
    }
    atom_of.assign(row.begin(), row.end());
    z.resize(comm->nprocs == 1 ? own : all);
    for (size_t i = 0; i < z.size(); ++i) z[i] = z_of_type[atom->type[i]];
}

void PairGPTFF::find_bonds() {
    neighbour.clear(), centre.clear(), vectors.clear();
    double **x = atom->x;
    for (int n = 0; n < list->inum; ++n) {
        const int i = list->ilist[n];
        for (int k = 0; k < list->numneigh[i]; ++k) {
            const int j = list->firstneigh[i][k] & NEIGHMASK;
            const double r[3] = {x[j][0] - x[i][0], x[j][1] - x[i][1], x[j][2] - x[i][2]};
            const double square = r[0] * r[0] + r[1] * r[1] + r[2] * r[2];
            if (square > cutoff * cutoff) continue;
            if (square == 0)
                error->one(FLERR, "pair_style gptff: atoms {} and {} are at one place", atom->tag[i], atom->tag[j]);
            neighbour.push_back(atom_of[j]);
            centre.push_back(i);
            vectors.insert(vectors.end(), r, r + 3);
        }
    }
}

// Of a bond that runs from its centre to its neighbour, with the gradient g: the force on the centre is g, that on the
// neighbour -g, and the virial -r g; each of the two atoms is given a half of it.
void PairGPTFF::add_forces_and_virials() {
    double **f = atom->f;
    constexpr int pairs[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};
    for (size_t e = 0; e < centre.size(); ++e) {
        const double *r = &vectors[3 * e], *g = &gradient[3 * e];
        const int i = centre[e], j = neighbour[e];
        for (int n = 0; n < 3; ++n) f[i][n] += g[n], f[j][n] -= g[n];
        if (!vflag_either) continue;
        for (int n = 0; n < 6; ++n) {
            const auto [a, b] = pairs[n];
            const double v = -0.5 * (r[a] * g[b] + r[b] * g[a]);
            if (vflag_global) virial[n] += v;
            if (vflag_atom) vatom[i][n] += 0.5 * v, vatom[j][n] += 0.5 * v;
        }
    }
}

void PairGPTFF::exchange(bool reverse, int count, void *const *arrays, const int64_t *widths) {
    this->arrays = arrays, this->widths = widths, this->count = count;
    int64_t width = 0;
    for (int n = 0; n < count; ++n) width += widths[n];
    doubles = int((width * bytes + sizeof(double) - 1) / sizeof(double));
    if (reverse)
        comm->reverse_comm(this, doubles);
    else
        comm->forward_comm(this, doubles);
}

int PairGPTFF::pack_forward_comm(int n, int *atoms, double *buffer, int, int *) {
    for (int k = 0; k < n; ++k) {
        char *to = reinterpret_cast<char *>(buffer + k * doubles);
        for (int a = 0; a < count; to += widths[a++] * bytes) std::memcpy(to, row(a, atoms[k]), widths[a] * bytes);
    }
    return n * doubles;
}

void PairGPTFF::unpack_forward_comm(int n, int first, double *buffer) {
    for (int k = 0; k < n; ++k) {
        const char *from = reinterpret_cast<const char *>(buffer + k * doubles);
        for (int a = 0; a < count; from += widths[a++] * bytes) std::memcpy(row(a, first + k), from, widths[a] * bytes);
    }
}

int PairGPTFF::pack_reverse_comm(int n, int first, double *buffer) {
    for (int k = 0; k < n; ++k) {
        char *to = reinterpret_cast<char *>(buffer + k * doubles);
        for (int a = 0; a < count; to += widths[a++] * bytes) std::memcpy(to, row(a, first + k), widths[a] * bytes);
    }
    return n * doubles;
}

template <typename real> static void add(char *to, const char *from, int64_t width) {
    for (int64_t n = 0; n < width; ++n) reinterpret_cast<real *>(to)[n] += reinterpret_cast<const real *>(from)[n];
}

void PairGPTFF::unpack_reverse_comm(int n, int *atoms, double *buffer) {
    for (int k = 0; k < n; ++k) {
        const char *from = reinterpret_cast<const char *>(buffer + k * doubles);
        for (int a = 0; a < count; from += widths[a++] * bytes) {
            if (bytes == sizeof(float))
                add<float>(row(a, atoms[k]), from, widths[a]);
            else
                add<double>(row(a, atoms[k]), from, widths[a]);
        }
    }
}

double PairGPTFF::memory_usage() {
    return Pair::memory_usage() + 8.0 * (z.capacity() + neighbour.capacity() + centre.capacity() + vectors.capacity() +
                                         energies.capacity() + gradient.capacity());
}

} // namespace gptff
