#include <fmt/format.h>

#include <algorithm>

#include "protoc/texts.h"

namespace pocket::protoc {
namespace {

/// The module that protoc's own generator writes for the file of a message.
std::string module_of(const google::protobuf::FileDescriptor* file) {
  std::string name = base_name(file) + "_pb2";
  std::replace(name.begin(), name.end(), '/', '.');
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// "a.b_pb2" -> "a_b_pb2": what the import is called here.
std::string alias_of(const google::protobuf::FileDescriptor* file) {
  std::string name = module_of(file);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

std::string message_name(const google::protobuf::Descriptor* message) {
  std::string name = message->name();
  for (auto* outer = message->containing_type(); outer != nullptr;
       outer = outer->containing_type()) {
    name = outer->name() + "." + name;
  }
  return alias_of(message->file()) + "." + name;
}

std::string class_text(const Interface& interface) {
  std::string digest;
  for (const uint8_t byte : interface.digest) digest += fmt::format("{:02x}", byte);
  std::string text = fmt::format(
      "\n\nclass {}Client:\n    \"\"\"A client of {}.\"\"\"\n\n    DIGEST = "
      "bytes.fromhex(\"{}\")\n\n"
      "    def __init__(self, session, entry, **options):\n"
      "        self.handler = pocket.HandlerClient(session, entry, self.DIGEST, **options)\n",
      interface.service->name(), interface.service->full_name(), digest);
  for (int index = 0; index < interface.service->method_count(); ++index) {
    const auto* method = interface.service->method(index);
    text += fmt::format(
        "\n    def {}(self, request, **options):\n"
        "        \"\"\"{} -> {}{}\"\"\"\n"
        "        return self.handler.{}({}, request, {}, **options)\n",
        method->name(), message_name(method->input_type()),
        method->server_streaming() ? "parts of " : "", message_name(method->output_type()),
        method->server_streaming() ? "open" : "call", index, message_name(method->output_type()));
  }
  return text;
}

}  // namespace

std::string python_module(const std::vector<Interface>& interfaces) {
  const auto* file = interfaces.front().file;
  std::vector<const google::protobuf::FileDescriptor*> files;
  for (const auto& interface : interfaces) {
    for (int index = 0; index < interface.service->method_count(); ++index) {
      const auto* method = interface.service->method(index);
      for (const auto* used : {method->input_type()->file(), method->output_type()->file()}) {
        if (std::find(files.begin(), files.end(), used) == files.end()) files.push_back(used);
      }
    }
  }
  std::string text = fmt::format(
      "# Written by protoc-gen-pocket from {}: not to be changed by hand.\nimport pocket\n\n",
      file->name());
  for (const auto* used : files)
    text += fmt::format("import {} as {}\n", module_of(used), alias_of(used));
  for (const auto& interface : interfaces) text += class_text(interface);
  return text;
}

}  // namespace pocket::protoc
