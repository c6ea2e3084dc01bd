#include "cli/top/figures.h"

#include <algorithm>
#include <functional>
#include <map>

#include "cli/admin.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;

/// What is summed over the calls of a tenant, a model or a runner.
struct Sum {
  uint64_t calls = 0, errors = 0, refused = 0, cpu_ns = 0;
  Buckets waits, runs;
};

/// Since `before`; all of it where the counter began anew.
uint64_t since(uint64_t before, uint64_t now) { return now >= before ? now - before : now; }

void add(Buckets& to, const control::CallTimesT* times, bool subtract) {
  if (times == nullptr) return;
  const size_t end = times->first + times->counts.size();
  if (end > 4096) return;  // no such bucket
  if (to.size() < end) to.resize(end);
  for (size_t index = 0; index < times->counts.size(); ++index) {
    uint64_t& bucket = to[times->first + index];
    bucket = subtract ? bucket - std::min<uint64_t>(bucket, times->counts[index])
                      : bucket + times->counts[index];
  }
}

void merge(Buckets& to, const Buckets& from) {
  if (to.size() < from.size()) to.resize(from.size());
  for (size_t index = 0; index < from.size(); ++index) to[index] += from[index];
}

Sum difference(const control::UsageEntryT* before, const control::UsageEntryT& now) {
  static const control::UsageEntryT kNothing;
  const bool anew = before == nullptr || before->calls > now.calls;
  const control::UsageEntryT& from = anew ? kNothing : *before;
  Sum sum;
  sum.calls = since(from.calls, now.calls);
  sum.errors = since(from.errors, now.errors);
  sum.refused = since(from.refused, now.refused);
  sum.cpu_ns = since(from.cpu_ns, now.cpu_ns);
  add(sum.waits, now.queue_times.get(), false);
  add(sum.waits, from.queue_times.get(), true);
  add(sum.runs, now.compute_times.get(), false);
  add(sum.runs, from.compute_times.get(), true);
  return sum;
}

/// The lines of one kind, and what their calls came to.
class Lines {
 public:
  Figure& of(const std::string& key) {
    auto [found, fresh] = lines_.try_emplace(key);
    if (fresh) found->second.first.name = key;
    return found->second.first;
  }
  void count(const std::string& key, const control::UsageEntryT& entry, const Sum& sum) {
    Figure& line = of(key);
    line.waiting += entry.waiting;
    line.running += entry.running;
    line.total_calls += entry.calls;
    line.total_errors += entry.errors;
    line.total_refused += entry.refused;
    line.total_expired += entry.expired;
    line.total_cpu_s += static_cast<double>(entry.cpu_ns) / 1e9;
    Sum& total = lines_[key].second;
    total.calls += sum.calls;
    total.errors += sum.errors;
    total.refused += sum.refused;
    total.cpu_ns += sum.cpu_ns;
    merge(total.waits, sum.waits);
    merge(total.runs, sum.runs);
  }
  std::vector<Figure> finish(double seconds, double all_cpu_ns) {
    std::vector<Figure> figures;
    for (auto& [key, line] : lines_) {
      auto& [figure, sum] = line;
      figure.calls_per_s = static_cast<double>(sum.calls) / seconds;
      figure.errors_per_s = static_cast<double>(sum.errors) / seconds;
      figure.refused_per_s += static_cast<double>(sum.refused) / seconds;
      const auto cpu_ns = static_cast<double>(sum.cpu_ns);
      if (figure.pid == 0) figure.processors = cpu_ns / 1e9 / seconds;
      figure.share = all_cpu_ns > 0 ? cpu_ns / all_cpu_ns : 0;
      figure.wait_p99_ms = quantile_ms(sum.waits, 0.99);
      figure.run_p50_ms = quantile_ms(sum.runs, 0.5);
      figure.run_p99_ms = quantile_ms(sum.runs, 0.99);
      figures.push_back(std::move(figure));
    }
    return figures;
  }

 private:
  std::map<std::string, std::pair<Figure, Sum>> lines_;
};

double processors(int64_t amount, int64_t period_us) {
  return period_us <= 0 || amount < 0
             ? 0
             : static_cast<double>(amount) / static_cast<double>(period_us);
}

std::string model_key(const std::string& name, const std::string& version) {
  return version.empty() ? name : name + " " + version;
}

void describe_tenants(const Sample& before, const Sample& after, double seconds, Lines& lines) {
  for (const auto& tenant : after.status.tenants) {
    Figure& line = lines.of(tenant->name);
    line.clients = tenant->sessions;
    line.memory = tenant->region_bytes;
    line.total_refused += tenant->refusals;
    const auto same = [&](const auto& other) { return other->name == tenant->name; };
    const auto known = std::ranges::find_if(before.status.tenants, same);
    const uint64_t was = known == before.status.tenants.end() ? 0 : (*known)->refusals;
    line.refused_per_s += static_cast<double>(since(was, tenant->refusals)) / seconds;
  }
  for (const auto& kept : after.usage.kept) lines.of(kept->tenant).kept += kept->bytes;
  std::map<uint64_t, std::string> tenant_of;
  for (const auto& session : after.status.sessions) tenant_of[session->session] = session->tenant;
  for (const auto& client : after.leases.clients) {
    const auto tenant = tenant_of.find(client->session);
    if (tenant == tenant_of.end()) continue;
    Figure& line = lines.of(tenant->second);
    for (const auto& side : client->sides) {
      if (side->resource == "cpu") line.cpu_moved += processors(side->lent, side->period_us);
      if (side->resource == "memory") line.memory_moved += static_cast<double>(side->lent);
    }
  }
}

void describe_runners(const Sample& before, const Sample& after, double seconds, Lines& lines) {
  for (const auto& runner : after.usage.runners) {
    Figure& line = lines.of(std::to_string(runner->pid));
    line.pid = runner->pid;
    line.detail = runner->engine + (runner->answered ? "" : " (does not answer)");
    const auto same = [&](const auto& other) { return other->pid == runner->pid; };
    const auto known = std::ranges::find_if(before.usage.runners, same);
    const uint64_t was = known == before.usage.runners.end() ? 0 : (*known)->cpu_ns;
    if (runner->answered) {
      line.processors = static_cast<double>(since(was, runner->cpu_ns)) / 1e9 / seconds;
    }
  }
  for (const auto& runner : after.status.runners) {
    Figure& line = lines.of(std::to_string(runner->pid));
    line.memory = runner->memory_bytes;
    for (const std::string& model : runner->models) line.detail += " " + model;
  }
  for (const auto& runner : after.leases.runners) {
    Figure& line = lines.of(std::to_string(runner->pid));
    for (const auto& account : after.leases.accounts) {
      if (account->resource == "cpu" && account->group == runner->cpu_group) {
        line.cpu_moved = processors(account->borrowed, account->period_us);
      } else if (account->resource == "memory" && account->group == runner->memory_group) {
        line.memory_moved = static_cast<double>(account->borrowed);
      }
    }
  }
}

}  // namespace

Result<Sample> take_sample(client::Session& session) {
  Sample sample;
  POCKET_ASSIGN_OR_RETURN(sample.status, get_status(session));
  POCKET_ASSIGN_OR_RETURN(sample.leases, get_leases(session, false));
  POCKET_ASSIGN_OR_RETURN(sample.usage, get_usage(session));
  return sample;
}

double bucket_ns(size_t bucket) {
  if (bucket < 4) return static_cast<double>(bucket);
  const size_t shift = bucket / 4 - 1;
  const auto width = static_cast<double>(uint64_t{1} << std::min<size_t>(shift, 50));
  return (static_cast<double>(4 + bucket % 4) + 0.5) * width;
}

std::optional<double> quantile_ms(const Buckets& buckets, double share) {
  uint64_t all = 0;
  for (const uint64_t count : buckets) all += count;
  if (all == 0) return std::nullopt;
  const double wanted = share * static_cast<double>(all);
  double seen = 0;
  for (size_t bucket = 0; bucket < buckets.size(); ++bucket) {
    seen += static_cast<double>(buckets[bucket]);
    if (seen >= wanted && buckets[bucket] > 0) return bucket_ns(bucket) / 1e6;
  }
  return bucket_ns(buckets.size() - 1) / 1e6;
}

Figures compare(const Sample& before, const Sample& after) {
  Figures figures;
  figures.version = after.status.service_version;
  figures.uptime_s = after.status.uptime_seconds;
  figures.clients = after.status.sessions.size();
  figures.interval_s =
      std::max(1e-3, static_cast<double>(since(before.usage.clock_ns, after.usage.clock_ns)) / 1e9);
  const double seconds = figures.interval_s;
  Lines tenants, models, runners;
  describe_tenants(before, after, seconds, tenants);
  for (const auto& model : after.usage.models) {
    Figure& line = models.of(model_key(model->name, model->version));
    line.detail = model->engine;
    line.clients += model->channels;
    line.memory += model->memory_bytes;
  }
  describe_runners(before, after, seconds, runners);
  double all_cpu_ns = 0;
  for (const auto& entry : after.usage.entries) {
    const auto same = [&](const auto& other) {
      return other->tenant == entry->tenant && other->model == entry->model &&
             other->version == entry->version && other->runner_pid == entry->runner_pid;
    };
    const auto known = std::ranges::find_if(before.usage.entries, same);
    const Sum sum =
        difference(known == before.usage.entries.end() ? nullptr : known->get(), *entry);
    all_cpu_ns += static_cast<double>(sum.cpu_ns);
    tenants.count(entry->tenant, *entry, sum);
    models.count(model_key(entry->model, entry->version), *entry, sum);
    if (entry->runner_pid != 0) runners.count(std::to_string(entry->runner_pid), *entry, sum);
  }
  figures.tenants = tenants.finish(seconds, all_cpu_ns);
  figures.models = models.finish(seconds, all_cpu_ns);
  figures.runners = runners.finish(seconds, all_cpu_ns);
  for (const auto& account : after.leases.accounts) {
    if (account->lent > 0 || account->borrowed > 0) figures.leases.push_back(*account);
  }
  figures.notes = after.status.notes;
  if (after.usage.left_out > 0) {
    figures.notes.push_back(std::to_string(after.usage.left_out) +
                            " tenants' calls with a model are left out: the least busy");
  }
  return figures;
}

const std::vector<std::string>& sort_names() {
  static const std::vector<std::string> kNames = {"name",    "calls", "queue", "cpu", "memory",
                                                  "refused", "wait",  "run",   "lent"};
  return kNames;
}

void sort_figures(Figures& figures, SortBy by, bool reversed) {
  const auto key = [by](const Figure& figure) -> double {
    switch (by) {
      case SortBy::kName:
        return 0;
      case SortBy::kCalls:
        return figure.calls_per_s;
      case SortBy::kQueue:
        return static_cast<double>(figure.waiting + figure.running);
      case SortBy::kCpu:
        return figure.processors;
      case SortBy::kMemory:
        return static_cast<double>(figure.memory);
      case SortBy::kRefused:
        return figure.refused_per_s;
      case SortBy::kWait:
        return figure.wait_p99_ms.value_or(0);
      case SortBy::kRun:
        return figure.run_p99_ms.value_or(0);
      case SortBy::kMoved:
        return figure.cpu_moved + figure.memory_moved / 1e12;
    }
    return 0;
  };
  for (auto* lines : {&figures.tenants, &figures.models, &figures.runners}) {
    std::ranges::sort(*lines, {}, &Figure::name);
    std::ranges::stable_sort(*lines, std::greater(), key);
    if (reversed) std::ranges::reverse(*lines);
  }
}

}  // namespace pocket::cli
