#include "picture/bilinear.h"

#include <algorithm>
#include <cmath>

namespace pocket::picture {

Bilinear::Place Bilinear::place(int target, int source_size, int target_size) {
  const auto scale = static_cast<float>(static_cast<double>(source_size) / target_size);
  const float position = static_cast<float>(target) * scale;
  const int low = std::min(static_cast<int>(position), source_size - 1);
  return {low, std::min(low + 1, source_size - 1), position - static_cast<float>(low)};
}

Bilinear::Bilinear(const Plan& plan, Size size)
    : plan_(plan),
      size_(size),
      previous_(static_cast<size_t>(plan.target.width) * 3),
      newest_(previous_.size()),
      pixels_(static_cast<size_t>(size.width) * size.height * 3) {
  for (int x = 0; x < plan.target.width; ++x) {
    columns_.push_back(place(x, plan.source.width, plan.target.width));
  }
}

void Bilinear::add_row(const uint8_t* rgb) {
  const int row = next_source_++ - plan_.source.y;
  if (row < 0 || done()) return;
  previous_.swap(newest_);
  const uint8_t* source = rgb + static_cast<size_t>(plan_.source.x) * 3;
  for (size_t x = 0; x < columns_.size(); ++x) {
    const Place& column = columns_[x];
    for (int channel = 0; channel < 3; ++channel) {
      const auto low = static_cast<float>(source[column.low * 3 + channel]);
      const auto high = static_cast<float>(source[column.high * 3 + channel]);
      newest_[x * 3 + channel] = low + (high - low) * column.part;
    }
  }
  while (!done()) {
    const Place lines = place(next_target_, plan_.source.height, plan_.target.height);
    if (lines.high > row) return;
    // A position on the last row has only that one; else this row is the upper neighbour.
    if (lines.low == row) previous_ = newest_;
    write_target_row(lines);
    ++next_target_;
  }
}

void Bilinear::write_target_row(const Place& lines) {
  const size_t from = (static_cast<size_t>(plan_.target.y + next_target_) * size_.width +
                       static_cast<size_t>(plan_.target.x)) *
                      3;
  for (size_t index = 0; index < newest_.size(); ++index) {
    const float value = previous_[index] + (newest_[index] - previous_[index]) * lines.part;
    pixels_[from + index] = static_cast<uint8_t>(std::clamp(std::floor(value + 0.5F), 0.F, 255.F));
  }
}

}  // namespace pocket::picture
