#include "model.h"

#include <cstddef>

namespace pocket::onnxruntime_engine {
namespace {

// One environment for all models of the process. Errors are answered, not printed.
Ort::Env& environment() {
  static Ort::Env instance(ORT_LOGGING_LEVEL_FATAL, "pocket");
  return instance;
}

/// The host's file for what need not be in memory; -1: none, or an older host's options.
int scratch_of(const pocket_engine_load_options& options) {
  constexpr size_t kReaches = offsetof(pocket_engine_load_options, scratch) + sizeof(int32_t);
  return options.struct_size >= kReaches ? options.scratch : -1;
}

/// Whether the host gives back what calls needed while the model rests; older hosts do not say.
bool host_gives_back(const pocket_engine_load_options& options) {
  constexpr size_t kReaches = offsetof(pocket_engine_load_options, rests) + sizeof(int32_t);
  return options.struct_size >= kReaches && options.rests != 0;
}

Ort::SessionOptions session_options(const pocket_engine_load_options& options) {
  Ort::SessionOptions session;
  // An explicit number of threads is also what keeps ONNX Runtime from pinning them.
  session.SetIntraOpNumThreads(static_cast<int>(options.threads));
  session.SetInterOpNumThreads(1);
  session.SetExecutionMode(ORT_SEQUENTIAL);
  session.SetGraphOptimizationLevel(ORT_ENABLE_ALL);
  // A pool of its own would keep what calls needed.
  if (host_gives_back(options)) session.DisableCpuMemArena();
  const char* spinning = "0";  // idle processes use no processor time
  for (size_t index = 0; index < options.option_count; ++index) {
    const std::string key = options.options[index].key;
    const std::string value = options.options[index].value;
    if (key == "precision") {
      // float32 is computed in float32 on the CPU; "auto" changes nothing here.
      if (value != "float32" && value != "auto") {
        throw Refusal(POCKET_INVALID_ARGUMENT,
                      "precision is 'float32' or 'auto', not '" + value + "'");
      }
    } else if (key == "allow_spinning") {
      if (value != "0" && value != "1") {
        throw Refusal(POCKET_INVALID_ARGUMENT, "allow_spinning is '0' or '1', not '" + value + "'");
      }
      spinning = options.options[index].value;
    } else if (key != "cache_dir") {  // ONNX Runtime keeps no compiled models
      throw Refusal(POCKET_INVALID_ARGUMENT,
                    "unknown option '" + key +
                        "': onnxruntime knows precision, cache_dir and allow_spinning");
    }
  }
  session.AddConfigEntry("session.intra_op.allow_spinning", spinning);
  return session;
}

Port describe(std::string name, const Ort::TypeInfo& type) {
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) {
    throw Refusal(POCKET_UNIMPLEMENTED, "'" + name + "' is not a tensor");
  }
  const auto info = type.GetTensorTypeAndShapeInfo();
  Port port;
  port.name = std::move(name);
  port.dtype = info.GetElementType();  // the numbers are ONNX's on both sides
  if (port.dtype < POCKET_FLOAT32 || port.dtype > POCKET_BFLOAT16) {
    throw Refusal(POCKET_UNIMPLEMENTED,
                  "tensor '" + port.name + "' has an element type that Pocket does not carry");
  }
  port.any_rank = !info.HasShape();
  port.shape = info.GetShape();
  if (port.shape.size() > POCKET_MAX_RANK) {
    throw Refusal(POCKET_UNIMPLEMENTED, "tensor '" + port.name + "' has more than 8 dimensions");
  }
  return port;
}

}  // namespace

size_t Port::static_bytes() const {
  if (any_rank) return 0;
  size_t bytes = pocket_dtype_size(dtype);
  for (const int64_t size : shape) {
    if (size < 0) return 0;
    bytes *= static_cast<size_t>(size);
  }
  return bytes;
}

void Model::open(const pocket_engine_load_options& options) {
  const auto make_options = [&] { return session_options(options); };
  if (const int file = scratch_of(options); file >= 0) {
    try {
      prepared_ = Prepared::of(environment(), options.model_path, make_options, file);
      session_ = prepared_.open(environment(), make_options);
      return;
    } catch (const std::exception& exception) {
      remark_ = std::string("its weights stay in memory: ") + exception.what();
      prepared_ = Prepared();
    }
  }
  // Also when what was tried failed because of the model: then this says why in ONNX Runtime's
  // words.
  session_ = Ort::Session(environment(), options.model_path, make_options());
}

Model::Model(const pocket_engine_load_options& options) {
  open(options);
  Ort::AllocatorWithDefaultOptions allocator;
  for (size_t index = 0; index < session_.GetInputCount(); ++index) {
    inputs_.push_back(describe(session_.GetInputNameAllocated(index, allocator).get(),
                               session_.GetInputTypeInfo(index)));
  }
  for (size_t index = 0; index < session_.GetOutputCount(); ++index) {
    outputs_.push_back(describe(session_.GetOutputNameAllocated(index, allocator).get(),
                                session_.GetOutputTypeInfo(index)));
  }
  for (const auto& input : inputs_) input_names_.push_back(input.name.c_str());
}

}  // namespace pocket::onnxruntime_engine
