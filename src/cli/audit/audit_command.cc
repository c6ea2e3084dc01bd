// pocket audit: who was refused what, and why.
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "base/clock.h"
#include "cli/admin.h"
#include "cli/audit/trail.h"
#include "cli/command.h"

namespace pocket::cli {
namespace {

constexpr uint64_t kLookNs = kNanosecondsPerSecond / 5;

struct Options {
  ServiceOptions service;
  std::string file;
  std::string tenant;
  size_t lines = 20;
  bool follow = false;
};

/// Where the service writes it.
Result<std::string> ask_for_file(const std::string& socket) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(socket));
  POCKET_ASSIGN_OR_RETURN(const auto status, get_status(*session));
  if (!status.audit.empty()) return status.audit;
  if (status.socket.empty()) {
    return Error{POCKET_PERMISSION_DENIED, "the audit trail is for administrators of the service"};
  }
  return Error{POCKET_FAILED_PRECONDITION,
               "this service writes refusals to its log: name a file with `audit` in [log], then "
               "`pocket reload`"};
}

/// Lines for people, or one object a line: a list would never end while it is followed.
class Printer {
 public:
  static Result<Printer> create(const std::string& json) {
    Printer printer;
    printer.json_ = !json.empty();
    if (json.empty() || json == "-") return printer;
    printer.file_.open(json);
    if (!printer.file_) return errno_error(fmt::format("writing '{}'", json), errno);
    return printer;
  }
  void print(const Trail::Records& records) {
    for (const auto& record : records) {
      const std::string line = (json_ ? record.dump(-1, ' ', /*ensure_ascii=*/true,
                                                    nlohmann::json::error_handler_t::replace)
                                      : trail_text(record)) +
                               "\n";
      if (file_.is_open()) {
        file_ << line;
      } else {
        std::fputs(line.c_str(), stdout);
      }
    }
    file_.is_open() ? void(file_.flush()) : void(std::fflush(stdout));
  }

 private:
  bool json_ = false;
  std::ofstream file_;
};

Result<int> show(const Options& options) {
  std::string path = options.file;
  if (path.empty()) {
    POCKET_ASSIGN_OR_RETURN(path, ask_for_file(options.service.socket));
  }
  POCKET_ASSIGN_OR_RETURN(Trail trail, Trail::open(path));
  POCKET_ASSIGN_OR_RETURN(Printer printer, Printer::create(options.service.json));
  const auto wanted = [&](const nlohmann::json& record) {
    return options.tenant.empty() || record.value("tenant", "") == options.tenant;
  };
  POCKET_ASSIGN_OR_RETURN(const auto newest, trail.newest(options.lines, wanted));
  printer.print(newest);
  while (options.follow) {  // until a signal, or until nobody reads
    sleep_ns(kLookNs);
    POCKET_ASSIGN_OR_RETURN(const auto more, trail.next(wanted));
    if (!more.empty()) printer.print(more);
  }
  return 0;
}

}  // namespace

void add_audit_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("audit", "Show who was refused what, and why");
  command
      ->add_option("--socket", options->service.socket,
                   "Socket of the service (default: the usual places)")
      ->type_name("PATH");
  command
      ->add_option("--json", options->service.json,
                   "Write an object for each line to a file; '-' or none: standard output")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("-");
  command->add_option("--file", options->file, "The trail (default: where the service writes it)")
      ->type_name("FILE");
  command->add_option("--tenant", options->tenant, "Of this tenant only")->type_name("NAME");
  command->add_option("-n,--lines", options->lines, "How many of the newest (default: 20)")
      ->type_name("N");
  command->add_flag("-f,--follow", options->follow, "Go on with what comes, until Ctrl-C");
  command->callback([&action, options] { action = [options] { return show(*options); }; });
}

}  // namespace pocket::cli
