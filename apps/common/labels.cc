#include "common/labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <sstream>

namespace pocket::apps {

nlohmann::json best_labels(const Inference& inference, int count) {
  const std::span<const float> scores = inference.output(0).values;
  std::vector<std::string> names;
  std::istringstream labels(inference.metadata("labels").value_or(""));
  for (std::string line; std::getline(labels, line);) names.push_back(line);
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto last = order.begin() + std::min<std::ptrdiff_t>(count, std::ssize(order));
  std::partial_sort(order.begin(), last, order.end(), [&](size_t a, size_t b) {
    return scores[a] != scores[b] ? scores[a] > scores[b] : a < b;
  });
  nlohmann::json best = nlohmann::json::array();
  for (auto index = order.begin(); index != last; ++index) {
    best.push_back({{"label", *index < names.size() ? names[*index] : std::to_string(*index)},
                    {"index", *index},
                    {"score", scores[*index]}});
  }
  return best;
}

std::string describe_labels(const nlohmann::json& labels) {
  std::string text;
  for (const auto& label : labels) {
    text += fmt::format("{:6.3f}  {}\n", label["score"].get<float>(),
                        label["label"].get<std::string>());
  }
  return text;
}

}  // namespace pocket::apps
