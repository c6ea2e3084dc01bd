#include "facedetect/blazeface.h"

#include <algorithm>
#include <cmath>

namespace pocket::apps {
namespace {

constexpr int kInput = 128;
constexpr int kValues = 16;
constexpr double kMostLogit = 100;

/// Two anchors for each cell of the 16 x 16 grid, six for each of the 8 x 8 grid: 896.
std::vector<Point> make_anchors() {
  std::vector<Point> anchors;
  const auto add = [&](int cells, int each) {
    for (int y = 0; y < cells; ++y) {
      for (int x = 0; x < cells; ++x) {
        anchors.insert(anchors.end(), each, {(x + 0.5) / cells, (y + 0.5) / cells});
      }
    }
  };
  add(16, 2);
  add(8, 6);
  return anchors;
}

double sigmoid(double logit) {
  return 1 / (1 + std::exp(-std::clamp(logit, -kMostLogit, kMostLogit)));
}

Face decode(const float* values, Point anchor, double score) {
  Face face{};
  face.score = score;
  face.width = values[2] / kInput;
  face.height = values[3] / kInput;
  face.x = values[0] / kInput + anchor.x - face.width / 2;
  face.y = values[1] / kInput + anchor.y - face.height / 2;
  for (size_t point = 0; point < face.keypoints.size(); ++point) {
    face.keypoints[point] = {values[4 + 2 * point] / kInput + anchor.x,
                             values[5 + 2 * point] / kInput + anchor.y};
  }
  return face;
}

Face average(std::span<const Face> faces) {
  Face sum{};
  double weight = 0;
  for (const Face& face : faces) {
    weight += face.score;
    sum.x += face.x * face.score;
    sum.y += face.y * face.score;
    sum.width += face.width * face.score;
    sum.height += face.height * face.score;
    for (size_t point = 0; point < sum.keypoints.size(); ++point) {
      sum.keypoints[point].x += face.keypoints[point].x * face.score;
      sum.keypoints[point].y += face.keypoints[point].y * face.score;
    }
  }
  sum.score = faces.front().score;
  sum.x /= weight;
  sum.y /= weight;
  sum.width /= weight;
  sum.height /= weight;
  for (Point& point : sum.keypoints) point = {point.x / weight, point.y / weight};
  return sum;
}

}  // namespace

double intersection_over_union(const Face& a, const Face& b) {
  const double width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return 0;
  const double both = width * height;
  return both / (a.width * a.height + b.width * b.height - both);
}

std::vector<Face> decode_faces(std::span<const float> boxes, std::span<const float> scores,
                               double least_score) {
  static const std::vector<Point> anchors = make_anchors();
  std::vector<Face> faces;
  if (scores.size() != anchors.size() || boxes.size() != anchors.size() * kValues) return faces;
  for (size_t index = 0; index < anchors.size(); ++index) {
    const double score = sigmoid(scores[index]);
    if (score < least_score) continue;
    const Face face = decode(&boxes[index * kValues], anchors[index], score);
    if (face.width > 0 && face.height > 0) faces.push_back(face);
  }
  std::stable_sort(faces.begin(), faces.end(),
                   [](const Face& a, const Face& b) { return a.score > b.score; });
  return faces;
}

std::vector<Face> suppress_overlapping(std::vector<Face> faces, double overlap) {
  std::vector<Face> kept;
  while (!faces.empty()) {
    const Face best = faces.front();
    const auto others = std::stable_partition(faces.begin(), faces.end(), [&](const Face& face) {
      return &face == &faces.front() || intersection_over_union(best, face) > overlap;
    });
    kept.push_back(average({faces.begin(), others}));
    faces.erase(faces.begin(), others);
  }
  return kept;
}

}  // namespace pocket::apps
