// The null engine: answers at once or after a set time, deterministically. It measures Pocket
// itself and stands in for engines that fail, crash or hang.
#include "pocket/engine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/checked.h"
#include "base/clock.h"
#include "model_file.h"

struct pocket_engine_model {
  pocket::null_engine::ModelFile file;
};

struct pocket_engine_context {
  const pocket_engine_model* model;
};

namespace pocket::null_engine {
namespace {

int32_t fail(pocket_engine_error* error, int32_t status, const std::string& message) {
  fmt::format_to_n(error->message, sizeof(error->message) - 1, "{}", message).out[0] = '\0';
  return status;
}

int32_t load(const pocket_engine_load_options* options, pocket_engine_model** model,
             pocket_engine_error* error) {
  for (const auto& option : std::span(options->options, options->option_count)) {
    const std::string key = option.key;
    if (key != "precision" && key != "cache_dir") {
      return fail(error, POCKET_INVALID_ARGUMENT,
                  fmt::format("unknown option '{}': null knows precision and cache_dir", key));
    }
  }
  auto file = read_model_file(options->model_path);
  if (!file.ok()) return fail(error, file.error().code, file.error().message);
  *model = new pocket_engine_model{std::move(*file)};
  return POCKET_OK;
}

void unload(pocket_engine_model* model) { delete model; }

uint32_t input_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->file.inputs.size());
}
uint32_t output_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->file.outputs.size());
}

int32_t info(const std::vector<Tensor>& tensors, uint32_t index, pocket_engine_tensor_info* info) {
  if (index >= tensors.size()) return POCKET_NOT_FOUND;
  const Tensor& tensor = tensors[index];
  info->name = tensor.name.c_str();
  info->dtype = tensor.dtype;
  info->rank = static_cast<int32_t>(tensor.shape.size());
  std::copy(tensor.shape.begin(), tensor.shape.end(), info->shape);
  return POCKET_OK;
}

int32_t input_info(const pocket_engine_model* model, uint32_t index,
                   pocket_engine_tensor_info* result) {
  return info(model->file.inputs, index, result);
}
int32_t output_info(const pocket_engine_model* model, uint32_t index,
                    pocket_engine_tensor_info* result) {
  return info(model->file.outputs, index, result);
}

int32_t create_context(pocket_engine_model* model, pocket_engine_context** context,
                       pocket_engine_error*) {
  *context = new pocket_engine_context{model};
  return POCKET_OK;
}
void destroy_context(pocket_engine_context* context) { delete context; }

void spend_time(const ModelFile& file) {
  if (file.delay_us > 0) ::usleep(static_cast<useconds_t>(file.delay_us));
  if (file.busy_us > 0) {
    const uint64_t end = monotonic_ns() + file.busy_us * 1000;
    while (monotonic_ns() < end) {
    }
  }
}

/// Bytes of a tensor of the given shape; strings: an offsets array for as many empty strings.
uint64_t bytes_of(const pocket_engine_output& output) {
  const std::span<const int64_t> shape(output.shape, static_cast<size_t>(output.rank));
  if (output.dtype == POCKET_STRING) return (element_count(shape).value_or(0) + 1) * 8;
  return tensor_bytes(output.dtype, shape).value_or(0);
}

/// Room for `bytes` of an output; nullptr when the host has none.
void* room(pocket_engine_output& output, uint64_t bytes) {
  output.bytes = bytes;
  if (output.data == nullptr || output.capacity < bytes) {
    output.data = output.allocate == nullptr
                      ? nullptr
                      : output.allocate(output.allocate_context, output.index, bytes);
    output.capacity = output.data == nullptr ? 0 : bytes;
  }
  return output.data;
}

int32_t write_output(const ModelFile& file, std::span<const pocket_engine_input> inputs,
                     pocket_engine_output& output, pocket_engine_error* error) {
  if (output.index >= file.outputs.size()) {
    return fail(error, POCKET_NOT_FOUND, fmt::format("no output {}", output.index));
  }
  const Tensor& tensor = file.outputs[output.index];
  const pocket_engine_input* source = nullptr;
  for (const auto& input : inputs) {
    if (input.index == output.index) source = &input;
  }
  if (file.mode == Mode::kEcho && source == nullptr) {
    return fail(error, POCKET_INVALID_ARGUMENT, fmt::format("no input {} to echo", output.index));
  }
  output.dtype = tensor.dtype;
  output.rank = static_cast<int32_t>(tensor.shape.size());
  for (size_t axis = 0; axis < tensor.shape.size(); ++axis) {
    output.shape[axis] = std::max<int64_t>(tensor.shape[axis], 1);  // dynamic: 1
  }
  if (file.mode == Mode::kEcho) {
    output.dtype = source->dtype;
    output.rank = source->rank;
    std::copy_n(source->shape, source->rank, output.shape);
  }
  const uint64_t bytes = file.mode == Mode::kEcho ? source->bytes : bytes_of(output);
  void* data = room(output, bytes);
  if (data == nullptr) {
    return fail(error, POCKET_RESOURCE_EXHAUSTED, fmt::format("no room for {} bytes", bytes));
  }
  if (file.mode == Mode::kEcho) std::memcpy(data, source->data, bytes);
  if (file.mode == Mode::kZeros) std::memset(data, 0, bytes);
  return POCKET_OK;
}

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  const ModelFile& file = context->model->file;
  spend_time(file);
  if (file.mode == Mode::kError) return fail(error, POCKET_ENGINE_ERROR, "this model always fails");
  if (file.mode == Mode::kCrash) std::abort();
  if (file.crash_above > 0 && input_total > 0 && inputs[0].bytes > 0 &&
      *static_cast<const uint8_t*>(inputs[0].data) > file.crash_above) {
    std::abort();
  }
  while (file.mode == Mode::kHang) ::pause();
  for (auto& output : std::span(outputs, output_total)) {
    if (const int32_t status = write_output(file, {inputs, input_total}, output, error);
        status != POCKET_OK) {
      return status;
    }
  }
  return POCKET_OK;
}

constexpr pocket_engine_api kApi = {
    .abi_version = POCKET_ENGINE_ABI_VERSION,
    .struct_size = sizeof(pocket_engine_api),
    .name = "null",
    .version = "1",
    .load = load,
    .unload = unload,
    .input_count = input_count,
    .output_count = output_count,
    .input_info = input_info,
    .output_info = output_info,
    .create_context = create_context,
    .destroy_context = destroy_context,
    .run = run,
    .expect_parallel_runs = nullptr,
    .limit_threads = nullptr,
};

}  // namespace
}  // namespace pocket::null_engine

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &pocket::null_engine::kApi;
}
