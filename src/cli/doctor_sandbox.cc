// pocket doctor: what protects the host and the clients from a hostile model
// (docs/threat-model.md).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/doctor.h"
#include "sandbox/probe.h"

namespace pocket::cli {

Check check_sandbox(const std::string& runner) {
  const sandbox::Settings settings;
  const auto report = sandbox::probe(runner, settings);
  if (!report.ok()) return {"sandbox", Verdict::kWarning, report.error().message};
  std::vector<std::string_view> on;
  for (const auto protection : sandbox::kAllProtections) {
    if (report->of(protection).on) on.push_back(sandbox::name_of(protection));
  }
  std::string text = fmt::format("runners are protected by {}",
                                 on.empty() ? "nothing" : fmt::format("{}", fmt::join(on, ", ")));
  const auto lacking = sandbox::missing(settings, *report);
  if (lacking.empty()) return {"sandbox", Verdict::kOk, text};
  return {"sandbox", Verdict::kWarning,
          text + fmt::format("; this user and machine do not give {}", fmt::join(lacking, "; "))};
}

}  // namespace pocket::cli
