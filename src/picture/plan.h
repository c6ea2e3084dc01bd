// Inside the room: which part of a picture goes where in a tensor, and how its pixels become
// values.
#pragma once

#include <span>
#include <vector>

#include "picture/picture.h"

namespace pocket::picture {

struct Rectangle {
  int x = 0, y = 0, width = 0, height = 0;
};

/// The part of the picture that is used, and where in the tensor it goes.
struct Plan {
  Rectangle source;
  Rectangle target;
};

Plan make_plan(Size picture, Fit fit, Size size);
Placement placement_of(const Plan& plan);

/// Pixels of the tensor's size, RGB, as the tensor wants them.
void write_pixels(std::span<const uint8_t> pixels, const ImageSpec& spec, float* target);
void write_pixels(std::span<const uint8_t> pixels, const ImageSpec& spec, uint8_t* target);

}  // namespace pocket::picture
