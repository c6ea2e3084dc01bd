// `pocket top`: what two looks at a service say about the time between them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "client/session.h"
#include "wire/control.h"

namespace pocket::cli {

/// What a service said at one moment.
struct Sample {
  wire::control::StatusT status;
  wire::control::UsageT usage;
  wire::control::LeasesT leases;
};
Result<Sample> take_sample(client::Session& session);

/// How long calls took: how many of them, by bucket (docs/format-control.md).
using Buckets = std::vector<uint64_t>;
/// The middle of a bucket, in nanoseconds.
double bucket_ns(size_t bucket);
/// The time, in milliseconds, that a part `share` of the calls stays below; none without calls.
std::optional<double> quantile_ms(const Buckets& buckets, double share);

/// One line: a tenant, a model or a runner. Rates are of the time between the two looks.
struct Figure {
  std::string name;
  std::string detail;  // a model's engine and version, a runner's engine and models
  int32_t pid = 0;     // of a runner
  uint32_t clients = 0;
  double calls_per_s = 0;
  double errors_per_s = 0;
  double refused_per_s = 0;
  uint64_t waiting = 0;  // now
  uint64_t running = 0;  // now
  double processors = 0;
  double share = 0;         // of the processor time of all calls
  uint64_t memory = 0;      // bytes now: a tenant's regions, what a model or runner takes
  uint64_t kept = 0;        // bytes of kept tensors now
  double cpu_moved = 0;     // processors now: lent by a tenant, borrowed by a runner
  double memory_moved = 0;  // bytes, likewise
  std::optional<double> wait_p99_ms, run_p50_ms, run_p99_ms;
  // Since the runners started.
  uint64_t total_calls = 0, total_errors = 0, total_refused = 0, total_expired = 0;
  double total_cpu_s = 0;
};

struct Figures {
  std::string version;
  double uptime_s = 0;
  double interval_s = 0;
  size_t clients = 0;
  std::vector<Figure> tenants, models, runners;
  std::vector<wire::control::LeaseAccountT> leases;  // of which something is lent or borrowed
  std::vector<std::string> notes;
};

/// `after` came after `before`, of the same service; counters that went down began anew.
Figures compare(const Sample& before, const Sample& after);

enum class SortBy { kName, kCalls, kQueue, kCpu, kMemory, kRefused, kWait, kRun, kMoved };
/// The names for --sort, in the order of SortBy.
const std::vector<std::string>& sort_names();
/// Most first; names from a to z. `reversed`: the other way round.
void sort_figures(Figures& figures, SortBy by, bool reversed);

}  // namespace pocket::cli
