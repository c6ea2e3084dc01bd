// Bilinear resizing of rows as they come.
#pragma once

#include <cstdint>
#include <vector>

#include "picture/plan.h"

namespace pocket::picture {

/// Resizes as TensorFlow's bilinear resize does that the published detectors were trained with: the
/// pixel at target position t is taken at t * source / target, between its two neighbours in each
/// direction, and nothing is smoothed. Arithmetic in float32, rounded to 8 bits at the end.
class Bilinear {
 public:
  /// Pixels of `size` outside the plan's target stay black.
  Bilinear(const Plan& plan, Size size);
  /// The picture's rows in order, from its top, whole.
  void add_row(const uint8_t* rgb);
  /// No further rows are needed.
  bool done() const { return next_target_ == plan_.target.height; }
  /// size.width * size.height RGB pixels.
  std::vector<uint8_t> pixels() && { return std::move(pixels_); }

 private:
  /// Where a target position lies: between `low` and `high`, `part` of the way.
  struct Place {
    int low, high;
    float part;
  };
  static Place place(int target, int source_size, int target_size);
  void write_target_row(const Place& place);

  const Plan plan_;
  const Size size_;
  std::vector<Place> columns_;
  int next_source_ = 0;                   // row of the picture that comes next
  int next_target_ = 0;                   // row of the target that is to be written next
  std::vector<float> previous_, newest_;  // the last two rows, as wide as the target
  std::vector<uint8_t> pixels_;
};

}  // namespace pocket::picture
