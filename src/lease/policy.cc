#include "lease/policy.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/nearest.h"

namespace pocket::lease {

const char* const kPolicyGrammar =
    "func|conn , ratio,R | minimum | none; adaptive[,ratio,R]; idle[,ratio,R]; none"
    " (R: a decimal, 0 <= R < 1, e.g. func,ratio,0.5)";

namespace {

constexpr size_t kLongestText = 128;
constexpr size_t kDecimals = 9;  // of kWholeRatio
constexpr std::array<std::string_view, 5> kFirstWords = {"func", "conn", "adaptive", "idle",
                                                         "none"};
constexpr std::array<std::string_view, 3> kAmountWords = {"ratio", "minimum", "none"};
constexpr std::array<std::string_view, 1> kRatioWord = {"ratio"};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// For a message: quoted, without control characters, not endless.
std::string quoted(std::string_view text) {
  constexpr size_t kShown = 40;
  std::string shown = "'";
  for (const char c : text.substr(0, kShown)) shown += c >= ' ' && c < 127 ? c : '?';
  return shown + (text.size() > kShown ? "...'" : "'");
}

Error refused(const std::string& why) {
  return Error{POCKET_INVALID_ARGUMENT, "policy: " + why + "; expected " + kPolicyGrammar};
}

Error unknown_word(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty()) return refused("a word is missing");
  const std::string nearest = nearest_word(word, known);
  return refused(quoted(word) + " is not known" +
                 (nearest.empty() ? std::string() : ", did you mean '" + nearest + "'?"));
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// digits [ '.' digits ], or '.' digits, into billionths.
Result<int64_t> parse_ratio(std::string_view text) {
  if (text.empty()) return refused("the ratio is missing");
  const auto wrong = [&](const char* why) { return refused("ratio " + quoted(text) + " " + why); };
  if (text.front() == '-') return wrong("is negative");
  const size_t point = std::min(text.find('.'), text.size());
  const std::string_view whole = text.substr(0, point);
  const std::string_view fraction = text.substr(std::min(point + 1, text.size()));
  if (!std::all_of(whole.begin(), whole.end(), is_digit) ||
      !std::all_of(fraction.begin(), fraction.end(), is_digit) ||
      (point < text.size() ? fraction : whole).empty()) {
    return wrong("is not a plain decimal");
  }
  if (whole.find_first_not_of('0') != std::string_view::npos) {
    return wrong("is not below 1: a lender keeps something for itself");
  }
  if (fraction.size() > kDecimals) return wrong("has more than 9 decimals");
  int64_t billionths = 0;
  for (size_t i = 0; i < kDecimals; ++i) {
    billionths = billionths * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  }
  return billionths;
}

/// The words between commas, at most three, trimmed.
struct Words {
  std::array<std::string_view, 3> word;
  size_t count = 0;
  bool too_many = false;
};

Words split(std::string_view text) {
  Words words;
  for (;;) {
    const size_t comma = text.find(',');
    if (words.count == words.word.size()) {
      words.too_many = true;
      return words;
    }
    words.word[words.count++] = trimmed(text.substr(0, comma));
    if (comma == std::string_view::npos) return words;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Result<Policy> parse_policy(std::string_view text) {
  if (text.size() > kLongestText) return refused(quoted(text) + " is too long");
  if (trimmed(text).empty()) return refused("it is empty");
  const Words words = split(text);
  const std::string_view first = words.word[0];
  const std::string_view amount = words.word[1];
  const auto found = std::find(kFirstWords.begin(), kFirstWords.end(), first);
  if (found == kFirstWords.end()) return unknown_word(first, kFirstWords);
  if (first == "none") {
    if (words.count > 1) return refused("nothing may follow 'none'");
    return Policy{Granularity::kFunc, Amount::kNone, 0};
  }
  Policy policy;
  policy.granularity = static_cast<Granularity>(found - kFirstWords.begin());
  const bool own = first == "adaptive" || first == "idle";
  if (words.count == 1) {
    if (own) return policy;
    return refused("the amount after " + quoted(first) + " is missing");
  }
  if (own && amount != "ratio") return unknown_word(amount, kRatioWord);
  if (amount == "ratio") {
    // "0,5" arrives as a fourth word.
    if (words.too_many)
      return refused("more follows the ratio (decimals are written with a point)");
    if (words.count < 3) return refused("the ratio is missing");
    POCKET_ASSIGN_OR_RETURN(policy.ratio, parse_ratio(words.word[2]));
    return policy;
  }
  if (amount != "minimum" && amount != "none") return unknown_word(amount, kAmountWords);
  if (words.count > 2) return refused("nothing may follow " + quoted(amount));
  policy.amount = amount == "minimum" ? Amount::kMinimum : Amount::kNone;
  policy.ratio = 0;
  return policy;
}

std::string to_string(const Policy& policy) {
  std::string text(kFirstWords[static_cast<size_t>(policy.granularity)]);
  text += ',';
  text += kAmountWords[static_cast<size_t>(policy.amount)];
  if (policy.amount != Amount::kRatio) return text;
  std::string decimals = std::to_string(policy.ratio);
  decimals.insert(0, kDecimals - std::min(kDecimals, decimals.size()), '0');
  decimals.erase(decimals.find_last_not_of('0') + 1);
  return text + (decimals.empty() ? ",0" : ",0." + decimals);
}

const char* resource_name(Resource resource) {
  return resource == Resource::kCpu ? "cpu" : "memory";
}

Wanted wanted(const Policy& policy, Resource resource, const Limit& effective) {
  if (policy.amount == Amount::kNone) return {};
  if (effective.amount < 0) return {0, "unlimited"};
  const bool cpu = resource == Resource::kCpu;
  int64_t amount = 0;
  if (policy.amount == Amount::kRatio) {
    amount =
        static_cast<int64_t>(static_cast<__int128>(effective.amount) * policy.ratio / kWholeRatio);
  } else {
    amount = cpu ? effective.period_us * 9 / 10 : effective.amount - kMinimumMemory;
  }
  if (cpu) {
    amount = std::min(amount, effective.amount - kSmallestQuota);
  } else {
    amount -= amount % kPageBytes;
  }
  if (amount > 0) return {amount, ""};
  const bool asked = policy.amount == Amount::kMinimum || policy.ratio > 0;
  return {0, asked ? "the limit is too small to lend from" : ""};
}

}  // namespace pocket::lease
