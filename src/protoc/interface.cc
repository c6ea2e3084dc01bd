#include "protoc/interface.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <google/protobuf/descriptor.pb.h>
#include <openssl/evp.h>

#include <algorithm>
#include <set>

namespace pocket::protoc {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

constexpr size_t kMostTensors = 8;  // POCKET_HANDLER_MAX_TENSORS

bool is_attached(const google::protobuf::FieldDescriptor* field) {
  return field->message_type() != nullptr &&
         field->message_type()->full_name() == "pocket.proto.Attached";
}

/// Whatever has a place in a file.
template <typename Descriptor>
std::string at(const FileDescriptor* file, const Descriptor* descriptor, const std::string& text) {
  google::protobuf::SourceLocation place;
  if (!descriptor->GetSourceLocation(&place)) return fmt::format("{}: {}", file->name(), text);
  return fmt::format("{}:{}:{}: {}", file->name(), place.start_line + 1, place.start_column + 1,
                     text);
}

/// Attached fields stand alone: a list of them has no place beside the message.
bool check_attached(const google::protobuf::Descriptor* message, std::string* error) {
  for (int index = 0; index < message->field_count(); ++index) {
    const auto* field = message->field(index);
    if (!is_attached(field) ||
        (!field->is_repeated() && field->real_containing_oneof() == nullptr)) {
      continue;
    }
    *error =
        at(message->file(), field,
           fmt::format("field '{}' of '{}' is a tensor beside the message: it is neither repeated "
                       "nor in a oneof",
                       field->name(), message->name()));
    return false;
  }
  const size_t count = attached_fields(message).size();
  if (count <= kMostTensors) return true;
  *error = at(message->file(), message,
              fmt::format("'{}' has {} tensors beside it; the most is {}", message->name(), count,
                          kMostTensors));
  return false;
}

/// A file and all it imports, each once, imports first.
void collect(const FileDescriptor* file, std::set<std::string>& seen, std::string& bytes) {
  if (!seen.insert(file->name()).second) return;
  for (int index = 0; index < file->dependency_count(); ++index) {
    collect(file->dependency(index), seen, bytes);
  }
  google::protobuf::FileDescriptorProto proto;
  file->CopyTo(&proto);  // without comments and places: those may change
  proto.clear_name();    // and so may the folder
  proto.clear_dependency();
  bytes += proto.SerializeAsString();
}

std::array<uint8_t, 16> digest_of(const ServiceDescriptor* service) {
  std::set<std::string> seen;
  std::string bytes = service->full_name();
  collect(service->file(), seen, bytes);
  std::array<unsigned char, EVP_MAX_MD_SIZE> whole{};
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), whole.data(), &size, EVP_sha256(), nullptr);
  std::array<uint8_t, 16> digest{};
  std::copy_n(whole.begin(), digest.size(), digest.begin());
  return digest;
}

bool check_method(const FileDescriptor* file, const MethodDescriptor* method, std::string* error) {
  if (method->client_streaming()) {
    *error =
        at(file, method,
           fmt::format("method '{}' takes a stream: a request is one message; stream the answer, "
                       "or call it once for each",
                       method->name()));
    return false;
  }
  static const std::set<std::string> kReserved = {"handler",     "model",    "kName",
                                                  "kDigest",     "kMethods", "kTensorsIn",
                                                  "kTensorsOut", "call",     "open"};
  if (kReserved.count(method->name()) == 0) return true;
  *error = at(file, method,
              fmt::format("a method cannot be called '{}': the generated code uses that "
                          "name",
                          method->name()));
  return false;
}

bool read_service(const FileDescriptor* file, Interface* interface, std::string* error) {
  const ServiceDescriptor* service = interface->service;
  if (service->method_count() == 0) {
    *error = at(file, service, fmt::format("service '{}' has no methods", service->name()));
    return false;
  }
  for (int index = 0; index < service->method_count(); ++index) {
    const MethodDescriptor* method = service->method(index);
    if (!check_method(file, method, error) || !check_attached(method->input_type(), error) ||
        !check_attached(method->output_type(), error)) {
      return false;
    }
    interface->tensors_in =
        std::max<size_t>(interface->tensors_in, attached_fields(method->input_type()).size());
    interface->tensors_out =
        std::max<size_t>(interface->tensors_out, attached_fields(method->output_type()).size());
  }
  return true;
}

}  // namespace

bool read_interfaces(const FileDescriptor* file, std::vector<Interface>* interfaces,
                     std::string* error) {
  if (file->service_count() == 0) {
    *error = fmt::format("{}: there is no service in it: a handler is a service with its methods",
                         file->name());
    return false;
  }
  for (int index = 0; index < file->service_count(); ++index) {
    Interface interface;
    interface.file = file;
    interface.service = file->service(index);
    interface.digest = digest_of(interface.service);
    if (!read_service(file, &interface, error)) return false;
    interfaces->push_back(interface);
  }
  return true;
}

std::vector<std::string> attached_fields(const google::protobuf::Descriptor* message) {
  std::vector<std::string> names;
  for (int index = 0; index < message->field_count(); ++index) {
    if (is_attached(message->field(index))) names.push_back(message->field(index)->name());
  }
  return names;
}

std::string attached_text(const google::protobuf::MethodDescriptor* method) {
  std::string text;
  for (const bool in : {true, false}) {
    const auto names = attached_fields(in ? method->input_type() : method->output_type());
    if (names.empty()) continue;
    text += fmt::format("  struct {}{} {{  // tensors beside the {}\n", method->name(),
                        in ? "In" : "Out", in ? "request" : "reply");
    for (size_t index = 0; index < names.size(); ++index) {
      text += fmt::format("    static constexpr uint32_t {} = {};\n", names[index], index);
    }
    text += "  };\n";
  }
  return text;
}

std::string cpp_namespace(const FileDescriptor* file) {
  std::string name = file->package();
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot)) {
    name.replace(dot, 1, "::");
  }
  return name;
}

std::string cpp_name(const google::protobuf::Descriptor* message) {
  // Messages inside others are Outer_Inner, as protoc's own generator has them.
  std::string name = message->name();
  for (auto* outer = message->containing_type(); outer != nullptr;
       outer = outer->containing_type()) {
    name = outer->name() + "_" + name;
  }
  return "::" + cpp_namespace(message->file()) + (message->file()->package().empty() ? "" : "::") +
         name;
}

std::string base_name(const FileDescriptor* file) {
  const std::string& name = file->name();
  const size_t end = name.rfind(".proto");
  return end == std::string::npos ? name : name.substr(0, end);
}

std::string digest_text(const Interface& interface) {
  std::string text;
  for (const uint8_t byte : interface.digest)
    text += fmt::format("{}0x{:02x}", text.empty() ? "" : ", ", byte);
  return text;
}

}  // namespace pocket::protoc
