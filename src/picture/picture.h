// Pictures: decoding, fitting into a model's input, drawing, writing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace pocket::picture {

/// An 8-bit RGB picture, rows from the top, pixels interleaved.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;  // width * height * 3
};

/// Decodes a JPEG, PNG, BMP or PPM file (with stb_image). NOT_FOUND, or DATA_LOSS with the
/// decoder's own words; RESOURCE_EXHAUSTED over 100 megapixels.
Result<Picture> read_picture(const std::string& path);
/// As above, of a file that is in memory; RESOURCE_EXHAUSTED over `most_pixels`, before anything
/// that large is made.
Result<Picture> decode_picture(std::span<const std::byte> file, int64_t most_pixels);
Result<void> write_png(const Picture& picture, const std::string& path);

struct Size {
  int width = 0, height = 0;
};

struct Color {
  uint8_t red, green, blue;
};
/// The outline of a rectangle, `thickness` pixels inwards; parts outside the picture are left out.
void draw_rectangle(Picture& picture, int x, int y, int width, int height, int thickness,
                    Color color);
/// ASCII letters on a dark ground, `size` pixels for one of the font's; x, y is the upper left
/// corner.
void draw_text(Picture& picture, int x, int y, int size, const std::string& text, Color color);
void draw_dot(Picture& picture, int x, int y, int radius, Color color);

enum class Fit { kCenterCrop, kStretch, kLetterbox };
/// How pixels are resized: smoothly, with all of the picture's pixels, or as TensorFlow's bilinear
/// resize does it, which takes the nearest four.
enum class Filter { kSmooth, kBilinear };

/// How a picture becomes an input tensor: the [image] table of a model's entry
/// (docs/format-repository.md). value = (pixel - mean) * scale, in the order of the channels.
struct ImageSpec {
  bool channels_first = false;  // NCHW, else NHWC
  bool blue_first = false;      // BGR, else RGB
  float mean[3] = {0, 0, 0};
  float scale[3] = {1, 1, 1};
  Fit fit = Fit::kCenterCrop;
  Filter filter = Filter::kSmooth;

  /// From a model's metadata ("image.layout", ...). FAILED_PRECONDITION when the entry has no
  /// [image] table, INVALID_ARGUMENT when a value is none.
  static Result<ImageSpec> from_metadata(
      const std::function<std::optional<std::string>(const std::string&)>& get);
};

/// Where the picture lies in the tensor: tensor pixel = picture pixel * scale + offset.
struct Placement {
  double scale_x = 1, scale_y = 1;
  double offset_x = 0, offset_y = 0;
};

/// Height and width a tensor of this shape has for a picture; INVALID_ARGUMENT when the shape is
/// not one picture of three channels and fixed size.
Result<Size> picture_size(const ImageSpec& spec, std::span<const int64_t> shape);

/// Resizes the picture and writes width * height * 3 floats (or bytes, without mean and scale).
Placement fill(const Picture& picture, const ImageSpec& spec, Size size, float* target);
Placement fill(const Picture& picture, const ImageSpec& spec, Size size, uint8_t* target);

}  // namespace pocket::picture
