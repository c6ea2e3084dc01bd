#include "model.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

#include "elastic.h"
#include "strings.h"

namespace pocket::openvino_engine {
namespace {

// One core for all models of the process: it owns the plugin and its compiled kernels.
ov::Core& core() {
  static ov::Core instance;
  return instance;
}

const std::vector<std::pair<int32_t, ov::element::Type>>& types() {
  static const std::vector<std::pair<int32_t, ov::element::Type>> table = {
      {POCKET_FLOAT32, ov::element::f32},  {POCKET_UINT8, ov::element::u8},
      {POCKET_INT8, ov::element::i8},      {POCKET_UINT16, ov::element::u16},
      {POCKET_INT16, ov::element::i16},    {POCKET_INT32, ov::element::i32},
      {POCKET_INT64, ov::element::i64},    {POCKET_STRING, ov::element::string},
      {POCKET_BOOL, ov::element::boolean}, {POCKET_FLOAT16, ov::element::f16},
      {POCKET_FLOAT64, ov::element::f64},  {POCKET_UINT32, ov::element::u32},
      {POCKET_UINT64, ov::element::u64},   {POCKET_BFLOAT16, ov::element::bf16}};
  return table;
}

ov::AnyMap compile_properties(const pocket_engine_load_options& options) {
  ov::AnyMap properties;
  properties.emplace(ov::inference_num_threads(static_cast<int32_t>(options.threads)));
  // One stream for each call that may run at once; one call alone still has all threads.
  properties.emplace(ov::num_streams(
      ov::streams::Num(static_cast<int32_t>(std::min(options.threads, options.concurrency)))));
  // Pinned threads make two processes share one core.
  properties.emplace(ov::hint::enable_cpu_pinning(false));
  bool exact = true;
  for (size_t index = 0; index < options.option_count; ++index) {
    const std::string key = options.options[index].key;
    const std::string value = options.options[index].value;
    if (key == "precision") {
      if (value != "float32" && value != "auto") {
        throw Refusal(POCKET_INVALID_ARGUMENT,
                      "precision is 'float32' or 'auto', not '" + value + "'");
      }
      exact = value == "float32";
    } else if (key == "cache_dir") {
      properties.emplace(ov::cache_dir(value));
    } else if (key == "num_streams") {
      properties[ov::num_streams.name()] = value;
    } else {
      throw Refusal(
          POCKET_INVALID_ARGUMENT,
          "unknown option '" + key + "': openvino knows precision, cache_dir and num_streams");
    }
  }
  // Some processors run float32 models in bfloat16 unless told not to.
  if (exact) properties.emplace(ov::hint::inference_precision(ov::element::f32));
  return properties;
}

/// The host's file for what need not be in memory; -1: none, or an older host's options.
int scratch_of(const pocket_engine_load_options& options) {
  constexpr size_t kReaches = offsetof(pocket_engine_load_options, scratch) + sizeof(int32_t);
  return options.struct_size >= kReaches ? options.scratch : -1;
}

/// The port's own name. A tensor may have several: one that is handed on from an input has that
/// one's too.
std::string name_of(const ov::Output<const ov::Node>& output, const std::string& fallback) {
  const auto& names = output.get_names();
  if (names.empty()) return fallback;
  const std::string friendly = output.get_node()->get_friendly_name();
  const std::string own = friendly.substr(0, friendly.rfind("/sink_port_"));
  return names.contains(own) ? own : *std::min_element(names.begin(), names.end());
}

Port describe(const ov::Output<const ov::Node>& output, const std::string& fallback) {
  Port port;
  port.name = name_of(output, fallback);
  port.type = output.get_element_type();
  port.dtype = dtype_of(port.type);
  port.shape = output.get_partial_shape();
  if (port.shape.rank().is_static() && port.shape.rank().get_length() > POCKET_MAX_RANK) {
    throw Refusal(POCKET_UNIMPLEMENTED, "tensor '" + port.name + "' has more than 8 dimensions");
  }
  return port;
}

}  // namespace

int32_t dtype_of(const ov::element::Type& type) {
  for (const auto& [dtype, known] : types()) {
    if (known == type) return dtype;
  }
  throw Refusal(POCKET_UNIMPLEMENTED,
                "element type " + type.get_type_name() + " is not one Pocket carries");
}

ov::element::Type type_of(int32_t dtype) {
  for (const auto& [known, type] : types()) {
    if (known == dtype) return type;
  }
  throw Refusal(POCKET_UNIMPLEMENTED,
                std::string("OpenVINO has no element type ") + pocket_dtype_name(dtype));
}

void Model::compile(const pocket_engine_load_options& options) {
  const ov::AnyMap properties = compile_properties(options);
  const std::string path = options.model_path;
  compiled_ = core().compile_model(path, "CPU", properties);
  const int file = scratch_of(options);
  if (file < 0) return;
  try {
    constants_ = Constants::of(compiled_, file);
    compiled_ = {};  // so that both are never there at once
    compiled_ = constants_.import(core(), properties);
  } catch (const std::exception& exception) {
    remark_ = std::string("its weights stay in memory twice: ") + exception.what();
    if (!compiled_) compiled_ = core().compile_model(path, "CPU", properties);
  }
}

void Model::give_back() {
  compiled_.release_memory();
  constants_.drop_pages();
}

Model::Model(const pocket_engine_load_options& options) {
  let_streams_use(options.threads);
  compile(options);
  for (const auto& input : compiled_.inputs()) {
    inputs_.push_back(describe(input, "input_" + std::to_string(inputs_.size())));
  }
  for (const auto& output : compiled_.outputs()) {
    outputs_.push_back(describe(output, "output_" + std::to_string(outputs_.size())));
  }
  // An input that is handed on has lost its own name to the output's.
  for (size_t index = 0; index < inputs_.size(); ++index) {
    const auto same = [&](const Port& output) { return output.name == inputs_[index].name; };
    if (std::none_of(outputs_.begin(), outputs_.end(), same)) continue;
    inputs_[index].name = compiled_.inputs()[index].get_node()->get_friendly_name();
  }
  const auto runtime = compiled_.get_runtime_model();
  for (const auto& result : runtime->get_results()) {
    const std::string source = result->get_input_node_ptr(0)->get_type_name();
    passes_through_ = passes_through_ || source == "Parameter";
  }
  const auto has_strings = [](const Port& port) { return port.dtype == POCKET_STRING; };
  if (std::any_of(inputs_.begin(), inputs_.end(), has_strings) ||
      std::any_of(outputs_.begin(), outputs_.end(), has_strings)) {
    check_string_operations(*core().read_model(std::string(options.model_path)));
  }
}

}  // namespace pocket::openvino_engine
