// What LAMMPS finds when it loads the plugin.
#include <cstring>

#include "lammps.h"
#include "pair_gptff.hpp"

namespace {

typedef void *Factory(void *);
struct Plugin { // lammpsplugin.h, which installed copies of LAMMPS do not have
    const char *version, *style, *name, *info, *author;
    Factory *create;
    void *handle;
};
typedef void Register(Plugin *, void *);

} // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void *lammps, void *handle, void *registers) {
    Plugin plugin{};
    plugin.version = static_cast<LAMMPS_NS::LAMMPS *>(lammps)->version;
    plugin.style = "pair";
    plugin.name = "gptff";
    plugin.info = "GPTFF, the graph-based pre-trained transformer force field";
    plugin.author = "the torch_gptff developers";
    plugin.create = [](void *lammps) -> void * { return new gptff::PairGPTFF(static_cast<LAMMPS_NS::LAMMPS *>(lammps)); };
    plugin.handle = handle;
    reinterpret_cast<Register *>(registers)(&plugin, lammps);
}
