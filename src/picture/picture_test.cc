#include "picture/picture.h"

#include <gmock/gmock.h>

#include <cstdio>
#include <fstream>
#include <map>

namespace pocket::picture {
namespace {

Picture gradient(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<uint8_t>(x));
      picture.rgb.push_back(static_cast<uint8_t>(y));
      picture.rgb.push_back(200);
    }
  }
  return picture;
}

TEST(Picture, APngComesBackAsItWasWritten) {
  const std::string path = ::testing::TempDir() + "/picture.png";
  const Picture picture = gradient(20, 10);
  ASSERT_TRUE(write_png(picture, path).ok());
  const auto read = read_picture(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->width, 20);
  EXPECT_EQ(read->height, 10);
  EXPECT_EQ(read->rgb, picture.rgb);
  std::remove(path.c_str());
}

TEST(Picture, WhatIsNoPictureIsRefused) {
  EXPECT_EQ(read_picture("/nowhere/x.png").error().code, POCKET_NOT_FOUND);
  const std::string path = ::testing::TempDir() + "/not-a-picture";
  std::ofstream(path) << "PNG, they said";
  EXPECT_EQ(read_picture(path).error().code, POCKET_DATA_LOSS);
  std::remove(path.c_str());
}

TEST(Picture, LayoutsChannelsAndScalesAreThoseOfTheEntry) {
  const std::map<std::string, std::string> entry = {{"image.layout", "NCHW"},
                                                    {"image.channels", "BGR"},
                                                    {"image.mean", "100 2 3"},
                                                    {"image.scale", "0.5 1 1"},
                                                    {"image.fit", "stretch"}};
  const auto get = [&](const std::string& key) -> std::optional<std::string> {
    const auto found = entry.find(key);
    return found == entry.end() ? std::nullopt : std::optional(found->second);
  };
  const auto spec = ImageSpec::from_metadata(get);
  ASSERT_TRUE(spec.ok());
  const int64_t shape[] = {1, 3, 4, 8};
  const auto size = picture_size(*spec, shape);
  ASSERT_TRUE(size.ok());
  EXPECT_EQ(size->width, 8);
  EXPECT_EQ(size->height, 4);
  std::vector<float> values(3 * 4 * 8);
  fill(gradient(8, 4), *spec, *size, values.data());
  EXPECT_FLOAT_EQ(values[0], (200 - 100) * 0.5F);  // blue first
  EXPECT_FLOAT_EQ(values[32 + 8 * 3], 3 - 2);      // green of row 3
  EXPECT_FLOAT_EQ(values[64 + 5], 5 - 3);          // red of column 5
  EXPECT_FALSE(ImageSpec::from_metadata([](const std::string&) { return std::nullopt; }).ok());
}

TEST(Picture, CenterCropAndLetterboxSayWhereThePictureLies) {
  ImageSpec spec;
  std::vector<uint8_t> values(10 * 10 * 3);
  Placement placement = fill(gradient(40, 20), spec, {10, 10}, values.data());
  EXPECT_DOUBLE_EQ(placement.scale_x, 0.5);
  EXPECT_DOUBLE_EQ(placement.offset_x, -5);
  EXPECT_DOUBLE_EQ(placement.offset_y, 0);
  spec.fit = Fit::kLetterbox;
  placement = fill(gradient(40, 20), spec, {10, 10}, values.data());
  EXPECT_DOUBLE_EQ(placement.scale_x, 0.25);
  EXPECT_DOUBLE_EQ(placement.offset_y, 2);
  EXPECT_EQ(values[2], 0);  // the border is black
  const int64_t grey[] = {1, 28, 28, 1};
  EXPECT_FALSE(picture_size(spec, grey).ok());
}

}  // namespace
}  // namespace pocket::picture
