// From a model's rows of numbers to the score of each line.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pocket::apps {

/// A sentiment, described in a few sentences.
struct Pole {
  std::string label;
  std::vector<std::string> descriptions;
};

/// From lines "label: description"; lines with the same label are one pole, in the order of their
/// first. INVALID_ARGUMENT for another form, or fewer than two poles.
Result<std::vector<Pole>> parse_poles(std::string_view text);

struct Score {
  double score = 0;
  std::string sentiment;
  std::vector<double> likeness;  // to each pole; empty for a classifier
};

/// The likeness of a line (a vector of length one) to each pole: the greatest scalar product with
/// one of its descriptions. Its sentiment is the pole it is most like, its score the likeness to
/// the first pole less that to the second. `descriptions`: the vectors of all poles' descriptions
/// in their order, perhaps with others behind.
Score score_embedding(const std::vector<Pole>& poles, std::span<const float> descriptions,
                      std::span<const float> line);

/// The score of a classifier, between 0 (negative) and 1 (positive).
Score score_probability(float probability);

}  // namespace pocket::apps
