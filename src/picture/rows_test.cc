#include "picture/rows.h"

#include <gmock/gmock.h>
#include <stb/stb_image_write.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace pocket::picture {
namespace {

using ::testing::HasSubstr;

Picture pattern(int width, int height) {
  Picture picture{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      picture.rgb.push_back(static_cast<uint8_t>(7 * x + y));
      picture.rgb.push_back(static_cast<uint8_t>(x * y));
      picture.rgb.push_back(static_cast<uint8_t>(255 - 3 * y));
    }
  }
  return picture;
}

class RowsTest : public ::testing::Test {
 protected:
  ~RowsTest() override { std::filesystem::remove(path_); }
  void write_jpeg(const Picture& picture) {
    ASSERT_NE(
        stbi_write_jpg(path_.c_str(), picture.width, picture.height, 3, picture.rgb.data(), 95), 0);
  }
  /// All rows, or the error of opening or of a row.
  Result<Picture> read_rows() {
    POCKET_ASSIGN_OR_RETURN(const auto rows, open_rows(path_));
    Picture picture{rows->size().width, rows->size().height, {}};
    picture.rgb.resize(static_cast<size_t>(picture.width) * picture.height * 3);
    for (int y = 0; y < picture.height; ++y) {
      POCKET_RETURN_IF_ERROR(rows->next(&picture.rgb[static_cast<size_t>(y) * picture.width * 3]));
    }
    return picture;
  }
  void cut_to(uintmax_t bytes) { std::filesystem::resize_file(path_, bytes); }
  const std::string path_ = ::testing::TempDir() + "/rows-" + std::to_string(::getpid());
};

TEST_F(RowsTest, APngsRowsAreItsPixels) {
  const Picture picture = pattern(37, 21);
  ASSERT_TRUE(write_png(picture, path_).ok());
  const auto read = read_rows();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->rgb, picture.rgb);
}

TEST_F(RowsTest, GreyAndTransparentPngsBecomeRgb) {
  const uint8_t grey[] = {0, 100, 200, 255};
  ASSERT_NE(stbi_write_png(path_.c_str(), 2, 2, 1, grey, 2), 0);
  auto read = read_rows();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_THAT(read->rgb,
              ::testing::ElementsAre(0, 0, 0, 100, 100, 100, 200, 200, 200, 255, 255, 255));
  const uint8_t transparent[] = {1, 2, 3, 0, 4, 5, 6, 255};
  ASSERT_NE(stbi_write_png(path_.c_str(), 2, 1, 4, transparent, 8), 0);
  read = read_rows();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_THAT(read->rgb, ::testing::ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(RowsTest, AJpegsRowsAreCloseToWhatWasWritten) {
  Picture picture{64, 48, std::vector<uint8_t>(64 * 48 * 3, 90)};
  write_jpeg(picture);
  const auto read = read_rows();
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->rgb.size(), picture.rgb.size());
  for (const uint8_t value : read->rgb) ASSERT_NEAR(value, 90, 2);
}

TEST_F(RowsTest, OtherFormatsAreDecodedWhole) {
  const Picture picture = pattern(5, 4);
  ASSERT_NE(stbi_write_bmp(path_.c_str(), 5, 4, 3, picture.rgb.data()), 0);
  const auto read = read_rows();
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->rgb, picture.rgb);
}

TEST_F(RowsTest, DamagedFilesSaySo) {
  EXPECT_EQ(open_rows("/nowhere/x.png").error().code, POCKET_NOT_FOUND);
  std::ofstream(path_) << "\xff\xd8 that is no JPEG";
  EXPECT_EQ(read_rows().error().code, POCKET_DATA_LOSS);
  write_jpeg(pattern(200, 200));
  cut_to(std::filesystem::file_size(path_) / 2);
  EXPECT_EQ(read_rows().error().code, POCKET_DATA_LOSS);
  ASSERT_TRUE(write_png(pattern(200, 200), path_).ok());
  cut_to(std::filesystem::file_size(path_) / 2);
  const auto read = read_rows();
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code, POCKET_DATA_LOSS);
  EXPECT_THAT(read.error().message, HasSubstr("is not a picture that can be read"));
}

TEST_F(RowsTest, BilinearTakesTheFourNeighboursOfEachPosition) {
  Picture picture{4, 2, {}};
  for (const int value : {0, 40, 80, 120, 100, 140, 180, 220}) {
    for (int channel = 0; channel < 3; ++channel) {
      picture.rgb.push_back(static_cast<uint8_t>(value));
    }
  }
  ASSERT_TRUE(write_png(picture, path_).ok());
  ImageSpec spec;
  spec.fit = Fit::kStretch;
  spec.filter = Filter::kBilinear;
  std::vector<uint8_t> values(8 * 4 * 3);
  const auto placement = fill_from_file(path_, spec, {8, 4}, values.data());
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_DOUBLE_EQ(placement->scale_x, 2);
  // Positions 0, 0.5, 1 ... across and 0, 0.5, 1, 1.5 down; the last pixel is repeated.
  const int expected[4][8] = {{0, 20, 40, 60, 80, 100, 120, 120},
                              {50, 70, 90, 110, 130, 150, 170, 170},
                              {100, 120, 140, 160, 180, 200, 220, 220},
                              {100, 120, 140, 160, 180, 200, 220, 220}};
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 8; ++x)
      EXPECT_EQ(values[(y * 8 + x) * 3], expected[y][x]) << x << ", " << y;
  }
}

TEST_F(RowsTest, RowByRowGivesWhatTheWholePictureGives) {
  const Picture picture = pattern(101, 67);
  ASSERT_TRUE(write_png(picture, path_).ok());
  for (const Filter filter : {Filter::kSmooth, Filter::kBilinear}) {
    for (const Fit fit : {Fit::kStretch, Fit::kLetterbox, Fit::kCenterCrop}) {
      ImageSpec spec;
      spec.fit = fit;
      spec.filter = filter;
      spec.channels_first = true;
      std::vector<float> whole(30 * 40 * 3, -1), streamed(whole.size(), -2);
      const Placement placement = fill(picture, spec, {30, 40}, whole.data());
      const auto same = fill_from_file(path_, spec, {30, 40}, streamed.data());
      ASSERT_TRUE(same.ok());
      EXPECT_EQ(same->offset_y, placement.offset_y);
      EXPECT_EQ(streamed, whole);
    }
  }
}

}  // namespace
}  // namespace pocket::picture
