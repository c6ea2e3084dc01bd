#include "strings.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "model.h"

namespace pocket::openvino_engine {

namespace {

/// Operations that were seen to treat strings as strings; tests/equality runs them.
constexpr std::array<std::string_view, 11> kSafe = {
    "Parameter", "Result", "Constant", "Gather",           "Reshape",           "Squeeze",
    "Unsqueeze", "Concat", "ShapeOf",  "StringTensorPack", "StringTensorUnpack"};

bool has_strings(const ov::Node& node) {
  for (const auto& input : node.inputs()) {
    if (input.get_element_type() == ov::element::string) return true;
  }
  for (const auto& output : node.outputs()) {
    if (output.get_element_type() == ov::element::string) return true;
  }
  return false;
}

}  // namespace

void check_string_operations(const ov::Model& model) {
  for (const auto& node : model.get_ops()) {
    const std::string type = node->get_type_name();
    if (!has_strings(*node) || std::find(kSafe.begin(), kSafe.end(), type) != kSafe.end()) continue;
    throw Refusal(POCKET_UNIMPLEMENTED, "operation '" + node->get_friendly_name() + "' (" + type +
                                            ") works on strings, which OpenVINO does not do "
                                            "safely: use the onnxruntime engine");
  }
}

ov::Tensor unpack_strings(const pocket_engine_input& input, const ov::Shape& shape) {
  ov::Tensor tensor(ov::element::string, shape);
  const auto* offsets = static_cast<const uint64_t*>(input.data);
  const auto* bytes = reinterpret_cast<const char*>(offsets + tensor.get_size() + 1);
  auto* strings = tensor.data<std::string>();
  for (size_t index = 0; index < tensor.get_size(); ++index) {
    strings[index].assign(bytes + offsets[index], offsets[index + 1] - offsets[index]);
  }
  return tensor;
}

uint64_t packed_string_bytes(const ov::Tensor& tensor) {
  uint64_t bytes = (tensor.get_size() + 1) * sizeof(uint64_t);
  const auto* strings = tensor.data<const std::string>();
  for (size_t index = 0; index < tensor.get_size(); ++index) bytes += strings[index].size();
  return bytes;
}

void pack_strings(const ov::Tensor& tensor, void* data) {
  auto* offsets = static_cast<uint64_t*>(data);
  auto* bytes = reinterpret_cast<char*>(offsets + tensor.get_size() + 1);
  const auto* strings = tensor.data<const std::string>();
  offsets[0] = 0;
  for (size_t index = 0; index < tensor.get_size(); ++index) {
    std::memcpy(bytes + offsets[index], strings[index].data(), strings[index].size());
    offsets[index + 1] = offsets[index] + strings[index].size();
  }
}

}  // namespace pocket::openvino_engine
