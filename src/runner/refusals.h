// Which calls were refused, for pocketd's audit trail.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "base/mutex.h"
#include "pocket/status.h"

namespace pocket::runner {

/// The numbers are RunnerRefusal's `kind` (docs/format-control.md).
enum class RefusalKind : uint8_t {
  kLimit = 0,      // over a limit of its tenant, or no memory
  kMalformed = 1,  // a descriptor or block that breaks the rules of the region
  kHandle = 2,     // a kept tensor that its session does not have
};

struct RefusedCalls {
  uint64_t session = 0;
  uint32_t model = 0;  // as pocketd calls it
  RefusalKind kind = RefusalKind::kLimit;
  uint64_t count = 0;
  pocket_status status = POCKET_OK;
  std::string message;  // of the last one
};

/// Counts refusals of one session, model and kind together until they are taken, so that what a
/// flood costs is bounded. Any thread.
class Refusals {
 public:
  static constexpr size_t kMostEntries = 1024;
  static constexpr size_t kMostTaken = 256;  // at once: they fit a control message

  /// `tell` is called, from whichever thread, for the first one after take() found none. Before the
  /// first add().
  void on_first(std::function<void()> tell) { tell_ = std::move(tell); }
  void add(uint64_t session, uint32_t model, RefusalKind kind, pocket_status status,
           const std::string& message);
  /// What came since the last time, some of it where there is much. `left_out` is set to how many
  /// had no place.
  std::vector<RefusedCalls> take(uint64_t& left_out);

 private:
  using Key = std::tuple<uint64_t, uint32_t, RefusalKind>;
  std::function<void()> tell_;
  Mutex mutex_;
  std::map<Key, RefusedCalls> entries_ POCKET_GUARDED_BY(mutex_);
  uint64_t left_out_ POCKET_GUARDED_BY(mutex_) = 0;
  bool told_ POCKET_GUARDED_BY(mutex_) = false;
};

}  // namespace pocket::runner
