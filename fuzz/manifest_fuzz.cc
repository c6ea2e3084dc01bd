// A model's model.toml.
#include "fuzz.h"
#include "model/repository.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  const auto read = model::parse_manifest(fuzz::text(data, size), "model.toml");
  fuzz::require(read.ok() || !read.error().message.empty(), "refused without a reason");
  return 0;
}
