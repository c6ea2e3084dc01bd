#include "runner/handle_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"

namespace pocket::runner {

Memory allocate_memory(size_t bytes) {
  const auto size = checked_align_up(std::max<size_t>(bytes, 1), 64);
  return Memory(size ? std::aligned_alloc(64, *size) : nullptr);
}

Result<uint64_t> HandleStore::keep(KeptTensor tensor) {
  MutexLock lock(mutex_);
  if (kept_.size() >= kMaxHandles || tensor.bytes > kMaxBytes - bytes_) {
    return Error{
        POCKET_RESOURCE_EXHAUSTED,
        fmt::format("{} tensors of {} bytes are kept; at most {} of {} bytes may be: release "
                    "some",
                    kept_.size(), bytes_, kMaxHandles, kMaxBytes)};
  }
  const uint64_t handle = next_++;
  bytes_ += tensor.bytes;
  kept_[handle] = std::make_shared<const KeptTensor>(std::move(tensor));
  return handle;
}

Result<std::shared_ptr<const KeptTensor>> HandleStore::find(uint64_t handle) const {
  MutexLock lock(mutex_);
  const auto found = kept_.find(handle);
  if (found != kept_.end()) return found->second;
  return Error{POCKET_NOT_FOUND,
               fmt::format("this session keeps no tensor with handle {}", handle)};
}

Result<void> HandleStore::release(uint64_t handle) {
  MutexLock lock(mutex_);
  const auto found = kept_.find(handle);
  if (found == kept_.end()) {
    return Error{POCKET_NOT_FOUND,
                 fmt::format("this session keeps no tensor with handle {}", handle)};
  }
  bytes_ -= found->second->bytes;
  kept_.erase(found);
  return ok_result();
}

}  // namespace pocket::runner
