#include "cli/command.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

namespace pocket::cli {

void add_json_option(CLI::App& app, std::string& file) {
  app.add_option("--json", file, "Write JSON to a file; '-' or none: standard output")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("-");
}

void add_service_options(CLI::App& app, ServiceOptions& options) {
  app.add_option("--socket", options.socket, "Socket of the service (default: the usual places)")
      ->type_name("PATH");
  add_json_option(app, options.json);
}

Result<void> write_json(const std::string& file, const nlohmann::json& json) {
  const std::string text =
      json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (file == "-") {
    std::fputs(text.c_str(), stdout);
    return ok_result();
  }
  std::ofstream out(file);
  out << text;
  out.flush();
  if (!out) return errno_error(fmt::format("writing '{}'", file), errno);
  return ok_result();
}

}  // namespace pocket::cli
