#include "expected.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace pocket::equality {
namespace {

constexpr const char* kExpectable[] = {"refused", "fails", "deviates", "undefined"};

/// What is wrong with a call's answer by what is known of it; empty: nothing.
std::string deviation(const Call& call, const Answer& answer, const std::vector<Port>& ports) {
  for (const auto& wanted : call.wanted) {
    if (wanted.index >= answer.outputs.size()) return "an output is missing";
    if (!wanted.name.empty() && ports[wanted.index].name != wanted.name) {
      return fmt::format("output {} is called '{}', not '{}'", wanted.index,
                         ports[wanted.index].name, wanted.name);
    }
    const OutputTensor& given = answer.outputs[wanted.index];
    auto found = difference(wanted, given.dtype, given.shape, given.bytes);
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kEqual:
      return "equal";
    case Verdict::kRefused:
      return "refused";
    case Verdict::kFails:
      return "fails";
    case Verdict::kDeviates:
      return "deviates";
    case Verdict::kDiffers:
      return "DIFFERS";
  }
  return "?";
}

Outcome judge(const Case& each, const Answers& in_process, const Answers& through_pocket) {
  if (auto found = difference(in_process, through_pocket); !found.empty()) {
    return {Verdict::kDiffers, std::move(found)};
  }
  if (in_process.load.status != POCKET_OK) return {Verdict::kRefused, in_process.load.message};
  Outcome outcome;
  for (size_t index = 0; index < each.calls.size(); ++index) {
    const Answer& answer = in_process.calls[index];
    if (answer.status != POCKET_OK) {
      if (outcome.verdict == Verdict::kEqual) {
        outcome = {Verdict::kFails, fmt::format("call {}: {}", index, answer.message)};
      }
    } else if (auto found = deviation(each.calls[index], answer, in_process.outputs);
               !found.empty()) {
      return {Verdict::kDeviates, fmt::format("call {}: {}", index, found)};
    }
  }
  return outcome;
}

Expected read_expected(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Expected expected;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::istringstream words(line.substr(0, line.find('#')));
    std::string engine, model, verdict, more;
    if (!(words >> engine)) continue;
    const bool whole = words >> model >> verdict && !(words >> more) &&
                       std::count(std::begin(kExpectable), std::end(kExpectable), verdict) == 1;
    if (!whole || !expected.emplace(std::pair{engine, model}, verdict).second) {
      throw std::runtime_error(fmt::format("{}:{}: not 'engine model {}', or told twice", path,
                                           number, fmt::join(kExpectable, "|")));
    }
  }
  return expected;
}

bool is_expected(Verdict verdict, const std::string& said) {
  if (said == "undefined") return verdict != Verdict::kRefused;
  if (said == "deviates" && verdict == Verdict::kEqual) return true;
  return verdict_name(verdict) == (said.empty() ? "equal" : said);
}

}  // namespace pocket::equality
