// An engine that notes how often it was told to give back: one byte more in the model's file each
// time.
#include <fstream>
#include <string>

#include "pocket/engine.h"

struct pocket_engine_model {
  std::string path;
};

namespace {

int32_t load(const pocket_engine_load_options* options, pocket_engine_model** model,
             pocket_engine_error*) {
  *model = new pocket_engine_model{options->model_path};
  return POCKET_OK;
}
void unload(pocket_engine_model* model) { delete model; }
uint32_t count(const pocket_engine_model*) { return 0; }
int32_t info(const pocket_engine_model*, uint32_t, pocket_engine_tensor_info*) {
  return POCKET_NOT_FOUND;
}
int32_t create(pocket_engine_model*, pocket_engine_context**, pocket_engine_error*) {
  return POCKET_UNIMPLEMENTED;
}
void destroy(pocket_engine_context*) {}
int32_t run(pocket_engine_context*, const pocket_engine_input*, uint32_t, pocket_engine_output*,
            uint32_t, pocket_engine_error*) {
  return POCKET_UNIMPLEMENTED;
}
void give_back(pocket_engine_model* model) { std::ofstream(model->path, std::ios::app) << 'x'; }

constexpr pocket_engine_api kApi = {.abi_version = POCKET_ENGINE_ABI_VERSION,
                                    .struct_size = sizeof(pocket_engine_api),
                                    .name = "resting",
                                    .version = "1",
                                    .load = load,
                                    .unload = unload,
                                    .input_count = count,
                                    .output_count = count,
                                    .input_info = info,
                                    .output_info = info,
                                    .create_context = create,
                                    .destroy_context = destroy,
                                    .run = run,
                                    .expect_parallel_runs = nullptr,
                                    .limit_threads = nullptr,
                                    .run_call = nullptr,
                                    .client_gone = nullptr,
                                    .give_back = give_back};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &kApi;
}
