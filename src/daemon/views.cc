#include "daemon/views.h"

#include <algorithm>
#include <set>

namespace pocket::daemon {

namespace control = wire::control;

control::TenantEntryT tenant_entry(const Tenant& tenant) {
  control::TenantEntryT entry;
  entry.name = tenant.name;
  entry.sessions = tenant.sessions;
  entry.max_sessions = tenant.limits.sessions;
  entry.channels = tenant.channels;
  entry.max_channels = tenant.limits.channels;
  entry.region_bytes = tenant.bytes;
  entry.max_region_bytes = tenant.limits.shared_bytes;
  entry.max_in_flight = tenant.limits.in_flight;
  entry.calls_per_second = tenant.limits.calls_per_second;
  entry.cpu_share = tenant.limits.cpu_share;
  entry.weight = tenant.limits.weight;
  entry.priority = tenant.limits.priority;
  entry.refusals = tenant.refusals;
  return entry;
}

void keep_own(control::LeasesT& leases, const std::function<bool(uint64_t session)>& shown) {
  std::set<std::string> own, foreign;
  for (const auto& client : leases.clients) {
    for (const auto& side : client->sides) {
      (shown(client->session) ? own : foreign).insert(side->group);
    }
  }
  std::erase_if(leases.clients, [&](const auto& client) { return !shown(client->session); });
  for (auto& client : leases.clients) client->runner_pid = 0;
  std::erase_if(leases.accounts, [&](const auto& account) {
    return !own.contains(account->group) || foreign.contains(account->group);
  });
  control::LeasesT kept;
  kept.clients = std::move(leases.clients);
  kept.accounts = std::move(leases.accounts);
  leases = std::move(kept);
}

void keep_own(control::ModelEntryT& model, uint32_t channels) {
  model.path.clear();
  model.error.clear();
  model.runner_pid = 0;
  model.load_ms = 0;
  model.memory_bytes = 0;
  model.calls = 0;
  model.idle_seconds = 0;
  model.channels = channels;
}

std::string without_folders(std::string_view text) {
  constexpr std::string_view kBefore = " '\"(=:[,\n";
  constexpr std::string_view kAfter = " '\"),;:]\n";
  std::string result;
  for (size_t place = 0; place < text.size();) {
    const char before = place == 0 ? ' ' : text[place - 1];
    if (text[place] != '/' || kBefore.find(before) == std::string_view::npos) {
      result += text[place++];
      continue;
    }
    const bool quoted = before == '\'' || before == '"';
    const size_t end = std::min(
        text.size(), quoted ? text.find(before, place) : text.find_first_of(kAfter, place));
    std::string_view path = text.substr(place, end - place);
    while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
    result += path.size() == 1 ? path : path.substr(path.rfind('/') + 1);
    place = end;
  }
  return result;
}

}  // namespace pocket::daemon
