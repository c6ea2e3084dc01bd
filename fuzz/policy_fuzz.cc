// Policy strings, and what a policy would lend of any limit.
#include "fuzz.h"
#include "lease/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  fuzz::Input input(data, size);
  const auto amount = input.take<int64_t>();
  const auto period = input.take<uint32_t>();
  const auto policy = lease::parse_policy(fuzz::text(input.rest().data(), input.rest().size()));
  if (!policy.ok()) {
    fuzz::require(!policy.error().message.empty(), "refused without a reason");
    return 0;
  }
  const auto again = lease::parse_policy(lease::to_string(*policy));
  fuzz::require(again.ok() && *again == *policy, "a policy does not read back as itself");
  for (const auto resource : {lease::Resource::kCpu, lease::Resource::kMemory}) {
    const auto limit = lease::known_limit(resource, {amount, period});
    if (!limit) continue;
    const auto wanted = lease::wanted(*policy, resource, *limit);
    fuzz::require(wanted.amount >= 0, "a negative amount is lent");
    fuzz::require(wanted.amount == 0 ||
                      (limit->amount != lease::kUnlimited && wanted.amount <= limit->amount),
                  "more is lent than there is");
  }
  return 0;
}
