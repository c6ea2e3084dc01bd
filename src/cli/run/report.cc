#include "cli/run/report.h"

#include <fmt/format.h>

#include <cstdio>

#include "cli/command.h"
#include "cli/run/perf.h"

namespace pocket::cli {
namespace {

using nlohmann::json;

json to_json(const RunOptions& options, const Report& report) {
  json object = to_json(report.usage);
  object["name"] = report.name;
  object["exit_status"] = report.exit_status;
  if (options.measure_latency) {
    if (report.exec_ms) object["exec_ms"] = *report.exec_ms;
    object["exit_ms"] = report.exit_ms;
  }
  if (!report.perf.is_null()) object["perf"] = report.perf;
  return object;
}

std::string to_text(const RunOptions& options, const Report& report, bool usage_too) {
  std::string text;
  if (options.measure_latency) {
    if (report.exec_ms) text += fmt::format("{:16} {:.3f} ms\n", "until exec", *report.exec_ms);
    text += fmt::format("{:16} {:.3f} ms\n", "until exit", report.exit_ms);
  }
  if (usage_too) text += usage_text(report.usage);
  if (!report.perf.is_null()) text += perf_text(report.perf);
  return text;
}

}  // namespace

Result<void> tell(const RunOptions& options, const std::vector<Report>& reports) {
  const bool to_file = !options.rusage.empty() && options.rusage != "text";
  if (to_file) {
    json rows = json::array();
    for (const auto& report : reports) rows.push_back(to_json(options, report));
    return write_json(options.rusage, rows.size() == 1 ? rows[0] : rows);
  }
  for (const auto& report : reports) {
    const std::string text = to_text(options, report, !options.rusage.empty());
    if (text.empty()) continue;
    if (reports.size() > 1) fmt::print(stderr, "{}:\n", report.name);
    fmt::print(stderr, "{}", text);
  }
  return ok_result();
}

}  // namespace pocket::cli
