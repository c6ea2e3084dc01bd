// The service's configuration.
#include "daemon/config.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  daemon::Config config;
  const auto read = daemon::parse_config(fuzz::text(data, size), "pocketd.toml", config);
  fuzz::require(read.ok() || !read.error().message.empty(), "refused without a reason");
  return 0;
}
