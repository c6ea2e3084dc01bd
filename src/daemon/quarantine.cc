#include "daemon/quarantine.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <functional>
#include <memory>

namespace pocket::daemon {

using wire::RequestDigest;

std::string digest_text(const RequestDigest& digest) {
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

Quarantine::Quarantine() {
  // Where there is no random number, digests are only easier to guess.
  (void)!::getrandom(&seed_, sizeof(seed_), 0);
}

void Quarantine::bound(History& history) {
  const auto older = [](const auto& a, const auto& b) {
    return a.second.last_ns < b.second.last_ns;
  };
  while (history.requests.size() > kMostRequests) {
    history.requests.erase(std::ranges::min_element(history.requests, older));
  }
  while (history.offenders.size() > kMostRequests) {
    history.offenders.erase(std::ranges::min_element(history.offenders, older));
  }
}

std::optional<Quarantine::Suspect> Quarantine::crashed(const Copy& copy, bool watched,
                                                       const std::vector<Suspect>& in_flight,
                                                       bool alone, uint64_t now_ns) {
  // The other models of its runner had calls in flight, this one none.
  if (watched && in_flight.empty()) return std::nullopt;
  History& history = histories_[copy.key];
  if (now_ns - history.last_ns > kWatchNs) {
    history.crashes = 0;
    std::erase_if(history.requests, [](const auto& entry) { return !entry.second.refused; });
  }
  history.copy = copy;
  history.crashes += 1;
  history.last_ns = now_ns;
  std::optional<Suspect> found;
  for (const Suspect& suspect : in_flight) {
    Request& request = history.requests[suspect.digest];
    request.last_ns = now_ns;
    request.client = suspect.client;
    if (!alone) continue;
    // It was most likely there at the crash before as well, where nothing was written down or
    // others were beside it.
    request.crashes += request.crashes == 0 && history.crashes > 1 ? 2 : 1;
    if (request.crashes < 2 || request.refused) continue;
    request.refused = true;
    found = suspect;
    Offender& offender = history.offenders[suspect.client];
    offender.crashes = now_ns - offender.last_ns > kBarNs ? 1 : offender.crashes + 1;
    offender.last_ns = now_ns;
  }
  bound(history);
  return found;
}

bool Quarantine::watches(const std::string& key, uint64_t now_ns) const {
  const auto found = histories_.find(key);
  if (found == histories_.end()) return false;
  return now_ns - found->second.last_ns <= kWatchNs || !refused(key).empty();
}

std::vector<RequestDigest> Quarantine::select(const std::string& key, bool refused) const {
  std::vector<RequestDigest> digests;
  const auto found = histories_.find(key);
  if (found == histories_.end()) return digests;
  for (const auto& [digest, request] : found->second.requests) {
    if (request.refused == refused) digests.push_back(digest);
  }
  return digests;
}

std::vector<RequestDigest> Quarantine::refused(const std::string& key) const {
  return select(key, true);
}

std::vector<RequestDigest> Quarantine::suspected(const std::string& key) const {
  return select(key, false);
}

uint64_t Quarantine::barred_ns(const std::string& client, const std::string& key,
                               uint64_t now_ns) const {
  const auto found = histories_.find(key);
  if (found == histories_.end()) return 0;
  const auto offender = found->second.offenders.find(client);
  if (offender == found->second.offenders.end()) return 0;
  const uint64_t age = now_ns - offender->second.last_ns;
  return offender->second.crashes < kMostCrashes || age >= kBarNs ? 0 : kBarNs - age;
}

wire::control::QuarantineT Quarantine::list(uint64_t now_ns) const {
  wire::control::QuarantineT listed;
  for (const auto& [key, history] : histories_) {
    for (const auto& [digest, request] : history.requests) {
      if (!request.refused) continue;
      auto entry = std::make_unique<wire::control::QuarantinedRequestT>();
      entry->model = history.copy.name;
      entry->version = history.copy.version;
      entry->digest = digest_text(digest);
      entry->crashes = request.crashes;
      entry->client = request.client;
      entry->age_s = static_cast<double>(now_ns - request.last_ns) / 1e9;
      listed.requests.push_back(std::move(entry));
    }
  }
  return listed;
}

wire::control::KeptQuarantineT Quarantine::keep() const {
  std::vector<const std::pair<const std::string, History>*> newest;
  for (const auto& entry : histories_) newest.push_back(&entry);
  std::ranges::sort(newest, std::greater(),
                    [](const auto* entry) { return entry->second.last_ns; });
  wire::control::KeptQuarantineT kept;
  kept.seed = seed_;
  size_t count = 0;
  for (const auto* entry : newest) {
    const auto& [key, history] = *entry;
    count += history.requests.size() + history.offenders.size();
    if (count > kMostKept) break;
    auto known = std::make_unique<wire::control::KeptHistoryT>();
    known->key = key;
    known->name = history.copy.name;
    known->version = history.copy.version;
    known->crashes = history.crashes;
    known->last_ns = history.last_ns;
    for (const auto& [digest, request] : history.requests) {
      auto one = std::make_unique<wire::control::KeptRequestT>();
      one->digest = std::make_unique<wire::control::DigestT>();
      one->digest->low = digest.low;
      one->digest->high = digest.high;
      one->crashes = request.crashes;
      one->refused = request.refused;
      one->client = request.client;
      one->last_ns = request.last_ns;
      known->requests.push_back(std::move(one));
    }
    for (const auto& [client, offender] : history.offenders) {
      auto one = std::make_unique<wire::control::KeptOffenderT>();
      one->client = client;
      one->crashes = offender.crashes;
      one->last_ns = offender.last_ns;
      known->offenders.push_back(std::move(one));
    }
    kept.histories.push_back(std::move(known));
  }
  return kept;
}

void Quarantine::restore(const wire::control::KeptQuarantineT& kept) {
  seed_ = kept.seed;
  for (const auto& known : kept.histories) {
    History& history = histories_[known->key];
    history.copy = {known->key, known->name, known->version};
    history.crashes = known->crashes;
    history.last_ns = known->last_ns;
    for (const auto& one : known->requests) {
      if (one->digest == nullptr) continue;
      history.requests[{one->digest->low, one->digest->high}] = {one->crashes, one->refused,
                                                                 one->client, one->last_ns};
    }
    for (const auto& one : known->offenders) {
      history.offenders[one->client] = {one->crashes, one->last_ns};
    }
    bound(history);
  }
}

std::vector<std::string> Quarantine::clear(const std::string& name) {
  std::vector<std::string> keys;
  std::erase_if(histories_, [&](const auto& entry) {
    if (!name.empty() && entry.second.copy.name != name) return false;
    keys.push_back(entry.first);
    return true;
  });
  return keys;
}

}  // namespace pocket::daemon
