#include "runner/handle_store.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/checked.h"

namespace pocket::runner {

Memory allocate_memory(size_t bytes) {
  const auto size = checked_align_up(std::max<size_t>(bytes, 1), 64);
  return Memory(size ? std::aligned_alloc(64, *size) : nullptr);
}

Memory allocate_kept(size_t bytes) {
  constexpr size_t kOwnMapping = 1 << 20;
  if (bytes < kOwnMapping) return allocate_memory(bytes);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? Memory() : Memory(memory, FreeMemory{bytes});
}

void FreeMemory::operator()(void* memory) const {
  if (mapped_bytes > 0) {
    ::munmap(memory, mapped_bytes);
  } else {
    std::free(memory);
  }
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
