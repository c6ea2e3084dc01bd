#include "wire/control.h"

#include <gtest/gtest.h>

#include <random>

namespace pocket::wire {
namespace {

control::RunnerLoadedT loaded_message() {
  control::RunnerLoadedT loaded;
  loaded.model = 3;
  loaded.load_ms = 12.5;
  loaded.memory_bytes = 1u << 30;
  auto info = std::make_unique<control::TensorInfoT>();
  info->name = "images";
  info->dtype = 1;
  info->rank = 4;
  info->shape = {1, 3, -1, -1};
  loaded.inputs.push_back(std::move(info));
  return loaded;
}

TEST(Control, RoundTripKeepsEveryField) {
  const auto packet = encode_message(77, loaded_message());
  auto message = decode_message(packet);
  ASSERT_TRUE(message.ok());
  EXPECT_EQ(message->id, 77u);
  const auto* loaded = message->body.AsRunnerLoaded();
  ASSERT_NE(loaded, nullptr);
  EXPECT_EQ(loaded->model, 3u);
  EXPECT_EQ(loaded->load_ms, 12.5);
  EXPECT_EQ(loaded->memory_bytes, 1u << 30);
  ASSERT_EQ(loaded->inputs.size(), 1u);
  EXPECT_EQ(loaded->inputs[0]->name, "images");
  EXPECT_EQ(loaded->inputs[0]->shape, (std::vector<int64_t>{1, 3, -1, -1}));
}

TEST(Control, EmptyBodiesAreMessages) {
  auto message = decode_message(encode_message(1, control::DoneT{}));
  ASSERT_TRUE(message.ok());
  EXPECT_NE(message->body.AsDone(), nullptr);
}

TEST(Control, MessageWithoutBodyIsRefused) {
  auto message = decode_message(encode_message(control::MessageT{}));
  ASSERT_FALSE(message.ok());
  EXPECT_EQ(message.error().code, POCKET_DATA_LOSS);
}

TEST(Control, EveryTruncationIsRefusedOrWellFormed) {
  const auto packet = encode_message(77, loaded_message());
  EXPECT_FALSE(decode_message({}).ok());
  size_t refused = 0;
  for (size_t size = 0; size < packet.size(); ++size) {
    const std::vector<uint8_t> cut(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(size));
    auto message = decode_message(cut);
    if (message.ok()) continue;
    EXPECT_EQ(message.error().code, POCKET_DATA_LOSS);
    ++refused;
  }
  EXPECT_GT(refused, packet.size() / 2);
}

TEST(Control, FlippedBitsNeverCrash) {
  const auto packet = encode_message(77, loaded_message());
  size_t refused = 0;
  for (size_t bit = 0; bit < packet.size() * 8; ++bit) {
    auto flipped = packet;
    flipped[bit / 8] = static_cast<uint8_t>(flipped[bit / 8] ^ (1u << (bit % 8)));
    auto message = decode_message(flipped);
    if (!message.ok()) ++refused;
  }
  EXPECT_GT(refused, 32u);  // at least the file identifier is checked
}

TEST(Control, RandomBytesAreRefused) {
  std::mt19937 random(20260101);
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> packet(random() % 200);
    for (auto& byte : packet) byte = static_cast<uint8_t>(random());
    EXPECT_FALSE(decode_message(packet).ok());
  }
}

}  // namespace
}  // namespace pocket::wire
