#include "cli/bench/budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace pocket::cli {
namespace {

constexpr double kMib = 1024.0 * 1024.0;

/// The prototype's budgets: processors and MiB of a client, of the service and of a monolithic
/// process. classify and facedetect are ours; they have MobileNetV2's.
struct PaperRow {
  const char* app;
  double client_cpus, client_mib, service_cpus, service_mib, monolithic_cpus, monolithic_mib;
};
constexpr std::array<PaperRow, 4> kPaper = {{
    {"mobilenetv2", 1.3, 128, 1, 409.6, 1.5, 307.2},
    {"resnet50", 1.3, 256, 1, 1126.4, 1.5, 1024},
    {"classify", 1.3, 128, 1, 409.6, 1.5, 307.2},
    {"facedetect", 1.3, 128, 1, 409.6, 1.5, 307.2},
}};

uint64_t bytes(double mib) { return static_cast<uint64_t>(mib * kMib) / 4096 * 4096; }

}  // namespace

Result<Budget> make_budget(const BudgetOptions& options, const std::string& app, int clients) {
  if (options.kind == "none") return Budget{};
  const auto row = std::find_if(kPaper.begin(), kPaper.end(),
                                [&](const PaperRow& entry) { return entry.app == app; });
  if (row == kPaper.end()) {
    return Error{POCKET_NOT_FOUND, fmt::format("no budget is known for the app '{}'", app)};
  }
  Budget budget;
  budget.monolithic.memory_bytes = bytes(row->monolithic_mib);
  budget.client.memory_bytes = bytes(row->client_mib);
  if (options.kind == "paper") {
    budget.monolithic.cpus = row->monolithic_cpus * options.scale;
    budget.client.cpus = row->client_cpus * options.scale;
    budget.service = {row->service_cpus * options.scale, bytes(row->service_mib)};
    return budget;
  }
  budget.monolithic.cpus = options.monolithic_cpus * options.scale;
  budget.client.cpus = budget.monolithic.cpus / 2;
  budget.service.cpus = budget.client.cpus * clients;
  budget.service.memory_bytes = bytes((row->monolithic_mib - row->client_mib) * clients);
  return budget;
}

nlohmann::json to_json(const BudgetOptions& options) {
  return {{"kind", options.kind},
          {"monolithic_cpus", options.monolithic_cpus},
          {"cpu_scale", options.scale}};
}

}  // namespace pocket::cli
