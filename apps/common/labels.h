// The best classes of a classifier's scores.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "common/inference.h"

namespace pocket::apps {

/// [{"label", "index", "score"}], the best `count` first; of equal scores the lower index first.
nlohmann::json best_labels(const Inference& inference, int count);
std::string describe_labels(const nlohmann::json& labels);

}  // namespace pocket::apps
