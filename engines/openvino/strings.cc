#include "strings.h"

#include <cstring>
#include <string>

namespace pocket::openvino_engine {

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
