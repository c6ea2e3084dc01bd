#include "text/lines.h"

#include <algorithm>
#include <stdexcept>

#include "pocket/dtype.h"

namespace pocket::apps {
namespace {

constexpr std::string_view kBlank = " \t\r\v\f";

enum class Meaning { kIds, kMask, kTypes };

Meaning meaning_of(const std::string& name) {
  if (name == "input_word_ids" || name == "input_ids") return Meaning::kIds;
  if (name == "input_mask" || name == "attention_mask") return Meaning::kMask;
  if (name == "input_type_ids" || name == "token_type_ids") return Meaning::kTypes;
  throw std::runtime_error("the model's input '" + name + "' is none of a BERT encoder's");
}

template <typename T>
void fill(T* target, Meaning meaning, std::span<const Tokens> rows, size_t length,
          int32_t padding) {
  for (const Tokens& row : rows) {
    for (size_t at = 0; at < length; ++at) {
      const bool inside = at < row.ids.size();
      *target++ = static_cast<T>(meaning == Meaning::kTypes  ? 0
                                 : meaning == Meaning::kMask ? (inside ? 1 : 0)
                                 : inside                    ? row.ids[at]
                                                             : padding);
    }
  }
}

}  // namespace

std::vector<Line> split_lines(std::string_view text) {
  std::vector<Line> lines;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(kBlank) == std::string_view::npos) continue;
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back({number, std::string(line)});
  }
  return lines;
}

void write_tokens(Inference& inference, std::span<const Tokens> rows, int32_t padding) {
  size_t length = 0;
  for (const Tokens& row : rows) length = std::max(length, row.ids.size());
  const std::vector<int64_t> shape = {static_cast<int64_t>(rows.size()),
                                      static_cast<int64_t>(length)};
  for (uint32_t index = 0; index < inference.input_count(); ++index) {
    const Meaning meaning = meaning_of(inference.input_name(index));
    void* target = inference.resize_input(index, shape);
    if (inference.input_dtype(index) == POCKET_INT32) {
      fill(static_cast<int32_t*>(target), meaning, rows, length, padding);
    } else if (inference.input_dtype(index) == POCKET_INT64) {
      fill(static_cast<int64_t*>(target), meaning, rows, length, padding);
    } else {
      throw std::runtime_error("the model's tokens are " +
                               std::string(pocket_dtype_name(inference.input_dtype(index))) +
                               ", which is neither int32 nor int64");
    }
  }
}

}  // namespace pocket::apps
