#include "detect/anchors.h"

#include <cmath>

namespace pocket::apps {
namespace {

struct Shape {
  double height, width;
};

/// Of this scale (a fraction of the input's side), `ratio` times as wide as high.
Shape shape(double scale, double ratio) {
  return {scale / std::sqrt(ratio), scale * std::sqrt(ratio)};
}

void add_level(std::vector<Anchor>& anchors, int cells, const std::vector<Shape>& shapes) {
  for (int y = 0; y < cells; ++y) {
    for (int x = 0; x < cells; ++x) {
      for (const Shape& each : shapes) {
        anchors.push_back({(y + 0.5) / cells, (x + 0.5) / cells, each.height, each.width});
      }
    }
  }
}

int half(int cells) { return (cells + 1) / 2; }

}  // namespace

std::vector<Anchor> ssd_anchors(int side) {
  constexpr int kLevels = 6;
  constexpr double kLeast = 0.2, kMost = 0.95, kThird = 0.3333;
  const auto scale = [](int level) {
    return level == kLevels ? 1.0 : kLeast + (kMost - kLeast) * level / (kLevels - 1);
  };
  std::vector<Anchor> anchors;
  int cells = (side + 15) / 16;
  for (int level = 0; level < kLevels; ++level, cells = half(cells)) {
    const double own = scale(level);
    std::vector<Shape> shapes;
    if (level == 0) {
      shapes = {shape(0.1, 1), shape(own, 2), shape(own, 0.5)};
    } else {
      for (const double ratio : {1.0, 2.0, 0.5, 3.0, kThird}) shapes.push_back(shape(own, ratio));
      shapes.push_back(shape(std::sqrt(own * scale(level + 1)), 1));
    }
    add_level(anchors, cells, shapes);
  }
  return anchors;
}

std::vector<Anchor> retinanet_anchors(int side) {
  constexpr int kFirst = 3, kLast = 7;
  constexpr double kCells = 4;
  std::vector<Anchor> anchors;
  int cells = (side + 7) / 8;
  for (int level = kFirst; level <= kLast; ++level, cells = half(cells)) {
    const double base = kCells * (1 << level) / side;
    std::vector<Shape> shapes;
    for (const double ratio : {1.0, 2.0, 0.5}) {
      for (const double octave : {1.0, std::sqrt(2.0)}) {
        shapes.push_back(shape(base * octave, ratio));
      }
    }
    add_level(anchors, cells, shapes);
  }
  return anchors;
}

}  // namespace pocket::apps
