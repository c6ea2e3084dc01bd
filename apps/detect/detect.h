// The detectors: one program each, the same but for the model and its anchors.
#pragma once

#include <vector>

#include "detect/anchors.h"

namespace pocket::apps {

struct Detector {
  const char* name;
  const char* text;  // for --help
  const char* model;
  const char* picture;
  std::vector<Anchor> (*anchors)(int side);
};

/// main() of a detector. The model answers with boxes ([1, N, 4]) and scores ([1, N, classes]) for
/// all anchors or, with a third answer that has their numbers ([1, N]), for some.
int run_detector(const Detector& detector, int argc, char** argv);

}  // namespace pocket::apps
