// The ONNX Runtime engine: ONNX models on the CPU.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>

#include "model.h"

using pocket::onnxruntime_engine::Model;
using pocket::onnxruntime_engine::Port;

struct pocket_engine_model {
  explicit pocket_engine_model(const pocket_engine_load_options& options) : model(options) {}
  Model model;
};

struct pocket_engine_context {
  pocket_engine_model* owner;
};

namespace pocket::onnxruntime_engine {
namespace {

int32_t fail(pocket_engine_error* error, int32_t status, const char* message) {
  std::snprintf(error->message, sizeof(error->message), "%s", message);
  return status;
}

/// Runs `body`; exceptions become a status and the engine's own words.
template <typename Body>
int32_t guarded(pocket_engine_error* error, Body body) {
  try {
    return body();
  } catch (const pocket::onnxruntime_engine::Refusal& refusal) {
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
  return guarded(error, [&] {
    *model = new pocket_engine_model(*options);
    std::snprintf(error->message, sizeof(error->message), "%s", (*model)->model.remark().c_str());
    return POCKET_OK;
  });
}

void unload(pocket_engine_model* model) { delete model; }

// What calls needed is on the heap and free, which the host gives back.
void give_back(pocket_engine_model*) {}

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
  return guarded(error, [&] {
    *context = new pocket_engine_context{model};
    return POCKET_OK;
  });
}

void destroy_context(pocket_engine_context* context) { delete context; }

const Ort::MemoryInfo& cpu_memory() {
  static const auto info = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  return info;
}

Ort::Value wrap(void* data, size_t bytes, std::span<const int64_t> shape, int32_t dtype) {
  return Ort::Value::CreateTensor(cpu_memory(), data, bytes, shape.data(), shape.size(),
                                  static_cast<ONNXTensorElementDataType>(dtype));
}

/// Packed as in docs/format-tensor.md: one offset more than strings, then their bytes.
Ort::Value unpack_strings(const pocket_engine_input& input, std::span<const int64_t> shape) {
  Ort::AllocatorWithDefaultOptions allocator;
  Ort::Value value = Ort::Value::CreateTensor(allocator, shape.data(), shape.size(),
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING);
  const size_t count = value.GetTensorTypeAndShapeInfo().GetElementCount();
  const auto* offsets = static_cast<const uint64_t*>(input.data);
  const auto* bytes = reinterpret_cast<const char*>(offsets + count + 1);
  for (size_t index = 0; index < count; ++index) {
    const size_t length = offsets[index + 1] - offsets[index];
    char* room = value.GetResizedStringTensorElementBuffer(index, length);
    if (length > 0) std::memcpy(room, bytes + offsets[index], length);
  }
  return value;
}

Ort::Value bind_input(const pocket_engine_input& input) {
  const std::span<const int64_t> shape(input.shape, static_cast<size_t>(input.rank));
  if (input.dtype == POCKET_STRING) return unpack_strings(input, shape);
  // ONNX Runtime only reads its inputs, so memory that is mapped read-only is enough.
  return wrap(const_cast<void*>(input.data), input.bytes, shape, input.dtype);
}

/// In the host's memory where the size is known and there is room; else ONNX Runtime allocates.
Ort::Value bind_output(const Port& port, const pocket_engine_output& output) {
  const size_t bytes = port.static_bytes();
  if (bytes == 0 || output.data == nullptr || output.capacity < bytes) return Ort::Value{nullptr};
  return wrap(output.data, bytes, port.shape, port.dtype);
}

bool make_room(pocket_engine_output& output) {
  if (output.data != nullptr && output.capacity >= output.bytes) return true;
  output.data = output.allocate == nullptr
                    ? nullptr
                    : output.allocate(output.allocate_context, output.index, output.bytes);
  return output.data != nullptr;
}

int32_t deliver_strings(const Ort::Value& value, size_t count, pocket_engine_output& output,
                        pocket_engine_error* error) {
  const size_t text_bytes = value.GetStringTensorDataLength();
  output.bytes = (count + 1) * sizeof(uint64_t) + text_bytes;
  if (!make_room(output)) return fail(error, POCKET_RESOURCE_EXHAUSTED, "no room for an output");
  auto* offsets = static_cast<uint64_t*>(output.data);
  static_assert(sizeof(size_t) == sizeof(uint64_t));
  value.GetStringTensorContent(offsets + count + 1, text_bytes, reinterpret_cast<size_t*>(offsets),
                               count);
  offsets[count] = text_bytes;
  return POCKET_OK;
}

int32_t deliver_output(const Port& port, const Ort::Value& value, pocket_engine_output& output,
                       pocket_engine_error* error) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  const auto shape = info.GetShape();
  if (shape.size() > POCKET_MAX_RANK) {
    return fail(error, POCKET_UNIMPLEMENTED, "an output has more than 8 dimensions");
  }
  output.dtype = port.dtype;
  output.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output.shape);
  if (port.dtype == POCKET_STRING) {
    return deliver_strings(value, info.GetElementCount(), output, error);
  }
  output.bytes = info.GetElementCount() * pocket_dtype_size(port.dtype);
  const void* data = value.GetTensorRawData();
  if (data == output.data && output.data != nullptr) return POCKET_OK;  // it was written in place
  if (!make_room(output)) return fail(error, POCKET_RESOURCE_EXHAUSTED, "no room for an output");
  if (output.bytes > 0) std::memcpy(output.data, data, output.bytes);
  return POCKET_OK;
}

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  return guarded(error, [&]() -> int32_t {
    Model& model = context->owner->model;
    std::vector<const char*> input_names, output_names;
    std::vector<Ort::Value> input_values, output_values;
    for (const auto& input : std::span(inputs, input_total)) {
      input_names.push_back(model.input_names()[input.index]);
      input_values.push_back(bind_input(input));
    }
    const std::span wanted(outputs, output_total);
    for (const auto& output : wanted) {
      const Port& port = model.outputs().at(output.index);
      output_names.push_back(port.name.c_str());
      output_values.push_back(bind_output(port, output));
    }
    if (wanted.empty()) return POCKET_OK;
    model.session().Run(Ort::RunOptions{nullptr}, input_names.data(), input_values.data(),
                        input_values.size(), output_names.data(), output_values.data(),
                        output_values.size());
    int32_t status = POCKET_OK;
    for (size_t index = 0; index < wanted.size() && status == POCKET_OK; ++index) {
      status = deliver_output(model.outputs()[wanted[index].index], output_values[index],
                              wanted[index], error);
    }
    return status;
  });
}

const pocket_engine_api* api() {
  static const std::string version = Ort::GetVersionString();
  static const pocket_engine_api table = {
      .abi_version = POCKET_ENGINE_ABI_VERSION,
      .struct_size = sizeof(pocket_engine_api),
      .name = "onnxruntime",
      .version = version.c_str(),
      .load = load,
      .unload = unload,
      .input_count = input_count,
      .output_count = output_count,
      .input_info = input_info,
      .output_info = output_info,
      .create_context = create_context,
      .destroy_context = destroy_context,
      .run = run,
      // Callers share one pool of threads, in which each works on its own call too.
      .expect_parallel_runs = nullptr,
      .limit_threads = nullptr,
      .run_call = nullptr,
      .client_gone = nullptr,
      .give_back = give_back,
  };
  return &table;
}

}  // namespace
}  // namespace pocket::onnxruntime_engine

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return pocket::onnxruntime_engine::api();
}
