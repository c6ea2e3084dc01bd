#include "picture/plan.h"

#include <algorithm>
#include <cmath>

namespace pocket::picture {
namespace {

template <typename T, typename Convert>
void write_as(std::span<const uint8_t> pixels, const ImageSpec& spec, T* target, Convert convert) {
  const size_t count = pixels.size() / 3;
  for (int channel = 0; channel < 3; ++channel) {
    const int from = spec.blue_first ? 2 - channel : channel;
    T* out = spec.channels_first ? target + channel * count : target + channel;
    const size_t step = spec.channels_first ? 1 : 3;
    for (size_t index = 0; index < count; ++index) {
      out[index * step] = convert(pixels[index * 3 + from], channel);
    }
  }
}

}  // namespace

Plan make_plan(Size picture, Fit fit, Size size) {
  Plan plan{{0, 0, picture.width, picture.height}, {0, 0, size.width, size.height}};
  if (fit == Fit::kCenterCrop) {
    // The largest part in the middle with the tensor's proportions.
    const double scale = std::min(static_cast<double>(picture.width) / size.width,
                                  static_cast<double>(picture.height) / size.height);
    plan.source.width = std::clamp(static_cast<int>(size.width * scale), 1, picture.width);
    plan.source.height = std::clamp(static_cast<int>(size.height * scale), 1, picture.height);
    plan.source.x = (picture.width - plan.source.width) / 2;
    plan.source.y = (picture.height - plan.source.height) / 2;
  } else if (fit == Fit::kLetterbox) {
    const double scale = std::min(static_cast<double>(size.width) / picture.width,
                                  static_cast<double>(size.height) / picture.height);
    plan.target.width =
        std::clamp(static_cast<int>(std::lround(picture.width * scale)), 1, size.width);
    plan.target.height =
        std::clamp(static_cast<int>(std::lround(picture.height * scale)), 1, size.height);
    plan.target.x = (size.width - plan.target.width) / 2;
    plan.target.y = (size.height - plan.target.height) / 2;
  }
  return plan;
}

Placement placement_of(const Plan& plan) {
  Placement placement;
  placement.scale_x = static_cast<double>(plan.target.width) / plan.source.width;
  placement.scale_y = static_cast<double>(plan.target.height) / plan.source.height;
  placement.offset_x = plan.target.x - plan.source.x * placement.scale_x;
  placement.offset_y = plan.target.y - plan.source.y * placement.scale_y;
  return placement;
}

void write_pixels(std::span<const uint8_t> pixels, const ImageSpec& spec, float* target) {
  write_as(pixels, spec, target, [&](uint8_t value, int channel) {
    return (static_cast<float>(value) - spec.mean[channel]) * spec.scale[channel];
  });
}

void write_pixels(std::span<const uint8_t> pixels, const ImageSpec& spec, uint8_t* target) {
  write_as(pixels, spec, target, [](uint8_t value, int) { return value; });
}

}  // namespace pocket::picture
