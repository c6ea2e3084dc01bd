// Tensors that clients keep on the runner's side, private to their session.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/mutex.h"
#include "base/result.h"
#include "pocket/dtype.h"

namespace pocket::runner {

struct FreeMemory {
  size_t mapped_bytes = 0;  // 0: from the heap
  void operator()(void* memory) const;
};
using Memory = std::unique_ptr<void, FreeMemory>;

/// 64-byte aligned memory; empty when there is none.
Memory allocate_memory(size_t bytes);
/// The same for what stays after the call: all of it goes back to the system when it is freed,
/// where the heap would keep what was large and lay last.
Memory allocate_kept(size_t bytes);

struct KeptTensor {
  int32_t dtype = 0;
  int32_t rank = 0;
  int64_t shape[POCKET_MAX_RANK] = {};
  size_t bytes = 0;
  Memory data;
};

/// What the sessions of one tenant keep in this runner, all together. Any thread.
class KeptBudget {
 public:
  struct Use {
    uint64_t tensors = 0;
    uint64_t bytes = 0;
    uint64_t max_bytes = 0;  // 0: no limit
  };
  /// A lower limit takes nothing away; it holds for what comes next.
  void set_limit(const std::string& tenant, uint64_t max_bytes);
  /// Counts one tensor more; RESOURCE_EXHAUSTED names the tenant and its limit.
  Result<void> take(uint64_t bytes);
  void give_back(uint64_t tensors, uint64_t bytes);
  Use use() const;

 private:
  mutable Mutex mutex_;
  std::string tenant_ POCKET_GUARDED_BY(mutex_);
  Use use_ POCKET_GUARDED_BY(mutex_);
};

/// The kept tensors of one session, bounded in number and bytes, and by what its tenant may keep.
/// Any thread.
class HandleStore {
 public:
  static constexpr size_t kMaxHandles = 4096;
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

  explicit HandleStore(std::shared_ptr<KeptBudget> budget = std::make_shared<KeptBudget>())
      : budget_(std::move(budget)) {}
  ~HandleStore();
  HandleStore(const HandleStore&) = delete;
  HandleStore& operator=(const HandleStore&) = delete;

  /// RESOURCE_EXHAUSTED when a bound would be passed.
  Result<uint64_t> keep(KeptTensor tensor);
  /// The tensor stays alive while the pointer does, even when released meanwhile.
  Result<std::shared_ptr<const KeptTensor>> find(uint64_t handle) const;
  Result<void> release(uint64_t handle);

 private:
  const std::shared_ptr<KeptBudget> budget_;
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const KeptTensor>> kept_ POCKET_GUARDED_BY(mutex_);
  uint64_t bytes_ POCKET_GUARDED_BY(mutex_) = 0;
  uint64_t next_ POCKET_GUARDED_BY(mutex_) = 1;
};

}  // namespace pocket::runner
