// Plugins that a host must refuse; which one is told by the build (see CMakeLists.txt).
#include "pocket/engine.h"

namespace {

#if defined(PLUGIN_OLD)
constexpr pocket_engine_api kApi = {.abi_version = POCKET_ENGINE_ABI_VERSION + 1,
                                    .struct_size = sizeof(pocket_engine_api)};
#elif defined(PLUGIN_SHORT)
constexpr pocket_engine_api kApi = {.abi_version = POCKET_ENGINE_ABI_VERSION, .struct_size = 16};
#else  // PLUGIN_HOLLOW: the table is there, its functions are not
constexpr pocket_engine_api kApi = {.abi_version = POCKET_ENGINE_ABI_VERSION,
                                    .struct_size = sizeof(pocket_engine_api)};
#endif

}  // namespace

#if !defined(PLUGIN_MUTE)
extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &kApi;
}
#endif
