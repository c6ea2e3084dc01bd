#include "signature.h"

#include <tensorflow/c/tf_datatype.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <protozero/pbf_message.hpp>
#include <utility>

#include "refusal.h"

namespace pocket::tensorflow_engine {
namespace {

// Field numbers of TensorFlow's protobuf/meta_graph.proto and framework/tensor_shape.proto.
enum class MetaGraph : protozero::pbf_tag_type { kSignatures = 5 };
enum class SignatureDef : protozero::pbf_tag_type { kInputs = 1, kOutputs = 2 };
enum class Entry : protozero::pbf_tag_type { kKey = 1, kValue = 2 };
enum class TensorInfo : protozero::pbf_tag_type { kName = 1, kType = 2, kShape = 3 };
enum class Shape : protozero::pbf_tag_type { kDimension = 2, kUnknownRank = 3 };
enum class Dimension : protozero::pbf_tag_type { kSize = 1 };

using protozero::pbf_message;

constexpr std::pair<int32_t, int32_t> kTypes[] = {{POCKET_FLOAT32, TF_FLOAT},
                                                  {POCKET_UINT8, TF_UINT8},
                                                  {POCKET_INT8, TF_INT8},
                                                  {POCKET_UINT16, TF_UINT16},
                                                  {POCKET_INT16, TF_INT16},
                                                  {POCKET_INT32, TF_INT32},
                                                  {POCKET_INT64, TF_INT64},
                                                  {POCKET_STRING, TF_STRING},
                                                  {POCKET_BOOL, TF_BOOL},
                                                  {POCKET_FLOAT16, TF_HALF},
                                                  {POCKET_FLOAT64, TF_DOUBLE},
                                                  {POCKET_UINT32, TF_UINT32},
                                                  {POCKET_UINT64, TF_UINT64},
                                                  {POCKET_COMPLEX64, TF_COMPLEX64},
                                                  {POCKET_COMPLEX128, TF_COMPLEX128},
                                                  {POCKET_BFLOAT16, TF_BFLOAT16}};

/// A map's entries, whose values are messages; absent parts are empty.
template <typename Message, typename Tag>
std::map<std::string, protozero::data_view> read_map(pbf_message<Message> message, Tag tag) {
  std::map<std::string, protozero::data_view> entries;
  while (message.next(tag)) {
    pbf_message<Entry> entry = message.get_message();
    std::string key;
    protozero::data_view value;
    while (entry.next()) {
      switch (entry.tag()) {
        case Entry::kKey:
          key = entry.get_string();
          break;
        case Entry::kValue:
          value = entry.get_view();
          break;
        default:
          entry.skip();
      }
    }
    entries[std::move(key)] = value;
  }
  return entries;
}

void read_shape(protozero::data_view bytes, Port& port) {
  pbf_message<Shape> shape(bytes);
  while (shape.next()) {
    if (shape.tag() == Shape::kUnknownRank) {
      port.any_rank = shape.get_bool();
    } else if (shape.tag() == Shape::kDimension) {
      pbf_message<Dimension> dimension(shape.get_message());
      int64_t size = 0;
      while (dimension.next(Dimension::kSize)) size = dimension.get_int64();
      port.shape.push_back(size < 0 ? -1 : size);
    } else {
      shape.skip();
    }
  }
  if (port.shape.size() > POCKET_MAX_RANK) {
    throw Refusal(POCKET_UNIMPLEMENTED, "tensor '" + port.name + "' has more than 8 dimensions");
  }
}

/// "operation:0" and "operation" are the same tensor.
void read_tensor_name(const std::string& text, Port& port) {
  const size_t colon = text.rfind(':');
  port.operation = text.substr(0, colon);
  if (colon == std::string::npos) return;
  const char* end = text.data() + text.size();
  if (std::from_chars(text.data() + colon + 1, end, port.output).ptr != end) {
    throw Refusal(POCKET_ENGINE_ERROR, "'" + text + "' is not the name of a tensor");
  }
}

Port read_port(const std::string& key, protozero::data_view bytes) {
  Port port;
  port.name = key;
  port.any_rank = true;  // until a shape is told
  int32_t type = 0;
  pbf_message<TensorInfo> info(bytes);
  while (info.next()) {
    switch (info.tag()) {
      case TensorInfo::kName:
        read_tensor_name(info.get_string(), port);
        break;
      case TensorInfo::kType:
        type = info.get_enum();
        break;
      case TensorInfo::kShape:
        port.any_rank = false;
        read_shape(info.get_view(), port);
        break;
      default:
        info.skip();
    }
  }
  if (port.operation.empty()) {  // sparse, ragged ...
    throw Refusal(POCKET_UNIMPLEMENTED, "'" + key + "' is not a plain tensor");
  }
  port.dtype = pocket_type(type, key);
  return port;
}

std::vector<Port> read_ports(protozero::data_view signature, SignatureDef side) {
  std::vector<Port> ports;
  for (const auto& [key, value] : read_map(pbf_message<SignatureDef>(signature), side)) {
    ports.push_back(read_port(key, value));
  }
  return ports;
}

/// "a, b and c" of what a client may ask for; those with two underscores are TensorFlow's own.
std::string names_of(const std::map<std::string, protozero::data_view>& signatures) {
  std::string names;
  for (const auto& [key, value] : signatures) {
    if (!key.starts_with("__")) names += (names.empty() ? "" : ", ") + key;
  }
  return names.empty() ? "none" : names;
}

}  // namespace

int32_t tensorflow_type(int32_t dtype) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](auto& pair) { return pair.first == dtype; });
  if (found == std::end(kTypes)) {
    throw Refusal(POCKET_UNIMPLEMENTED, "an element type that TensorFlow does not have");
  }
  return found->second;
}

int32_t pocket_type(int32_t type, const std::string& tensor) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes),
                                   [&](auto& pair) { return pair.second == type; });
  if (found == std::end(kTypes)) {
    throw Refusal(POCKET_UNIMPLEMENTED, "tensor '" + tensor +
                                            "' has an element type that Pocket does not carry (" +
                                            std::to_string(type) + " in TensorFlow's types.proto)");
  }
  return found->first;
}

Signature read_signature(std::string_view meta_graph, const std::string& name) {
  const auto signatures = read_map(pbf_message<MetaGraph>(meta_graph.data(), meta_graph.size()),
                                   MetaGraph::kSignatures);
  const auto found = signatures.find(name);
  if (found == signatures.end()) {
    throw Refusal(POCKET_INVALID_ARGUMENT, "the SavedModel has no signature '" + name +
                                               "'; it has: " + names_of(signatures) +
                                               " (option 'signature' in model.toml)");
  }
  return {read_ports(found->second, SignatureDef::kInputs),
          read_ports(found->second, SignatureDef::kOutputs)};
}

}  // namespace pocket::tensorflow_engine
