#include "base/mapping.h"

#include <sys/mman.h>

#include <cerrno>

namespace pocket {

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Result<Mapping> Mapping::map(int fd, size_t size, MapAccess access, bool keep_on_fork) {
  const int protection = access == MapAccess::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  void* address = ::mmap(nullptr, size, protection, MAP_SHARED, fd, 0);
  if (address == MAP_FAILED) {
    const int failure = errno;
    return errno_error("mapping " + std::to_string(size) +
                           " bytes of shared memory into this "
                           "process (bounded by its memory limits, see `ulimit -v`)",
                       failure);
  }
  if (!keep_on_fork) ::madvise(address, size, MADV_DONTFORK);
  return Mapping(static_cast<std::byte*>(address), size);
}

}  // namespace pocket
