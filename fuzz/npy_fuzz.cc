// Arrays from files of strangers.
#include <sys/mman.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "cli/npy.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  const UniqueFd file(::memfd_create("npy", MFD_CLOEXEC));
  fuzz::require(::write(file.get(), data, size) == static_cast<ssize_t>(size), "no memory");
  const std::string path = "/proc/self/fd/" + std::to_string(file.get());
  const auto array = cli::read_npy(path);
  if (!array.ok()) return 0;
  fuzz::require(cli::write_npy(path, *array).ok(), "what was read cannot be written");
  const auto again = cli::read_npy(path);
  fuzz::require(again.ok() && again->shape == array->shape && again->data == array->data,
                "an array does not read back as itself");
  return 0;
}
