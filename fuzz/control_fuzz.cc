// Control messages: whatever arrives is refused or understood, and what is understood can be sent
// on and means the same.
#include "fuzz.h"
#include "wire/control.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pocket;
  const auto message = wire::decode_message({data, size});
  if (!message.ok()) return 0;
  const auto packet = wire::encode_message(*message);
  const auto again = wire::decode_message(packet);
  fuzz::require(again.ok(), "what was decoded cannot be sent");
  fuzz::require(again->id == message->id && again->body.type == message->body.type,
                "a message changed on its way");
  return 0;
}
