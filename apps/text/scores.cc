#include "text/scores.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace pocket::apps {

Result<std::vector<Pole>> parse_poles(std::string_view text) {
  std::vector<Pole> poles;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const size_t colon = line.find(": ");
    if (colon == 0 || colon == std::string_view::npos) {
      return Error{POCKET_INVALID_ARGUMENT,
                   "poles: '" + std::string(line) + "' is not 'label: description'"};
    }
    const std::string label(line.substr(0, colon));
    auto pole = std::find_if(poles.begin(), poles.end(),
                             [&](const Pole& known) { return known.label == label; });
    if (pole == poles.end()) pole = poles.insert(poles.end(), Pole{label, {}});
    pole->descriptions.emplace_back(line.substr(colon + 2));
  }
  if (poles.size() < 2) {
    return Error{POCKET_INVALID_ARGUMENT, "poles: fewer than two are described"};
  }
  return poles;
}

Score score_embedding(const std::vector<Pole>& poles, std::span<const float> descriptions,
                      std::span<const float> line) {
  Score result;
  for (const Pole& pole : poles) {
    double most = -std::numeric_limits<double>::infinity();
    for (size_t index = 0; index < pole.descriptions.size(); ++index) {
      most =
          std::max(most, std::inner_product(line.begin(), line.end(), descriptions.begin(), 0.0));
      descriptions = descriptions.subspan(line.size());
    }
    result.likeness.push_back(most);
  }
  const auto best = std::max_element(result.likeness.begin(), result.likeness.end());
  result.sentiment = poles.at(static_cast<size_t>(best - result.likeness.begin())).label;
  result.score = result.likeness.at(0) - result.likeness.at(1);
  return result;
}

Score score_probability(float probability) {
  return {probability, probability >= 0.5F ? "positive" : "negative", {}};
}

}  // namespace pocket::apps
