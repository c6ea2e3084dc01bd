#include <fmt/format.h>

#include "protoc/texts.h"

namespace pocket::protoc {
namespace {

using google::protobuf::MethodDescriptor;

/// The function that the application writes.
std::string virtual_text(const MethodDescriptor* method) {
  const std::string request = cpp_name(method->input_type());
  const std::string reply = cpp_name(method->output_type());
  if (method->server_streaming()) {
    return fmt::format(
        "  virtual std::unique_ptr<::pocket::handler::Parts<{}>> {}(\n"
        "      ::pocket::handler::Context& context, const {}& request) = 0;\n",
        reply, method->name(), request);
  }
  return fmt::format(
      "  virtual void {}(::pocket::handler::Context& context, const {}& request,\n"
      "      {}& reply) = 0;\n",
      method->name(), request, reply);
}

std::string call_case(const MethodDescriptor* method) {
  return fmt::format(R"(      case {index}: {{
        const auto request = ::pocket::handler::parse<{request}>(context);
        {reply} reply;
        handler.{name}(context, request, reply);
        return ::pocket::handler::answer(context, reply);
      }}
)",
                     fmt::arg("index", method->index()), fmt::arg("name", method->name()),
                     fmt::arg("request", cpp_name(method->input_type())),
                     fmt::arg("reply", cpp_name(method->output_type())));
}

std::string open_case(const MethodDescriptor* method) {
  return fmt::format(R"(      case {index}:
        return ::pocket::handler::erase(handler.{name}(
            context, ::pocket::handler::parse<{request}>(context)));
)",
                     fmt::arg("index", method->index()), fmt::arg("name", method->name()),
                     fmt::arg("request", cpp_name(method->input_type())));
}

std::string class_text(const Interface& interface) {
  std::string functions, table, calls, opens;
  for (int index = 0; index < interface.service->method_count(); ++index) {
    const MethodDescriptor* method = interface.service->method(index);
    functions += attached_text(method) + virtual_text(method);
    table += fmt::format("      {{\"{}\", {}, 0}},\n", method->name(),
                         method->server_streaming() ? 1 : 0);
    (method->server_streaming() ? opens : calls) +=
        method->server_streaming() ? open_case(method) : call_case(method);
  }
  return fmt::format(
      R"(
/* Derive from this to answer {full_name}; the class is made for each client, from a
 * pocket::handler::Setup. Then: POCKET_HANDLER({space}{name}Service, YourClass) */
class {name}Handler {{
 public:
  virtual ~{name}Handler() = default;
{functions}}};

/* What POCKET_HANDLER needs to know. */
struct {name}Service {{
  static constexpr const char* kName = "{full_name}";
  static constexpr uint8_t kDigest[16] = {{{digest}}};
  static constexpr pocket_handler_method kMethods[] = {{
{table}  }};
  static constexpr uint32_t kTensorsIn = {tensors_in};
  static constexpr uint32_t kTensorsOut = {tensors_out};

  static void call([[maybe_unused]] {name}Handler& handler, uint32_t method,
                   [[maybe_unused]] ::pocket::handler::Context& context) {{
    switch (method) {{
{calls}      default:
        throw ::pocket::handler::Failure(POCKET_UNIMPLEMENTED, "no such method");
    }}
  }}
  static std::unique_ptr<::pocket::handler::AnyParts> open(
      [[maybe_unused]] {name}Handler& handler, uint32_t method,
      [[maybe_unused]] ::pocket::handler::Context& context) {{
    switch (method) {{
{opens}      default:
        throw ::pocket::handler::Failure(POCKET_UNIMPLEMENTED, "no such method");
    }}
  }}
}};
)",
      fmt::arg("full_name", interface.service->full_name()),
      fmt::arg("space",
               cpp_namespace(interface.file).empty() ? "" : cpp_namespace(interface.file) + "::"),
      fmt::arg("name", interface.service->name()), fmt::arg("functions", functions),
      fmt::arg("table", table), fmt::arg("calls", calls), fmt::arg("opens", opens),
      fmt::arg("digest", digest_text(interface)), fmt::arg("tensors_in", interface.tensors_in),
      fmt::arg("tensors_out", interface.tensors_out));
}

}  // namespace

std::string handler_header(const std::vector<Interface>& interfaces) {
  const auto* file = interfaces.front().file;
  const std::string space = cpp_namespace(file);
  std::string text = fmt::format(
      "// Written by protoc-gen-pocket from {}: not to be changed by hand.\n#pragma once\n\n"
      "#include <memory>\n\n#include \"{}.pb.h\"\n#include \"pocket/handler.hpp\"\n",
      file->name(), base_name(file));
  if (!space.empty()) text += fmt::format("\nnamespace {} {{\n", space);
  for (const auto& interface : interfaces) text += class_text(interface);
  if (!space.empty()) text += fmt::format("\n}}  // namespace {}\n", space);
  return text;
}

}  // namespace pocket::protoc
