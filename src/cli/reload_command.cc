// pocket reload: the service reads its configuration anew.
#include <fmt/format.h>

#include "cli/admin.h"
#include "cli/command.h"

namespace pocket::cli {
namespace {

Result<int> run(const ServiceOptions& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.socket));
  POCKET_ASSIGN_OR_RETURN(const auto reloaded, reload(*session));
  if (!options.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(
        options.json, {{"changed", reloaded.changed}, {"needs_restart", reloaded.needs_restart}}));
    return 0;
  }
  for (const auto& change : reloaded.changed) fmt::print("changed        {}\n", change);
  for (const auto& key : reloaded.needs_restart) fmt::print("needs restart  {}\n", key);
  if (reloaded.changed.empty() && reloaded.needs_restart.empty()) {
    fmt::print("nothing differs\n");
  }
  return 0;
}

}  // namespace

void add_reload_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<ServiceOptions>();
  auto* reload = app.add_subcommand(
      "reload", "Have the service read its configuration anew; with a mistake nothing changes");
  add_service_options(*reload, *options);
  reload->callback([&action, options] { action = [options] { return run(*options); }; });
}

}  // namespace pocket::cli
