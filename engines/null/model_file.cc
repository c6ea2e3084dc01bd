#include "model_file.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/toml.h"

namespace pocket::null_engine {
namespace {

constexpr std::array<std::pair<const char*, Mode>, 6> kModes = {{{"none", Mode::kNone},
                                                                 {"zeros", Mode::kZeros},
                                                                 {"echo", Mode::kEcho},
                                                                 {"error", Mode::kError},
                                                                 {"crash", Mode::kCrash},
                                                                 {"hang", Mode::kHang}}};

Error invalid(std::string message) { return Error{POCKET_INVALID_ARGUMENT, std::move(message)}; }

Result<int32_t> parse_dtype(const std::string& name) {
  for (int32_t dtype = POCKET_FLOAT32; dtype <= POCKET_BFLOAT16; ++dtype) {
    if (name == pocket_dtype_name(dtype)) return dtype;
  }
  return invalid(fmt::format("'{}' is not a dtype", name));
}

Result<Tensor> parse_tensor(const toml::table& table) {
  Tensor tensor;
  tensor.name = table["name"].value_or(std::string());
  POCKET_ASSIGN_OR_RETURN(tensor.dtype,
                          parse_dtype(table["dtype"].value_or(std::string("float32"))));
  if (const auto* shape = table["shape"].as_array()) {
    for (const auto& dimension : *shape) {
      const auto value = dimension.value<int64_t>();
      if (!value || *value < -1) return invalid("a shape holds whole numbers >= -1");
      tensor.shape.push_back(*value);
    }
  }
  if (tensor.shape.size() > POCKET_MAX_RANK) return invalid("a shape has at most 8 dimensions");
  return tensor;
}

Result<std::vector<Tensor>> parse_tensors(const toml::table& file, const char* key) {
  std::vector<Tensor> tensors;
  if (const auto* array = file[key].as_array()) {
    for (const auto& element : *array) {
      if (!element.is_table()) return invalid(fmt::format("[[{}]] must be tables", key));
      POCKET_ASSIGN_OR_RETURN(Tensor tensor, parse_tensor(*element.as_table()));
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

Result<Mode> parse_mode(const std::string& name) {
  for (const auto& [known, mode] : kModes) {
    if (name == known) return mode;
  }
  return invalid(fmt::format("mode '{}' is none of none, zeros, echo, error, crash, hang", name));
}

}  // namespace

Result<ModelFile> read_model_file(const std::string& path) {
  toml::table file;
  try {
    file = toml::parse_file(path);
  } catch (const toml::parse_error& error) {
    return Error{POCKET_DATA_LOSS, fmt::format("'{}' line {}: {}", path, error.source().begin.line,
                                               error.description())};
  }
  if (const auto text = file["load_error"].value<std::string>()) {
    return Error{POCKET_ENGINE_ERROR, *text};
  }
  ModelFile model;
  POCKET_ASSIGN_OR_RETURN(model.inputs, parse_tensors(file, "inputs"));
  POCKET_ASSIGN_OR_RETURN(model.outputs, parse_tensors(file, "outputs"));
  POCKET_ASSIGN_OR_RETURN(model.mode, parse_mode(file["mode"].value_or(std::string("zeros"))));
  model.delay_us = static_cast<uint64_t>(file["delay_us"].value_or<int64_t>(0));
  model.busy_us = static_cast<uint64_t>(file["busy_us"].value_or<int64_t>(0));
  model.crash_above = static_cast<uint64_t>(file["crash_above"].value_or<int64_t>(0));
  if (model.mode == Mode::kEcho && model.outputs.size() > model.inputs.size()) {
    return invalid("mode echo needs an input for each output");
  }
  return model;
}

}  // namespace pocket::null_engine
