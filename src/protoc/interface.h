// An interface as the generated code needs it: read from a .proto file and checked.
#pragma once

#include <google/protobuf/descriptor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace pocket::protoc {

/// One service, which is one handler.
struct Interface {
  const google::protobuf::FileDescriptor* file = nullptr;
  const google::protobuf::ServiceDescriptor* service = nullptr;
  std::array<uint8_t, 16> digest{};
  size_t tensors_in = 0;  // the most that a method has
  size_t tensors_out = 0;
};

/// The services of a file. False: `error` names file, line and column, and what to do.
bool read_interfaces(const google::protobuf::FileDescriptor* file,
                     std::vector<Interface>* interfaces, std::string* error);

/// The fields of a message that are tensors beside it, in the order of the message.
std::vector<std::string> attached_fields(const google::protobuf::Descriptor* message);
/// Their numbers, as constants for a generated class: JudgeIn::image.
std::string attached_text(const google::protobuf::MethodDescriptor* method);

/// "myapp::JudgeRequest", "a.b" -> "a::b", and the name of a file without ".proto".
std::string cpp_name(const google::protobuf::Descriptor* message);
std::string cpp_namespace(const google::protobuf::FileDescriptor* file);
std::string base_name(const google::protobuf::FileDescriptor* file);
/// "0x01, 0x02, ..."
std::string digest_text(const Interface& interface);

}  // namespace pocket::protoc
