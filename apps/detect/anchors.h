// The boxes that the detectors' answers are relative to, numbered as the models number them: level
// by level, cell by cell in rows, then the shapes of one cell.
#pragma once

#include <vector>

namespace pocket::apps {

/// Centre and size as fractions of the input.
struct Anchor {
  double y, x, height, width;
};

/// TensorFlow's ssd_anchor_generator as SSD MobileNetV2's published configuration sets it: six
/// levels from a sixteenth of the input on, each half of the one before, scales 0.2 to 0.95, aspect
/// ratios 1, 2, 1/2, 3, 1/3 and one more square; the first level has three shapes. 1,917 for 300.
std::vector<Anchor> ssd_anchors(int side);

/// TensorFlow's multiscale_anchor_generator as the published RetinaNet sets it: levels 3 to 7, side
/// 4 cells, aspect ratios 1, 2, 1/2, two scales in each octave. 51,150 for 640.
std::vector<Anchor> retinanet_anchors(int side);

}  // namespace pocket::apps
