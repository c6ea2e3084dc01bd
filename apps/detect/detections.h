// From a detector's raw answer to boxes with a class.
#pragma once

#include <span>
#include <vector>

#include "detect/anchors.h"

namespace pocket::apps {

/// Edges as fractions of the input.
struct Box {
  double top, left, bottom, right;
};

struct Detection {
  int label;  // number of the class
  float score;
  Box box;
};

/// The published post-processing but for `least_score`, which is 1e-8 there.
struct Selection {
  double least_score = 0.3;
  double overlap = 0.6;  // boxes of one class that overlap more are one thing
  size_t most_of_a_class = 100;
  size_t most = 100;
};

/// What a detector says about an anchor: shift of the centre (y, x) and growth (height, width),
/// coded with the scales 10, 10, 5, 5.
Box decode_box(const float* code, const Anchor& anchor);

double intersection_over_union(const Box& a, const Box& b);

/// scores: `slots` for each box, the first one the background's, which is left out. For each class
/// non-maximum suppression, then the best of all classes, in falling order of score (of equal ones
/// the lower class, then the lower box first), cut to the picture.
std::vector<Detection> best_detections(std::span<const Box> boxes, std::span<const float> scores,
                                       size_t slots, const Selection& selection);

}  // namespace pocket::apps
