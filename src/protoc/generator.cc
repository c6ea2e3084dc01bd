#include "protoc/generator.h"

#include <fmt/format.h>
#include <google/protobuf/io/zero_copy_stream.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "protoc/texts.h"

namespace pocket::protoc {
namespace {

bool write(google::protobuf::compiler::GeneratorContext* context, const std::string& name,
           const std::string& text) {
  const std::unique_ptr<google::protobuf::io::ZeroCopyOutputStream> stream(context->Open(name));
  size_t written = 0;
  while (written < text.size()) {
    void* room = nullptr;
    int size = 0;
    if (!stream->Next(&room, &size)) return false;
    const size_t count = std::min(text.size() - written, static_cast<size_t>(size));
    std::memcpy(room, text.data() + written, count);
    written += count;
    if (count < static_cast<size_t>(size)) stream->BackUp(size - static_cast<int>(count));
  }
  return true;
}

}  // namespace

bool Generator::Generate(const google::protobuf::FileDescriptor* file, const std::string& parameter,
                         google::protobuf::compiler::GeneratorContext* context,
                         std::string* error) const {
  std::vector<std::pair<std::string, std::string>> wanted;
  google::protobuf::compiler::ParseGeneratorParameter(parameter, &wanted);
  for (const auto& [name, value] : wanted) {
    if (name == "client" || name == "handler" || name == "python") continue;
    *error = fmt::format("unknown parameter '{}': there are client, handler and python", name);
    return false;
  }
  const auto wants = [&wanted](const char* name) {
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(),
                                         [name](const auto& pair) { return pair.first == name; });
  };
  std::vector<Interface> interfaces;
  if (!read_interfaces(file, &interfaces, error)) return false;
  const std::string base = base_name(file);
  std::string module = base;
  std::replace(module.begin(), module.end(), '-', '_');
  bool done = true;
  if (wants("client")) done = done && write(context, base + ".client.h", client_header(interfaces));
  if (wants("handler"))
    done = done && write(context, base + ".handler.h", handler_header(interfaces));
  if (wants("python"))
    done = done && write(context, module + "_pocket.py", python_module(interfaces));
  if (!done) *error = "the generated files cannot be written";
  return done;
}

}  // namespace pocket::protoc
