// Pictures as operations: decoding within limits, and into a model's input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "operations/operation.h"
#include "picture/picture.h"

namespace pocket::operations {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// The bytes of a PNG whose pixel (x, y) is (x, y, 7).
std::string png(int width, int height) {
  picture::Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.insert(picture.rgb.end(), {static_cast<uint8_t>(x), static_cast<uint8_t>(y), 7});
    }
  }
  std::string path = (fs::temp_directory_path() / "pocket-png-XXXXXX").string();
  const int fd = ::mkstemp(path.data());
  EXPECT_GE(fd, 0);
  ::close(fd);
  EXPECT_TRUE(picture::write_png(picture, path).ok());
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  fs::remove(path);
  return bytes;
}

Tensor bytes_tensor(const std::string& bytes) {
  const int64_t shape[] = {static_cast<int64_t>(bytes.size())};
  auto tensor = tensor::make_tensor(POCKET_UINT8, shape);
  EXPECT_TRUE(tensor.ok());
  std::memcpy(tensor->writable(), bytes.data(), bytes.size());
  return std::move(*tensor);
}

Result<Tensor> run(std::string_view name, const Tensor& input, const Parameters& parameters = {}) {
  POCKET_ASSIGN_OR_RETURN(const Operation* operation, find_operation(name));
  POCKET_ASSIGN_OR_RETURN(auto outputs, run_operation(*operation, {&input, 1}, parameters));
  return std::move(outputs[0]);
}

Parameters size(int64_t height, int64_t width) {
  Parameters parameters;
  parameters.set("height", height);
  parameters.set("width", width);
  return parameters;
}

TEST(Pictures, DecodedAsTheyAre) {
  auto decoded = run("decode_image", bytes_tensor(png(5, 3)));
  ASSERT_TRUE(decoded.ok()) << decoded.error().message;
  EXPECT_THAT(decoded->spec().shape, testing::ElementsAre(3, 5, 3));
  EXPECT_EQ(decoded->values<uint8_t>()[(2 * 5 + 4) * 3], 4);
  EXPECT_EQ(decoded->values<uint8_t>()[(2 * 5 + 4) * 3 + 1], 2);
}

TEST(Pictures, WhatIsTooLargeOrNoPictureIsRefused) {
  const std::string good = png(64, 64);
  Parameters few;
  few.set("most_pixels", int64_t{4095});
  EXPECT_THAT(run("decode_image", bytes_tensor(good), few).error().message,
              HasSubstr("64 x 64 pixels; the most is 4095"));
  // A head that promises 16,000 x 16,000 pixels is refused before memory is made for them.
  std::string bomb = good;
  for (const size_t place : {16, 20}) std::memcpy(&bomb[place], "\0\0\x3e\x80", 4);
  EXPECT_EQ(run("decode_image", bytes_tensor(bomb)).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_EQ(run("decode_image", bytes_tensor("")).error().code, POCKET_DATA_LOSS);
  EXPECT_EQ(run("decode_image", bytes_tensor("not a picture")).error().code, POCKET_DATA_LOSS);
  EXPECT_EQ(run("decode_image", bytes_tensor(good.substr(0, good.size() / 2))).error().code,
            POCKET_DATA_LOSS);
}

TEST(Pictures, DamagedOnesEndInAnErrorOrAPicture) {
  const std::string good = png(16, 16);
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::string damaged = good;
    for (int change = 0; change < 4; ++change) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    auto decoded = run("decode_image", bytes_tensor(damaged));
    if (decoded.ok()) {
      EXPECT_LE(decoded->bytes, uint64_t{3} << 24);
    }
  }
}

TEST(Pictures, ResizedAndMadeAnInput) {
  auto decoded = run("decode_image", bytes_tensor(png(8, 8)));
  ASSERT_TRUE(decoded.ok());
  auto resized = run("resize_image", *decoded, size(4, 2));
  ASSERT_TRUE(resized.ok()) << resized.error().message;
  EXPECT_THAT(resized->spec().shape, testing::ElementsAre(4, 2, 3));
  Parameters wanted = size(8, 8);
  wanted.set("layout", std::string("NCHW"));
  wanted.set("channels", std::string("BGR"));
  wanted.set("mean", std::vector<double>{1, 0, 0});
  wanted.set("scale", std::vector<double>{0.5, 1, 1});
  auto input = run("image_input", *decoded, wanted);
  ASSERT_TRUE(input.ok()) << input.error().message;
  EXPECT_THAT(input->spec().shape, testing::ElementsAre(1, 3, 8, 8));
  EXPECT_EQ(input->values<float>()[0], 3);           // blue: (7 - 1) / 2
  EXPECT_EQ(input->values<float>()[2 * 64 + 5], 5);  // red of pixel (5, 0)
}

TEST(Pictures, WrongSizesAndShapesAreRefused) {
  auto decoded = run("decode_image", bytes_tensor(png(8, 8)));
  ASSERT_TRUE(decoded.ok());
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{0, 1}, {1, -1}, {16384, 16384}}) {
    EXPECT_EQ(run("resize_image", *decoded, size(height, width)).error().code,
              POCKET_INVALID_ARGUMENT);
  }
  EXPECT_THAT(run("resize_image", bytes_tensor("abc"), size(1, 1)).error().message,
              HasSubstr("a picture is uint8 [height, width, 3], not uint8 [3]"));
  const int64_t none[] = {0, 5, 3};
  auto empty = tensor::make_tensor(POCKET_UINT8, none);
  ASSERT_TRUE(empty.ok());
  EXPECT_FALSE(run("resize_image", *empty, size(1, 1)).ok());
  Parameters odd = size(1, 1);
  odd.set("fit", std::string("squeeze"));
  EXPECT_THAT(run("resize_image", *decoded, odd).error().message,
              HasSubstr("'fit' must be one of center-crop, stretch, letterbox"));
}

}  // namespace
}  // namespace pocket::operations
