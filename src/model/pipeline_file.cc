#include "model/pipeline_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <optional>
#include <string_view>

#include "base/toml.h"
#include "model/pipeline_order.h"
#include "model/repository.h"
#include "model/toml_reader.h"
#include "pocket/dtype.h"

namespace pocket::model {
namespace {

constexpr size_t kMostSteps = 64;
constexpr size_t kMostTensors = 64;  // of a step, and of the pipeline; as a call has at most

constexpr std::array<std::string_view, 3> kKeys = {"inputs", "steps", "outputs"};
constexpr std::array<std::string_view, 3> kInputKeys = {"name", "dtype", "shape"};
constexpr std::array<std::string_view, 1> kOutputKeys = {"name"};
constexpr std::array<std::string_view, 8> kStepKeys = {
    "name", "operation", "model", "handler", "method", "inputs", "outputs", "parameters"};

/// Calls `read(table, reader)` for each table of a list of them.
template <typename Read>
void each_table(const toml::table& file, const char* key, const std::string& path,
                TomlReader& reader, size_t most, Read read) {
  const toml::node* node = file.get(key);
  if (node == nullptr) return;
  const toml::array* list = node->as_array();
  if (list == nullptr || list->size() > most) {
    reader.fail(*node, fmt::format("'{}' must be at most {} tables: [[{}]]", key, most, key));
    return;
  }
  for (const auto& item : *list) {
    if (!item.is_table()) {
      reader.fail(item, fmt::format("'{}' must hold tables: [[{}]]", key, key));
      return;
    }
    TomlReader inner(*item.as_table(), path);
    read(*item.as_table(), inner);
    reader.adopt(inner);
  }
}

int32_t dtype_number(const std::string& name) {
  for (int32_t dtype = POCKET_FLOAT32; dtype <= POCKET_BFLOAT16; ++dtype) {
    if (name == pocket_dtype_name(dtype)) return dtype;
  }
  return POCKET_DTYPE_UNDEFINED;
}

/// The numbers of a list; none when something else is in it.
template <typename Number>
std::optional<std::vector<Number>> numbers_of(const toml::node& node) {
  const toml::array* list = node.as_array();
  if (list == nullptr) return std::nullopt;
  std::vector<Number> numbers;
  for (const auto& item : *list) {
    const bool fits = item.is_integer() || (std::is_same_v<Number, double> && item.is_number());
    if (!fits) return std::nullopt;
    numbers.push_back(*item.value<Number>());
  }
  return numbers;
}

PipelineInput read_input(const toml::table& table, TomlReader& reader) {
  PipelineInput input;
  reader.refuse_unknown_keys(kInputKeys);
  std::string dtype;
  reader.read<std::string>("name", "a text", input.name);
  reader.read<std::string>("dtype", "the name of a type", dtype);
  input.dtype = dtype_number(dtype);
  const toml::node* shape = table.get("shape");
  const auto sizes = shape == nullptr ? std::nullopt : numbers_of<int64_t>(*shape);
  if (sizes) input.shape = *sizes;
  const bool possible =
      sizes && sizes->size() <= POCKET_MAX_RANK &&
      std::all_of(sizes->begin(), sizes->end(), [](int64_t size) { return size >= -1; });
  if (input.name.empty() || input.dtype == POCKET_DTYPE_UNDEFINED || !possible) {
    reader.fail(table,
                fmt::format("an input has a name, a dtype such as 'float32', and a shape of at "
                            "most {} sizes, -1 for any",
                            POCKET_MAX_RANK));
  }
  return input;
}

/// A list of tensors by position, or a table of them by the step's own names.
std::vector<PipelineStep::Port> read_ports(const toml::table& step, const char* key,
                                           TomlReader& reader) {
  std::vector<PipelineStep::Port> ports;
  const toml::node* node = step.get(key);
  if (node == nullptr) return ports;
  const auto add = [&](const std::string& port, const toml::node& value) {
    const auto name = value.value_exact<std::string>();
    if (!name || name->empty())
      reader.fail(value, fmt::format("'{}' must hold names of tensors", key));
    if (name) ports.push_back({port, *name});
  };
  if (const auto* list = node->as_array()) {
    for (const auto& item : *list) add("", item);
  } else if (const auto* table = node->as_table()) {
    for (const auto& [port, value] : *table) add(std::string(port.str()), value);
  } else {
    reader.fail(*node, fmt::format("'{}' must be a list of tensors, or a table of them", key));
  }
  if (ports.size() > kMostTensors) {
    reader.fail(*node, fmt::format("a step has at most {} tensors in '{}'", kMostTensors, key));
  }
  return ports;
}

void read_parameters(const toml::table& step, TomlReader& reader, PipelineStep& target) {
  const toml::node* node = step.get("parameters");
  if (node == nullptr) return;
  if (!node->is_table() || target.kind != PipelineStep::Kind::kOperation) {
    reader.fail(*node, "'parameters' must be a table, of an operation");
    return;
  }
  for (const auto& [key, value] : *node->as_table()) {
    const std::string name(key.str());
    if (const auto whole = value.value_exact<int64_t>()) {
      target.parameters.emplace_back(name, *whole);
    } else if (const auto number = value.value_exact<double>()) {
      target.parameters.emplace_back(name, *number);
    } else if (const auto text = value.value_exact<std::string>()) {
      target.parameters.emplace_back(name, *text);
    } else if (auto wholes = numbers_of<int64_t>(value)) {
      target.parameters.emplace_back(name, std::move(*wholes));
    } else if (auto numbers = numbers_of<double>(value)) {
      target.parameters.emplace_back(name, std::move(*numbers));
    } else {
      reader.fail(
          value, fmt::format("parameter '{}' must be a number, a text or a list of numbers", name));
    }
  }
}

PipelineStep read_step(const toml::table& table, TomlReader& reader) {
  PipelineStep step;
  step.line = table.source().begin.line;
  reader.refuse_unknown_keys(kStepKeys);
  std::string operation, model, handler;
  reader.read<std::string>("name", "a text", step.label);
  reader.read<std::string>("operation", "the name of an operation", operation);
  reader.read<std::string>("model", "the name of a model", model);
  reader.read<std::string>("handler", "the name of a handler", handler);
  reader.read<std::string>("method", "the name of a method", step.method);
  if ((operation.empty() ? 0 : 1) + (model.empty() ? 0 : 1) + (handler.empty() ? 0 : 1) != 1) {
    reader.fail(table, "a step has one of 'operation', 'model' and 'handler'");
  }
  if (handler.empty() != step.method.empty()) {
    reader.fail(table, "a step with a handler, and no other, has a 'method'");
  }
  step.kind = !operation.empty() ? PipelineStep::Kind::kOperation
              : !model.empty()   ? PipelineStep::Kind::kModel
                                 : PipelineStep::Kind::kHandler;
  step.wanted = operation + model + handler;
  step.target = step.wanted.substr(0, step.wanted.find('@'));
  if (step.kind != PipelineStep::Kind::kOperation && !is_model_name(step.target)) {
    reader.fail(table, fmt::format("'{}' is no name of a model", step.wanted));
  }
  if (step.label.empty()) step.label = step.wanted;
  step.inputs = read_ports(table, "inputs", reader);
  step.outputs = read_ports(table, "outputs", reader);
  if (step.outputs.empty())
    reader.fail(table, fmt::format("step '{}' gives nothing: outputs = [...]", step.label));
  read_parameters(table, reader, step);
  return step;
}

}  // namespace

Result<PipelineFile> parse_pipeline(const std::string& text, const std::string& path) {
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{} line {}: {}", path, error.source().begin.line, error.description())};
  }
  PipelineFile file;
  TomlReader reader(table, path);
  reader.refuse_unknown_keys(kKeys);
  each_table(table, "inputs", path, reader, kMostTensors,
             [&](const toml::table& item, TomlReader& inner) {
               file.inputs.push_back(read_input(item, inner));
             });
  each_table(table, "steps", path, reader, kMostSteps,
             [&](const toml::table& item, TomlReader& inner) {
               file.steps.push_back(read_step(item, inner));
             });
  each_table(table, "outputs", path, reader, kMostTensors,
             [&](const toml::table& item, TomlReader& inner) {
               inner.refuse_unknown_keys(kOutputKeys);
               std::string name;
               inner.read<std::string>("name", "the name of a tensor", name);
               if (name.empty()) inner.fail(item, "an output has the name of a tensor");
               file.outputs.push_back(name);
             });
  POCKET_RETURN_IF_ERROR(reader.result());
  if (file.steps.empty() || file.outputs.empty()) {
    return Error{
        POCKET_INVALID_ARGUMENT,
        fmt::format("{}: a pipeline has at least one of [[steps]] and of [[outputs]]", path)};
  }
  POCKET_RETURN_IF_ERROR(put_in_order(file, path));
  return file;
}

Result<PipelineFile> read_pipeline_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{POCKET_NOT_FOUND, fmt::format("cannot read '{}'", path)};
  return parse_pipeline({std::istreambuf_iterator<char>(file), {}}, path);
}

}  // namespace pocket::model
