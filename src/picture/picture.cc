#include "picture/picture.h"

#include <fmt/format.h>
#include <stb/stb_image.h>
#include <stb/stb_image_resize.h>
#include <stb/stb_image_write.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "picture/bilinear.h"
#include "picture/decoders.h"
#include "picture/plan.h"

namespace pocket::picture {
namespace {

/// The picture as the tensor sees it: size.width * size.height RGB pixels, borders black.
std::vector<uint8_t> resize(const Picture& picture, const Plan& plan, Size size) {
  std::vector<uint8_t> pixels(static_cast<size_t>(size.width) * size.height * 3);
  const size_t from = (static_cast<size_t>(plan.source.y) * picture.width + plan.source.x) * 3;
  const size_t to = (static_cast<size_t>(plan.target.y) * size.width + plan.target.x) * 3;
  stbir_resize_uint8(picture.rgb.data() + from, plan.source.width, plan.source.height,
                     picture.width * 3, pixels.data() + to, plan.target.width, plan.target.height,
                     size.width * 3, 3);
  return pixels;
}

std::vector<uint8_t> resize_bilinear(const Picture& picture, const Plan& plan, Size size) {
  Bilinear resizer(plan, size);
  for (int y = 0; y < picture.height && !resizer.done(); ++y) {
    resizer.add_row(picture.rgb.data() + static_cast<size_t>(y) * picture.width * 3);
  }
  return std::move(resizer).pixels();
}

template <typename T>
Placement fill_with(const Picture& picture, const ImageSpec& spec, Size size, T* target) {
  const Plan plan = make_plan({picture.width, picture.height}, spec.fit, size);
  write_pixels(spec.filter == Filter::kBilinear ? resize_bilinear(picture, plan, size)
                                                : resize(picture, plan, size),
               spec, target);
  return placement_of(plan);
}

Result<void> parse_triple(const std::string& text, float* values) {
  const char* position = text.c_str();
  for (int index = 0; index < 3; ++index) {
    char* end = nullptr;
    values[index] = std::strtof(position, &end);
    if (end == position) {
      return Error{POCKET_INVALID_ARGUMENT, fmt::format("'{}' is not three numbers", text)};
    }
    position = end;
  }
  return ok_result();
}

}  // namespace

Result<void> check_pixels(const std::string& path, int64_t width, int64_t height) {
  if (width * height <= kMostPixels) return ok_result();
  return Error{POCKET_RESOURCE_EXHAUSTED, fmt::format("'{}' has {} x {} pixels; the most is {}",
                                                      path, width, height, kMostPixels)};
}

Error not_a_picture(const std::string& path, const char* decoder_says) {
  return Error{POCKET_DATA_LOSS,
               fmt::format("'{}' is not a picture that can be read: {}", path, decoder_says)};
}

Result<Picture> read_picture(const std::string& path) {
  if (::access(path.c_str(), R_OK) != 0) return errno_error(fmt::format("'{}'", path), errno);
  int width = 0, height = 0, channels = 0;
  if (stbi_info(path.c_str(), &width, &height, &channels) == 1) {
    POCKET_RETURN_IF_ERROR(check_pixels(path, width, height));
  }
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load(path.c_str(), &width, &height, &channels, 3), stbi_image_free);
  if (pixels == nullptr) return not_a_picture(path, stbi_failure_reason());
  Picture picture{width, height, {}};
  picture.rgb.assign(pixels.get(), pixels.get() + static_cast<size_t>(width) * height * 3);
  return picture;
}

Result<void> write_png(const Picture& picture, const std::string& path) {
  if (stbi_write_png(path.c_str(), picture.width, picture.height, 3, picture.rgb.data(),
                     picture.width * 3) == 0) {
    return errno_error(fmt::format("writing '{}'", path), errno == 0 ? EIO : errno);
  }
  return ok_result();
}

void draw_rectangle(Picture& picture, int x, int y, int width, int height, int thickness,
                    Color color) {
  for (int row = std::max(y, 0); row < std::min(y + height, picture.height); ++row) {
    for (int column = std::max(x, 0); column < std::min(x + width, picture.width); ++column) {
      const bool inside = row >= y + thickness && row < y + height - thickness &&
                          column >= x + thickness && column < x + width - thickness;
      if (inside) continue;
      uint8_t* pixel = &picture.rgb[(static_cast<size_t>(row) * picture.width + column) * 3];
      pixel[0] = color.red;
      pixel[1] = color.green;
      pixel[2] = color.blue;
    }
  }
}

void draw_dot(Picture& picture, int x, int y, int radius, Color color) {
  draw_rectangle(picture, x - radius, y - radius, 2 * radius + 1, 2 * radius + 1, radius + 1,
                 color);
}

Result<ImageSpec> ImageSpec::from_metadata(
    const std::function<std::optional<std::string>(const std::string&)>& get) {
  ImageSpec spec;
  const auto layout = get("image.layout");
  if (!layout) {
    return Error{POCKET_FAILED_PRECONDITION,
                 "the model's model.toml has no [image] table with a layout: it does not say how a "
                 "picture becomes its input (docs/format-repository.md)"};
  }
  spec.channels_first = *layout == "NCHW";
  spec.blue_first = get("image.channels").value_or("RGB") == "BGR";
  const std::string fit = get("image.fit").value_or("center-crop");
  spec.fit = fit == "stretch"     ? Fit::kStretch
             : fit == "letterbox" ? Fit::kLetterbox
                                  : Fit::kCenterCrop;
  if (get("image.filter").value_or("") == "bilinear") spec.filter = Filter::kBilinear;
  if (const auto mean = get("image.mean")) POCKET_RETURN_IF_ERROR(parse_triple(*mean, spec.mean));
  if (const auto scale = get("image.scale")) {
    POCKET_RETURN_IF_ERROR(parse_triple(*scale, spec.scale));
  }
  return spec;
}

Result<Size> picture_size(const ImageSpec& spec, std::span<const int64_t> shape) {
  if (shape.size() == 4) {
    const int64_t channels = spec.channels_first ? shape[1] : shape[3];
    const int64_t height = spec.channels_first ? shape[2] : shape[1];
    const int64_t width = spec.channels_first ? shape[3] : shape[2];
    const bool one = shape[0] == 1 || shape[0] == -1;
    if (one && channels == 3 && height > 0 && width > 0 && height * width <= kMostPixels) {
      return Size{static_cast<int>(width), static_cast<int>(height)};
    }
  }
  return Error{POCKET_INVALID_ARGUMENT, "the model's input is not one picture of three channels"};
}

Placement fill(const Picture& picture, const ImageSpec& spec, Size size, float* target) {
  return fill_with(picture, spec, size, target);
}

Placement fill(const Picture& picture, const ImageSpec& spec, Size size, uint8_t* target) {
  return fill_with(picture, spec, size, target);
}

}  // namespace pocket::picture
