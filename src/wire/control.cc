#include "wire/control.h"

namespace pocket::wire {

Result<control::MessageT> decode_message(std::span<const uint8_t> packet) {
  // The verifier needs an aligned buffer; packets come from std::vector, which is aligned enough.
  flatbuffers::Verifier verifier(packet.data(), packet.size(), /*max_depth=*/16,
                                 /*max_tables=*/20000);
  if (packet.size() < 8 || !control::VerifyMessageBuffer(verifier)) {
    return Error{POCKET_DATA_LOSS,
                 "control message of " + std::to_string(packet.size()) +
                     " bytes is not well-formed: is the other side another Pocket version?"};
  }
  control::MessageT message;
  control::GetMessage(packet.data())->UnPackTo(&message);
  if (message.body.type == control::Body::NONE || message.body.value == nullptr) {
    return Error{POCKET_DATA_LOSS, "control message without a body, or of an unknown kind"};
  }
  return message;
}

std::vector<uint8_t> encode_message(const control::MessageT& message) {
  flatbuffers::FlatBufferBuilder builder(512);
  control::FinishMessageBuffer(builder, control::Message::Pack(builder, &message));
  return {builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize()};
}

}  // namespace pocket::wire
