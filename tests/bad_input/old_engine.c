/* An engine plugin of another Pocket: it speaks an engine interface that this one does not. */
#include "pocket/engine.h"

static const pocket_engine_api api = {.abi_version = POCKET_ENGINE_ABI_VERSION + 1,
                                      .struct_size = sizeof(pocket_engine_api),
                                      .name = "old",
                                      .version = "0"};

POCKET_API const pocket_engine_api* pocket_engine_entry(uint32_t host_abi_version);
const pocket_engine_api* pocket_engine_entry(uint32_t host_abi_version) {
  (void)host_abi_version;
  return &api;
}
