// Finds the Python that runs LAMMPS, or starts one where LAMMPS is a program of its own. Nothing of Python is needed to
// compile or link this.
#include "python.hpp"

#include <dlfcn.h>

namespace gptff {
namespace {

template <typename Function> Function *symbol(const char *name) {
    return reinterpret_cast<Function *>(dlsym(RTLD_DEFAULT, name));
}

bool start(std::string &message) {
    if (!dlopen(PYTHON_LIBRARY, RTLD_NOW | RTLD_GLOBAL)) {
        message = std::string("Python cannot be started (") + dlerror() + "); build the plugin anew with a Python that has "
                  "a shared library, or run LAMMPS with torch-gptff lammps";
        return false;
    }
    symbol<void(int)>("Py_InitializeEx")(0);
    symbol<int(const char *)>("PyRun_SimpleString")("import sys; sys.path[:] = " PYTHON_FOLDERS);
    symbol<void *()>("PyEval_SaveThread")();
    return true;
}

} // namespace

const Engine *engine(std::string &message) {
    static Engine engine{};
    if (engine.load) return &engine;
    const auto running = symbol<int()>("Py_IsInitialized");
    if ((!running || !running()) && !start(message)) return nullptr;
    const int state = symbol<int()>("PyGILState_Ensure")();
    const std::string code = "from torch_gptff.calculators.lammps.engine import register; register(" +
                             std::to_string(reinterpret_cast<intptr_t>(&engine)) + ")";
    const int failed = symbol<int(const char *)>("PyRun_SimpleString")(code.c_str());
    symbol<void(int)>("PyGILState_Release")(state);
    if (!failed && engine.load) return &engine;
    message = "Python cannot import torch_gptff, see above";
    return nullptr;
}

} // namespace gptff
