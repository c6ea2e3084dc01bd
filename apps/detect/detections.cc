#include "detect/detections.h"

#include <algorithm>
#include <cmath>

namespace pocket::apps {
namespace {

constexpr double kCentreScale = 10, kSizeScale = 5;

double area(const Box& box) {
  return std::max(box.bottom - box.top, 0.0) * std::max(box.right - box.left, 0.0);
}

/// The boxes of one class that stay, best first.
std::vector<size_t> suppress(std::span<const Box> boxes, std::vector<size_t> order,
                             const Selection& selection) {
  std::vector<size_t> kept;
  for (const size_t candidate : order) {
    if (kept.size() == selection.most_of_a_class) break;
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](size_t better) {
      return intersection_over_union(boxes[better], boxes[candidate]) > selection.overlap;
    });
    if (!hidden) kept.push_back(candidate);
  }
  return kept;
}

Box cut(const Box& box) {
  return {std::clamp(box.top, 0.0, 1.0), std::clamp(box.left, 0.0, 1.0),
          std::clamp(box.bottom, 0.0, 1.0), std::clamp(box.right, 0.0, 1.0)};
}

}  // namespace

Box decode_box(const float* code, const Anchor& anchor) {
  const double y = code[0] / kCentreScale * anchor.height + anchor.y;
  const double x = code[1] / kCentreScale * anchor.width + anchor.x;
  const double height = std::exp(code[2] / kSizeScale) * anchor.height;
  const double width = std::exp(code[3] / kSizeScale) * anchor.width;
  return {y - height / 2, x - width / 2, y + height / 2, x + width / 2};
}

double intersection_over_union(const Box& a, const Box& b) {
  const double both = area({std::max(a.top, b.top), std::max(a.left, b.left),
                            std::min(a.bottom, b.bottom), std::min(a.right, b.right)});
  const double all = area(a) + area(b) - both;
  return all > 0 ? both / all : 0;
}

std::vector<Detection> best_detections(std::span<const Box> boxes, std::span<const float> scores,
                                       size_t slots, const Selection& selection) {
  std::vector<Detection> detections;
  for (size_t label = 1; label < slots; ++label) {
    const auto score = [&](size_t box) { return scores[box * slots + label]; };
    std::vector<size_t> order;
    for (size_t box = 0; box < boxes.size(); ++box) {
      if (score(box) >= selection.least_score) order.push_back(box);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return score(a) > score(b); });
    for (const size_t box : suppress(boxes, std::move(order), selection)) {
      const Detection found{static_cast<int>(label), score(box), cut(boxes[box])};
      if (area(found.box) > 0) detections.push_back(found);
    }
  }
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (detections.size() > selection.most) detections.resize(selection.most);
  return detections;
}

}  // namespace pocket::apps
