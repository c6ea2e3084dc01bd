// A real model in a pipeline answers what it answers when the steps are done by hand, bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>

#include "picture/picture.h"
#include "pocket/pocket.hpp"
#include "service.h"

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kClassify = R"(
[[inputs]]
name = "file"
dtype = "uint8"
shape = [-1]
[[steps]]
operation = "decode_image"
inputs = ["file"]
outputs = ["picture"]
[[steps]]
operation = "image_input"
inputs = ["picture"]
outputs = ["tensor"]
[steps.parameters]
height = 224
width = 224
mean = [127.5, 127.5, 127.5]
scale = [0.00784313725490196, 0.00784313725490196, 0.00784313725490196]
[[steps]]
model = "mobilenetv2"
inputs = ["tensor"]
outputs = ["scores"]
[[steps]]
operation = "top_k"
inputs = ["scores"]
outputs = ["values", "classes"]
parameters = { k = 5 }
[[outputs]]
name = "classes"
[[outputs]]
name = "values"
)";

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The scores of a picture, each step done here.
std::vector<float> scores_by_hand(const Model& model, const std::string& path) {
  auto picture = picture::read_picture(path);
  EXPECT_TRUE(picture.ok());
  auto spec = picture::ImageSpec::from_metadata(
      [&](const std::string& key) { return model.metadata(key); });
  EXPECT_TRUE(spec.ok());
  Call call(model);
  const auto room = call.input<float>(0, {1, 224, 224, 3});
  picture::fill(*picture, *spec, {224, 224}, room.data());
  call.run();
  const auto scores = call.output(0).values<float>();
  return {scores.begin(), scores.end()};
}

TEST(Pipelines, ARealModelAnswersTheSameAsByHand) {
  if (!fs::exists(MODELS_PATH "/mobilenetv2/1/model.onnx")) {
    GTEST_SKIP() << "the demonstration's models are not built: make models";
  }
  TestService service;
  fs::create_directories(service.models() + "/mobilenetv2/1");
  for (const char* file : {"model.toml", "labels.txt", "1/model.onnx"}) {
    fs::copy_file(std::string(MODELS_PATH "/mobilenetv2/") + file,
                  service.models() + "/mobilenetv2/" + file);
  }
  write_file(service.models() + "/classify/1/model.pipeline", kClassify);
  ASSERT_TRUE(service.start()) << service.log();
  const Session session({.socket = service.socket()});
  const Model model(session, "mobilenetv2");
  const Model pipeline(session, "classify");
  Call call(pipeline);
  int pictures = 0;
  for (const auto& entry : fs::directory_iterator(PICTURES_PATH)) {
    SCOPED_TRACE(entry.path().string());
    const std::vector<float> scores = scores_by_hand(model, entry.path().string());
    std::vector<int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
    const std::string bytes = read_file(entry.path().string());
    const auto room = call.input<uint8_t>(0, {static_cast<int64_t>(bytes.size())});
    std::memcpy(room.data(), bytes.data(), bytes.size());
    call.run();
    const auto classes = call.output(0).values<int64_t>();
    const auto values = call.output(1).values<float>();
    ASSERT_EQ(classes.size(), 5U);
    for (size_t rank = 0; rank < 5; ++rank) {
      EXPECT_EQ(classes[rank], order[rank]);
      EXPECT_EQ(values[rank], scores[static_cast<size_t>(order[rank])]);
    }
    ++pictures;
  }
  EXPECT_GE(pictures, 5);
}

}  // namespace
}  // namespace pocket::testing
