// Decoding of BlazeFace's raw outputs (arXiv:1907.05047; the short-range model of MediaPipe).
#pragma once

#include <array>
#include <span>
#include <vector>

namespace pocket::apps {

struct Point {
  double x, y;
};

/// Coordinates are fractions of the input: 0 is the left or upper edge, 1 the other one.
struct Face {
  double score;
  double x, y, width, height;      // of the upper left corner
  std::array<Point, 6> keypoints;  // right eye, left eye, nose, mouth, right ear, left ear
};

/// boxes: 896 x 16 (centre, size, six points, in pixels of 128 from the anchor), scores: 896
/// logits. Faces of at least `least_score`, in falling order of score; empty when the sizes are
/// others.
std::vector<Face> decode_faces(std::span<const float> boxes, std::span<const float> scores,
                               double least_score);

/// Weighted non-maximum suppression: overlapping faces (intersection over union above `overlap`)
/// become their average, weighted by score, with the best one's score.
std::vector<Face> suppress_overlapping(std::vector<Face> faces, double overlap);

double intersection_over_union(const Face& a, const Face& b);

}  // namespace pocket::apps
