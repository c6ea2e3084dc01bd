// Tensors that clients keep on the runner's side, private to their session.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <unordered_map>

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

/// The kept tensors of one session, bounded in number and bytes. Any thread.
class HandleStore {
 public:
  static constexpr size_t kMaxHandles = 4096;
  static constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

  /// RESOURCE_EXHAUSTED when a bound would be passed.
  Result<uint64_t> keep(KeptTensor tensor);
  /// The tensor stays alive while the pointer does, even when released meanwhile.
  Result<std::shared_ptr<const KeptTensor>> find(uint64_t handle) const;
  Result<void> release(uint64_t handle);

 private:
  mutable Mutex mutex_;
  std::unordered_map<uint64_t, std::shared_ptr<const KeptTensor>> kept_ POCKET_GUARDED_BY(mutex_);
  uint64_t bytes_ POCKET_GUARDED_BY(mutex_) = 0;
  uint64_t next_ POCKET_GUARDED_BY(mutex_) = 1;
};

}  // namespace pocket::runner
