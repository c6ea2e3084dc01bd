#include "model/pipeline_order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "base/nearest.h"

namespace pocket::model {
namespace {

Error at_line(const std::string& path, uint32_t line, const std::string& text) {
  return Error{POCKET_INVALID_ARGUMENT, fmt::format("{} line {}: {}", path, line, text)};
}

/// Who makes each tensor.
Result<std::map<std::string, std::string>> find_makers(const PipelineFile& file,
                                                       const std::string& path) {
  std::map<std::string, std::string> makers;
  for (const auto& input : file.inputs) {
    if (!makers.emplace(input.name, "the pipeline's input").second) {
      return Error{POCKET_INVALID_ARGUMENT,
                   fmt::format("{}: two inputs are called '{}'", path, input.name)};
    }
  }
  for (const auto& step : file.steps) {
    for (const auto& output : step.outputs) {
      const auto [found, fresh] = makers.emplace(output.tensor, "step '" + step.label + "'");
      if (fresh) continue;
      return at_line(path, step.line,
                     fmt::format("step '{}' makes '{}', which is also made by {}", step.label,
                                 output.tensor, found->second));
    }
  }
  return makers;
}

std::string did_you_mean(const std::string& name,
                         const std::map<std::string, std::string>& makers) {
  std::vector<std::string_view> known;
  for (const auto& [tensor, maker] : makers) known.push_back(tensor);
  const std::string nearest = nearest_word(name, known);
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

}  // namespace

Result<void> put_in_order(PipelineFile& file, const std::string& path) {
  POCKET_ASSIGN_OR_RETURN(const auto makers, find_makers(file, path));
  for (const auto& step : file.steps) {
    for (const auto& input : step.inputs) {
      if (makers.count(input.tensor) > 0) continue;
      return at_line(path, step.line,
                     fmt::format("step '{}' takes '{}', which no step and no input "
                                 "makes{}",
                                 step.label, input.tensor, did_you_mean(input.tensor, makers)));
    }
  }
  for (const auto& output : file.outputs) {
    if (makers.count(output) > 0) continue;
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("{}: no step and no input makes the output '{}'{}", path, output,
                             did_you_mean(output, makers))};
  }
  std::set<std::string> made;
  for (const auto& input : file.inputs) made.insert(input.name);
  std::vector<PipelineStep> ordered;
  while (!file.steps.empty()) {
    const auto next = std::find_if(file.steps.begin(), file.steps.end(), [&](const auto& step) {
      return std::all_of(step.inputs.begin(), step.inputs.end(),
                         [&](const auto& input) { return made.count(input.tensor) > 0; });
    });
    if (next == file.steps.end()) {
      std::vector<std::string> waiting;
      for (const auto& step : file.steps) waiting.push_back("'" + step.label + "'");
      return at_line(
          path, file.steps.front().line,
          fmt::format("steps wait for each other in a circle: {}", fmt::join(waiting, ", ")));
    }
    for (const auto& output : next->outputs) made.insert(output.tensor);
    ordered.push_back(std::move(*next));
    file.steps.erase(next);
  }
  file.steps = std::move(ordered);
  return ok_result();
}

}  // namespace pocket::model
