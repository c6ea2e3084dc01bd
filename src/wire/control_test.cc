#include "wire/control.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>

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

// The example of docs/format-control.md. Programs of different age exchange these bytes.
constexpr std::array<uint8_t, 96> kHello = {
    0x14, 0x00, 0x00, 0x00, 0x50, 0x4b, 0x43, 0x31, 0x00, 0x00, 0x0a, 0x00, 0x18, 0x00, 0x0c, 0x00,
    0x07, 0x00, 0x08, 0x00, 0x0a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x1c, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x00, 0x14, 0x00,
    0x04, 0x00, 0x08, 0x00, 0x0c, 0x00, 0x10, 0x00, 0x0c, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00,
    0x01, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00,
    0x30, 0x2e, 0x31, 0x2e, 0x30, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x63, 0x61, 0x6d, 0x00};

TEST(Control, GoldenHelloIsUnderstood) {
  auto message = decode_message(kHello);
  ASSERT_TRUE(message.ok()) << message.error().message;
  EXPECT_EQ(message->id, 1U);
  const auto* hello = message->body.AsHello();
  ASSERT_NE(hello, nullptr);
  EXPECT_EQ(hello->version_min, 1U);
  EXPECT_EQ(hello->version_max, 1U);
  EXPECT_EQ(hello->client_name, "cam");
  EXPECT_EQ(hello->library_version, "0.1.0");
}

TEST(Control, GoldenHelloIsWhatIsSent) {
  control::HelloT hello;
  hello.version_min = 1;
  hello.version_max = 1;
  hello.client_name = "cam";
  hello.library_version = "0.1.0";
  EXPECT_THAT(encode_message(1, std::move(hello)), testing::ElementsAreArray(kHello));
}

TEST(Control, GoldenHelloIsTheDocumentedOne) {
  std::ifstream file(FORMAT_CONTROL_PAGE);
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (size_t line = 0; line < kHello.size(); line += 16) {
    std::string text = "   ";
    for (size_t byte = line; byte < line + 16; ++byte) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      text += {' ', kDigits[kHello[byte] >> 4], kDigits[kHello[byte] & 15]};
    }
    EXPECT_NE(page.find(text + "\n"), std::string::npos) << text;
  }
}

TEST(Control, KindsKeepTheirNumbers) {
  EXPECT_EQ(static_cast<int>(control::Body::Hello), 1);
  EXPECT_EQ(static_cast<int>(control::Body::StopService), 9);
  EXPECT_EQ(static_cast<int>(control::Body::Failed), 10);
  EXPECT_EQ(static_cast<int>(control::Body::ChannelBroken), 17);
  EXPECT_EQ(static_cast<int>(control::Body::RunnerLoad), 18);
  EXPECT_EQ(static_cast<int>(control::Body::RunnerStats), 27);
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

TEST(Control, BodyOfAKindWithoutItsTableIsRefused) {
  flatbuffers::FlatBufferBuilder builder;
  control::MessageBuilder message(builder);
  message.add_id(7);
  message.add_body_type(control::Body::Opened);
  control::FinishMessageBuffer(builder, message.Finish());
  const auto decoded = decode_message({builder.GetBufferPointer(), builder.GetSize()});
  ASSERT_FALSE(decoded.ok());
  EXPECT_EQ(decoded.error().code, POCKET_DATA_LOSS);
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
