#include <fmt/format.h>

#include "protoc/texts.h"

namespace pocket::protoc {
namespace {

std::string method_text(const google::protobuf::MethodDescriptor* method) {
  const std::string request = cpp_name(method->input_type());
  const std::string reply = cpp_name(method->output_type());
  if (method->server_streaming()) {
    return fmt::format(R"(
  /* An answer in parts: read() gives one after the other. */
  ::pocket::PartReader<{reply}> {name}(
      const {request}& request, const ::pocket::HandlerOptions& options = {{}}) const {{
    return {{handler_, {index}, handler_.open({index}, request, options)}};
  }}
)",
                       fmt::arg("reply", reply), fmt::arg("request", request),
                       fmt::arg("name", method->name()), fmt::arg("index", method->index()));
  }
  return fmt::format(R"(
  ::pocket::Answer<{reply}> {name}(
      const {request}& request, const ::pocket::HandlerOptions& options = {{}}) const {{
    return handler_.call<{reply}>({index}, request, options);
  }}
)",
                     fmt::arg("reply", reply), fmt::arg("request", request),
                     fmt::arg("name", method->name()), fmt::arg("index", method->index()));
}

std::string class_text(const Interface& interface) {
  std::string methods;
  for (int index = 0; index < interface.service->method_count(); ++index) {
    methods += attached_text(interface.service->method(index));
    methods += method_text(interface.service->method(index));
  }
  return fmt::format(R"(
/* A client of {full_name}. Any thread; functions throw pocket::StatusError. */
class {name}Client {{
 public:
  /* `entry`: the handler's name in the repository. */
  explicit {name}Client(const ::pocket::Session& session, const std::string& entry,
                        const ::pocket::OpenOptions& options = {{}})
      : handler_(session, entry, kDigest, options) {{}}
{methods}
  const ::pocket::HandlerClient& handler() const {{ return handler_; }}

 private:
  static constexpr uint8_t kDigest[16] = {{{digest}}};
  ::pocket::HandlerClient handler_;
}};
)",
                     fmt::arg("full_name", interface.service->full_name()),
                     fmt::arg("name", interface.service->name()), fmt::arg("methods", methods),
                     fmt::arg("digest", digest_text(interface)));
}

}  // namespace

std::string client_header(const std::vector<Interface>& interfaces) {
  const auto* file = interfaces.front().file;
  const std::string space = cpp_namespace(file);
  std::string text = fmt::format(
      "// Written by protoc-gen-pocket from {}: not to be changed by hand.\n#pragma once\n\n"
      "#include \"{}.pb.h\"\n#include \"pocket/handler_client.hpp\"\n",
      file->name(), base_name(file));
  if (!space.empty()) text += fmt::format("\nnamespace {} {{\n", space);
  for (const auto& interface : interfaces) text += class_text(interface);
  if (!space.empty()) text += fmt::format("\n}}  // namespace {}\n", space);
  return text;
}

}  // namespace pocket::protoc
