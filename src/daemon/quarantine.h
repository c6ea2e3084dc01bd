// Which requests end the runners of their models, and which clients send them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wire/control.h"
#include "wire/flight.h"

namespace pocket::daemon {

/// Judges crashes by what was in flight. One thread. Times are CLOCK_MONOTONIC, in nanoseconds.
class Quarantine {
 public:
  /// So long after a crash the calls of a model are written down.
  static constexpr uint64_t kWatchNs = 600'000'000'000;
  /// A client whose different requests ended so many runners of a model is kept from it ...
  static constexpr uint32_t kMostCrashes = 3;
  /// ... for so long.
  static constexpr uint64_t kBarNs = 600'000'000'000;
  /// The most requests that are remembered of a model; older ones are let go.
  static constexpr size_t kMostRequests = 256;
  /// The most requests and clients that are kept for the next pocketd.
  static constexpr size_t kMostKept = 4096;

  /// A loaded copy and one name of it.
  struct Copy {
    std::string key;
    std::string name;
    std::string version;
  };
  struct Suspect {
    std::string client;
    wire::RequestDigest digest;
  };

  Quarantine();
  /// Of the digests; runners are told, clients are not.
  uint64_t seed() const { return seed_; }

  /// The runner of this copy has crashed. `watched`: its calls were written down, and `in_flight`
  /// are those of this copy; `alone`: nothing else can have run in that runner. Returns what is
  /// quarantined by this, if something is: only what was alone.
  std::optional<Suspect> crashed(const Copy& copy, bool watched,
                                 const std::vector<Suspect>& in_flight, bool alone,
                                 uint64_t now_ns);
  /// Whether the calls of this copy are to be written down now.
  bool watches(const std::string& key, uint64_t now_ns) const;
  std::vector<wire::RequestDigest> refused(const std::string& key) const;
  /// What ran beside others when the runner crashed, and is to run alone.
  std::vector<wire::RequestDigest> suspected(const std::string& key) const;
  /// How long this client is still kept from this copy; 0: it is not.
  uint64_t barred_ns(const std::string& client, const std::string& key, uint64_t now_ns) const;

  /// All that it knows, for the pocketd after this one; of many models those that crashed last.
  wire::control::KeptQuarantineT keep() const;
  /// Goes on with what the pocketd before this one knew.
  void restore(const wire::control::KeptQuarantineT& kept);

  wire::control::QuarantineT list(uint64_t now_ns) const;
  /// Lets go of everything that is known of the model of this name, or ("") of all. Returns the
  /// keys of the copies whose runners are to be told.
  std::vector<std::string> clear(const std::string& name);

 private:
  struct Request {
    uint32_t crashes = 0;  // while it was alone
    bool refused = false;
    std::string client;
    uint64_t last_ns = 0;
  };
  struct Offender {
    uint32_t crashes = 0;
    uint64_t last_ns = 0;
  };
  struct History {
    Copy copy;
    uint32_t crashes = 0;
    uint64_t last_ns = 0;
    std::map<wire::RequestDigest, Request> requests;
    std::map<std::string, Offender> offenders;
  };
  std::vector<wire::RequestDigest> select(const std::string& key, bool refused) const;
  static void bound(History& history);

  uint64_t seed_ = 0;
  std::map<std::string, History> histories_;  // by key; as many as there are models
};

std::string digest_text(const wire::RequestDigest& digest);

}  // namespace pocket::daemon
