// What each pair of model and engine comes to, and which pairs are known to come to less than
// "equal": tests/equality/expected.txt.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "answers.h"

namespace pocket::equality {

enum class Verdict {
  kEqual,     // every answer is the same, bit for bit, and what is known of it is right
  kRefused,   // the engine does not load the model, in process and through Pocket
  kFails,     // some call fails in the engine, in process and through Pocket
  kDeviates,  // both sides are the same, but the engine does not compute what is known to be right
  kDiffers  // the two sides are different: expected only where the engine answers with memory that
            // it never wrote ("undefined")
};

const char* verdict_name(Verdict verdict);

struct Outcome {
  Verdict verdict = Verdict::kEqual;
  std::string reason;  // the engine's words, or the first difference
};

Outcome judge(const Case& each, const Answers& in_process, const Answers& through_pocket);

/// (engine, model) -> verdict's name, for the pairs that are not "equal".
using Expected = std::map<std::pair<std::string, std::string>, std::string>;

/// Reads lines `engine model verdict`, the verdict "refused", "fails", "deviates" or "undefined";
/// '#' starts a comment. Throws std::exception for others.
Expected read_expected(const std::string& path);

/// True when a verdict is what expected.txt says of the pair; empty: it says nothing. Values that
/// are known to be missed may be right: that can depend on the processor.
bool is_expected(Verdict verdict, const std::string& said);

}  // namespace pocket::equality
