// Text drawn with stb's built-in font of rectangles.
#include <algorithm>
#include <cstring>

#include "picture/picture.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wshadow"
#include <stb/stb_easy_font.h>
#pragma GCC diagnostic pop

namespace pocket::picture {
namespace {

/// A corner as stb_easy_font writes it; four in a row are an upright rectangle.
struct Corner {
  float x, y, z;
  uint8_t color[4];
};

constexpr size_t kCornersOfALetter = 4 * 12;  // more than the font's most complicated one

}  // namespace

void draw_text(Picture& picture, int x, int y, int size, const std::string& text, Color color) {
  std::string copy = text;  // stb's functions take a pointer that is not const
  std::vector<Corner> corners((text.size() + 1) * kCornersOfALetter);
  const int rectangles = stb_easy_font_print(0, 0, copy.data(), nullptr, corners.data(),
                                             static_cast<int>(corners.size() * sizeof(Corner)));
  const Color dark{20, 20, 20};
  draw_rectangle(picture, x - size, y - size, stb_easy_font_width(copy.data()) * size + 2 * size,
                 10 * size, 10 * size, dark);
  for (int index = 0; index < rectangles; ++index) {
    const Corner& from = corners[index * 4];
    const Corner& to = corners[index * 4 + 2];
    const int width = static_cast<int>(to.x - from.x) * size;
    const int height = static_cast<int>(to.y - from.y) * size;
    draw_rectangle(picture, x + static_cast<int>(from.x) * size,
                   y + static_cast<int>(from.y) * size, width, height, std::max(width, height),
                   color);
  }
}

}  // namespace pocket::picture
