// The TensorFlow engine: SavedModels on the CPU, through TensorFlow's C interface.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>

#include "model.h"
#include "refusal.h"
#include "tensors.h"

using pocket::tensorflow_engine::Model;
using pocket::tensorflow_engine::Port;

struct pocket_engine_model {
  explicit pocket_engine_model(const pocket_engine_load_options& options) : model(options) {}
  Model model;
};

struct pocket_engine_context {
  pocket_engine_model* owner;
};

namespace pocket::tensorflow_engine {
namespace {

int32_t fail(pocket_engine_error* error, int32_t status, const char* message) {
  std::snprintf(error->message, sizeof(error->message), "%s", message);
  return status;
}

/// Runs `body`; exceptions become a status and the engine's own words.
template <typename Body>
int32_t guarded(pocket_engine_error* error, Body body) {
  try {
    body();
    return POCKET_OK;
  } catch (const Refusal& refusal) {
    return fail(error, refusal.status(), refusal.what());
  } catch (const std::bad_alloc&) {
    return fail(error, POCKET_RESOURCE_EXHAUSTED, "out of memory");
  } catch (const std::exception& exception) {
    return fail(error, POCKET_ENGINE_ERROR, exception.what());
  } catch (...) {
    return fail(error, POCKET_ENGINE_ERROR, "unknown exception");
  }
}

int32_t load(const pocket_engine_load_options* options, pocket_engine_model** model,
             pocket_engine_error* error) {
  return guarded(error, [&] { *model = new pocket_engine_model(*options); });
}

void unload(pocket_engine_model* model) { delete model; }

uint32_t input_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->model.inputs().size());
}
uint32_t output_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->model.outputs().size());
}

int32_t port_info(const std::vector<Port>& ports, uint32_t index, pocket_engine_tensor_info* info) {
  if (index >= ports.size()) return POCKET_NOT_FOUND;
  info->name = ports[index].name.c_str();
  info->dtype = ports[index].dtype;
  info->rank = ports[index].any_rank ? -1 : static_cast<int32_t>(ports[index].shape.size());
  std::copy(ports[index].shape.begin(), ports[index].shape.end(), info->shape);
  return POCKET_OK;
}

int32_t input_info(const pocket_engine_model* model, uint32_t index,
                   pocket_engine_tensor_info* info) {
  return port_info(model->model.inputs(), index, info);
}
int32_t output_info(const pocket_engine_model* model, uint32_t index,
                    pocket_engine_tensor_info* info) {
  return port_info(model->model.outputs(), index, info);
}

int32_t create_context(pocket_engine_model* model, pocket_engine_context** context,
                       pocket_engine_error* error) {
  return guarded(error, [&] { *context = new pocket_engine_context{model}; });
}

void destroy_context(pocket_engine_context* context) { delete context; }

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  return guarded(error, [&] {
    Model& model = context->owner->model;
    const std::span wanted(outputs, output_total);
    if (wanted.empty()) return;
    std::vector<uint32_t> given_indices, wanted_indices;
    std::vector<Owned<TF_Tensor>> given;
    std::vector<TF_Tensor*> values;
    for (const auto& input : std::span(inputs, input_total)) {
      given_indices.push_back(input.index);
      given.push_back(wrap_input(input, !model.keeps_inputs()));
      values.push_back(given.back().get());
    }
    for (const auto& output : wanted) wanted_indices.push_back(output.index);
    const auto results = model.run(given_indices, values, wanted_indices);
    for (size_t index = 0; index < wanted.size(); ++index) {
      deliver_output(model.outputs()[wanted[index].index], results[index].get(), wanted[index]);
    }
  });
}

const pocket_engine_api* api() {
  static const pocket_engine_api table = {
      .abi_version = POCKET_ENGINE_ABI_VERSION,
      .struct_size = sizeof(pocket_engine_api),
      .name = "tensorflow",
      .version = TF_Version(),
      .load = load,
      .unload = unload,
      .input_count = input_count,
      .output_count = output_count,
      .input_info = input_info,
      .output_info = output_info,
      .create_context = create_context,
      .destroy_context = destroy_context,
      .run = run,
      // Callers share one pool of threads for what an operation divides, and TensorFlow has no way
      // to change its size while the process lives.
      .expect_parallel_runs = nullptr,
      .limit_threads = nullptr,
  };
  return &table;
}

}  // namespace
}  // namespace pocket::tensorflow_engine

/// Runs before TensorFlow's own constructors, which print already (`-z initfirst` when this is
/// linked). Errors are answered, not printed; whoever debugs TensorFlow sets the variable
/// otherwise.
__attribute__((constructor)) static void silence_tensorflow() {
  ::setenv("TF_CPP_MIN_LOG_LEVEL", "3", 0);
}

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return pocket::tensorflow_engine::api();
}
