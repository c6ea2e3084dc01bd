// The OpenVINO engine: ONNX, OpenVINO IR, TensorFlow Lite and SavedModel on the CPU.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <span>

#include "elastic.h"
#include "model.h"
#include "strings.h"

using pocket::openvino_engine::Model;
using pocket::openvino_engine::Port;

struct pocket_engine_model {
  explicit pocket_engine_model(const pocket_engine_load_options& options) : model(options) {}
  Model model;
  std::atomic<uint32_t> running{0};  // as the host tells
};

struct pocket_engine_context {
  pocket_engine_model* owner;
  ov::InferRequest request;
  bool has_state = false;      // the model keeps variables between runs
  uint64_t bound_outputs = 0;  // bit i: output i lies in the host's memory
};

namespace pocket::openvino_engine {
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
  } catch (const pocket::openvino_engine::Refusal& refusal) {
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

void unload(pocket_engine_model* model) {
  running_calls_changed(model->running, 0);
  delete model;
}

void expect_parallel_runs(pocket_engine_model* model, uint32_t runs) {
  running_calls_changed(model->running.exchange(runs), runs);
}

void limit_model_threads(pocket_engine_model*, uint32_t threads) { limit_threads(threads); }

void give_back(pocket_engine_model* model) {
  try {
    model->model.give_back();
  } catch (const std::exception&) {  // it has it still, and may try again
  }
}

uint32_t input_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->model.inputs().size());
}
uint32_t output_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->model.outputs().size());
}

int32_t port_info(const std::vector<Port>& ports, uint32_t index, pocket_engine_tensor_info* info) {
  if (index >= ports.size()) return POCKET_NOT_FOUND;
  const Port& port = ports[index];
  info->name = port.name.c_str();
  info->dtype = port.dtype;
  info->rank = -1;
  if (port.shape.rank().is_static()) {
    info->rank = static_cast<int32_t>(port.shape.rank().get_length());
    for (int32_t axis = 0; axis < info->rank; ++axis) {
      const auto& dimension = port.shape[axis];
      info->shape[axis] = dimension.is_static() ? dimension.get_length() : -1;
    }
  }
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
    ov::InferRequest request = model->model.create_request();
    const bool has_state = !request.query_state().empty();
    *context = new pocket_engine_context{model, std::move(request), has_state};
    return POCKET_OK;
  });
}

void destroy_context(pocket_engine_context* context) { delete context; }

ov::Shape shape_of(int32_t rank, const int64_t* dimensions) {
  return ov::Shape(dimensions, dimensions + rank);
}

void bind_input(pocket_engine_context* context, const pocket_engine_input& input) {
  const ov::Shape shape = shape_of(input.rank, input.shape);
  const ov::element::Type type = type_of(input.dtype);
  if (input.dtype == POCKET_STRING) {
    context->request.set_input_tensor(input.index, unpack_strings(input, shape));
    return;
  }
  // OpenVINO only reads its inputs, so memory that is mapped read-only is enough.
  context->request.set_input_tensor(input.index,
                                    ov::Tensor(type, shape, const_cast<void*>(input.data)));
}

/// Lets OpenVINO write a fixed-size output where the host wants it.
bool bind_output(pocket_engine_context* context, const pocket_engine_output& output) {
  const Model& model = context->owner->model;
  const Port& port = model.outputs().at(output.index);
  if (model.passes_through() || port.dtype == POCKET_STRING || !port.shape.is_static() ||
      output.data == nullptr)
    return false;
  const ov::Shape shape = port.shape.to_shape();
  if (output.capacity < ov::shape_size(shape) * port.type.size()) return false;
  context->request.set_output_tensor(output.index, ov::Tensor(port.type, shape, output.data));
  return true;
}

int32_t deliver_output(pocket_engine_context* context, pocket_engine_output& output, bool bound,
                       pocket_engine_error* error) {
  const ov::Tensor tensor = context->request.get_output_tensor(output.index);
  const ov::Shape& shape = tensor.get_shape();
  if (shape.size() > POCKET_MAX_RANK) {
    return fail(error, POCKET_UNIMPLEMENTED, "an output has more than 8 dimensions");
  }
  output.dtype = context->owner->model.outputs().at(output.index).dtype;
  output.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), output.shape);
  const bool strings = output.dtype == POCKET_STRING;
  output.bytes = strings ? packed_string_bytes(tensor) : tensor.get_byte_size();
  if (bound) return POCKET_OK;
  if (output.data == nullptr || output.capacity < output.bytes) {
    output.data = output.allocate == nullptr
                      ? nullptr
                      : output.allocate(output.allocate_context, output.index, output.bytes);
    if (output.data == nullptr) {
      return fail(error, POCKET_RESOURCE_EXHAUSTED, "no room for an output");
    }
  }
  if (strings) {
    pack_strings(tensor, output.data);
  } else if (output.bytes > 0) {
    std::memcpy(output.data, tensor.data(), output.bytes);
  }
  return POCKET_OK;
}

/// An output that one call wrote into the host's memory must not be written there by the next, when
/// that one does not want it or has no room: such outputs get memory of the request's own again.
void unbind_stale_outputs(pocket_engine_context* context, uint64_t bound) {
  const uint64_t stale = context->bound_outputs & ~bound;
  for (uint32_t index = 0; stale >> index != 0 && index < 64; ++index) {
    if ((stale >> index & 1) == 0) continue;
    const Port& port = context->owner->model.outputs().at(index);
    context->request.set_output_tensor(index, ov::Tensor(port.type, port.shape.to_shape()));
  }
  context->bound_outputs = bound;
}

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  return guarded(error, [&]() -> int32_t {
    const std::span wanted(outputs, output_total);
    for (const auto& input : std::span(inputs, input_total)) bind_input(context, input);
    uint64_t bound = 0;
    for (const auto& output : wanted) {
      if (output.index < 64 && bind_output(context, output)) bound |= uint64_t{1} << output.index;
    }
    unbind_stale_outputs(context, bound);
    // Every call starts anew: what one client's call left behind is not the next one's to see.
    if (context->has_state) context->request.reset_state();
    context->request.infer();
    int32_t status = POCKET_OK;
    for (auto& output : wanted) {
      const bool in_place = output.index < 64 && (bound >> output.index & 1) != 0;
      if (status == POCKET_OK) status = deliver_output(context, output, in_place, error);
    }
    return status;
  });
}

const pocket_engine_api* api() {
  static const std::string version = ov::get_openvino_version().buildNumber;
  static const pocket_engine_api table = {
      .abi_version = POCKET_ENGINE_ABI_VERSION,
      .struct_size = sizeof(pocket_engine_api),
      .name = "openvino",
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
      .expect_parallel_runs = expect_parallel_runs,
      .limit_threads = limit_model_threads,
      .run_call = nullptr,
      .client_gone = nullptr,
      .give_back = give_back,
  };
  return &table;
}

}  // namespace
}  // namespace pocket::openvino_engine

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return pocket::openvino_engine::api();
}
