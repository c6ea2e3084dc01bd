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

void KeptBudget::set_limit(const std::string& tenant, uint64_t max_bytes) {
  MutexLock lock(mutex_);
  tenant_ = tenant;
  use_.max_bytes = max_bytes;
}

Result<void> KeptBudget::take(uint64_t bytes) {
  MutexLock lock(mutex_);
  if (use_.max_bytes != 0 && bytes > use_.max_bytes - std::min(use_.bytes, use_.max_bytes)) {
    return Error{POCKET_RESOURCE_EXHAUSTED,
                 fmt::format("{} bytes more of kept tensors pass the limit of {} of tenant '{}' "
                             "(tenant.{}.kept_bytes); its clients keep {}: release some, or raise "
                             "it",
                             bytes, use_.max_bytes, tenant_, tenant_, use_.bytes)};
  }
  use_.tensors += 1;
  use_.bytes += bytes;
  return ok_result();
}

void KeptBudget::give_back(uint64_t tensors, uint64_t bytes) {
  MutexLock lock(mutex_);
  use_.tensors -= tensors;
  use_.bytes -= bytes;
}

KeptBudget::Use KeptBudget::use() const {
  MutexLock lock(mutex_);
  return use_;
}

HandleStore::~HandleStore() { budget_->give_back(kept_.size(), bytes_); }

Result<uint64_t> HandleStore::keep(KeptTensor tensor) {
  MutexLock lock(mutex_);
  if (kept_.size() >= kMaxHandles || tensor.bytes > kMaxBytes - bytes_) {
    return Error{
        POCKET_RESOURCE_EXHAUSTED,
        fmt::format("{} tensors of {} bytes are kept; at most {} of {} bytes may be: release "
                    "some",
                    kept_.size(), bytes_, kMaxHandles, kMaxBytes)};
  }
  POCKET_RETURN_IF_ERROR(budget_->take(tensor.bytes));
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
  budget_->give_back(1, found->second->bytes);
  kept_.erase(found);
  return ok_result();
}

}  // namespace pocket::runner
