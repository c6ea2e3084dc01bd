// A client that writes what it likes into its request region while the runner's end of the channel
// takes calls and answers them: nothing is taken twice, answers never exceed what was taken, and a
// client that breaks the rules breaks its channel.
#include <cstring>

#include "fuzz.h"
#include "ipc/region.h"
#include "runner/channel.h"

namespace {

using namespace pocket;

constexpr uint64_t kBytes = 64 << 10;

template <typename T>
T must(Result<T> result) {
  fuzz::require(result.ok(), result.ok() ? "" : result.error().message.c_str());
  return std::move(result).value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const UniqueFd request = must(ipc::create_region("fuzz", kBytes));
  const UniqueFd response = must(ipc::create_region("fuzz", kBytes));
  Mapping client = must(Mapping::map(request.get(), kBytes, MapAccess::kReadWrite));
  runner::Channel channel({});
  fuzz::require(channel.add_region(0, request, kBytes, response, kBytes).ok(), "no region");
  uint64_t taken = 0;
  uint64_t answered = 0;
  std::vector<wire::Submission> open;
  while (!input.empty()) {
    switch (input.take<uint8_t>() % 4) {
      case 0: {  // the client writes anywhere into what the runner looks at
        const uint64_t offset = input.take<uint16_t>() % (wire::kArenaOffset + 64);
        const auto bytes = input.take_bytes(input.take<uint8_t>());
        std::memcpy(client.data() + offset, bytes.data(), bytes.size());
        break;
      }
      case 1: {  // the client submits properly
        auto* header = reinterpret_cast<wire::RequestHeader*>(client.data());
        const uint64_t position = header->submitted.load();
        auto* slots = reinterpret_cast<wire::Submission*>(client.data() + wire::kHeaderBytes);
        slots[position % wire::kRingSlots] = input.take<wire::Submission>();
        header->submitted.store(position + 1);
        break;
      }
      case 2: {
        wire::Submission submission;
        if (!channel.take(submission)) break;
        taken += 1;
        if (submission.opcode != wire::Opcode::kCancel) open.push_back(submission);
        break;
      }
      default: {
        if (open.empty()) break;
        runner::Outcome outcome;
        outcome.status = POCKET_INVALID_ARGUMENT;
        outcome.message = "refused";
        channel.complete(open.back(), outcome);
        open.pop_back();
        answered += 1;
      }
    }
    fuzz::require(open.size() <= wire::kRingSlots, "more calls are open than the ring holds");
    fuzz::require(answered <= taken, "more answers than calls");
  }
  channel.close(false);
  wire::Submission submission;
  fuzz::require(!channel.take(submission), "a closed channel gave a call");
  return 0;
}
