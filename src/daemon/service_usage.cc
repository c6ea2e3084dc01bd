// What calls came to, as administrators and tenants are told of it.
#include <map>

#include "base/clock.h"
#include "daemon/service.h"
#include "wire/busiest.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

constexpr size_t kBytesOfEntry = 400;  // names included
constexpr size_t kMostModels = 256;
constexpr size_t kMostSessions = 4096;  // a message holds them

using ModelName = std::pair<std::string, std::string>;  // and version

std::unique_ptr<control::UsageEntryT> translate(control::RunnerUsageT& from) {
  auto entry = std::make_unique<control::UsageEntryT>();
  entry->calls = from.calls;
  entry->errors = from.errors;
  entry->refused = from.refused;
  entry->expired = from.expired;
  entry->queue_ns = from.queue_ns;
  entry->compute_ns = from.compute_ns;
  entry->cpu_ns = from.cpu_ns;
  entry->waiting = from.waiting;
  entry->running = from.running;
  entry->queue_times = std::move(from.queue_times);
  entry->compute_times = std::move(from.compute_times);
  return entry;
}

}  // namespace

/// Of those without a tenant each sees its own calls; runners count them by session.
bool Service::counts_by_session(const Session& viewer) {
  return !viewer.member.administrator && viewer.member.tenant->id == 0;
}

void Service::get_usage(Session& session, uint64_t request) {
  std::vector<uint64_t> sessions;
  for (const auto& [id, other] : sessions_) {
    if (!counts_by_session(session) || sessions.size() == kMostSessions) break;
    if (!other->channels.empty() && may_see(session, *other)) sessions.push_back(id);
  }
  models_.gather_usage(sessions, [this, id = session.id, request](auto answers) {
    if (const Session* viewer = find(id)) {
      answer(id, request, usage_for(*viewer, std::move(answers)));
    }
  });
}

control::UsageT Service::usage_for(const Session& viewer, std::vector<RunnerUsage> answers) const {
  const bool all = viewer.member.administrator;
  // A loaded copy may have several names: one under which the viewer's tenant has it open.
  std::map<uint32_t, ModelName> names;
  if (!all) {
    for (const auto& [id, session] : sessions_) {
      if (!may_see(viewer, *session)) continue;
      for (const auto& [number, channel] : session->channels) {
        if (channel->model == nullptr) continue;
        names[channel->model->id] = {channel->model_name, channel->model_version};
      }
    }
  }
  std::map<uint32_t, std::string> tenants;
  for (const auto& tenant : tenants_.all()) {
    if (all || tenant == viewer.member.tenant) tenants[tenant->id] = tenant->name;
  }
  const bool by_session = counts_by_session(viewer);
  control::UsageT usage;
  usage.clock_ns = monotonic_ns();
  for (RunnerUsage& runner : answers) {
    if (all) {
      auto entry = std::make_unique<control::UsageRunnerT>();
      entry->pid = runner.pid;
      entry->engine = runner.engine;
      entry->answered = runner.answered;
      entry->cpu_ns = runner.stats.cpu_ns;
      usage.runners.push_back(std::move(entry));
      usage.left_out += runner.stats.left_out;
    }
    for (const auto& from : by_session ? runner.stats.own : runner.stats.usage) {
      const auto tenant = tenants.find(from->tenant);
      const LoadedModel* model = models_.loaded(from->model);
      if (model == nullptr || (tenant == tenants.end() && !all)) continue;
      const auto name = names.find(from->model);
      if (!all && name == names.end() &&
          !tenants_.may_use(viewer.member, model->source.name, model->source.manifest.is_public)) {
        continue;
      }
      auto entry = translate(*from);
      entry->tenant = tenant == tenants.end() ? "(gone)" : tenant->second;
      entry->model = name == names.end() ? model->source.name : name->second.first;
      entry->version = name == names.end() ? model->source.version : name->second.second;
      entry->runner_pid = all ? runner.pid : 0;
      usage.entries.push_back(std::move(entry));
    }
    for (const auto& from : runner.stats.kept) {
      const auto tenant = tenants.find(from->tenant);
      if (tenant == tenants.end() || by_session) continue;
      auto kept = std::make_unique<control::UsageKeptT>();
      kept->tenant = tenant->second;
      kept->runner_pid = all ? runner.pid : 0;
      kept->tensors = from->tensors;
      kept->bytes = from->bytes;
      kept->max_bytes = from->max_bytes;
      usage.kept.push_back(std::move(kept));
    }
  }
  usage.left_out += wire::keep_busiest(usage.entries, kBytesOfEntry);
  for (const LoadedModel* model : models_.all_loaded()) {
    if (!all || usage.models.size() == kMostModels) break;
    auto entry = std::make_unique<control::UsageModelT>();
    entry->name = model->source.name;
    entry->version = model->source.version;
    entry->engine = model->engine;
    entry->runner_pid = model->runner == nullptr ? 0 : model->runner->pid();
    entry->channels = model->channels;
    entry->memory_bytes = model->memory_bytes;
    usage.models.push_back(std::move(entry));
  }
  return usage;
}

}  // namespace pocket::daemon
