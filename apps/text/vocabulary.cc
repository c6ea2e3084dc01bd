#include "text/vocabulary.h"

#include <bit>
#include <functional>

#include "text/text_file.h"

namespace pocket::apps {
namespace {

constexpr uint32_t kFree = UINT32_MAX;
constexpr size_t kMostBytes = size_t{16} << 20;

}  // namespace

Result<Vocabulary> Vocabulary::read(const std::string& path) {
  auto text = read_text(path, kMostBytes);
  if (!text.ok()) return text.error();
  return from_text(std::move(*text), path);
}

Result<Vocabulary> Vocabulary::from_text(std::string text, const std::string& name) {
  Vocabulary result;
  result.text_ = std::move(text);
  for (size_t start = 0; start < result.text_.size();) {
    result.starts_.push_back(static_cast<uint32_t>(start));
    const size_t end = result.text_.find('\n', start);
    start = end == std::string::npos ? result.text_.size() : end + 1;
  }
  result.slots_.assign(std::bit_ceil(result.starts_.size() * 2 + 2), kFree);
  for (uint32_t id = 0; id < result.starts_.size(); ++id) {
    uint32_t& slot = result.slots_[result.slot_of(result.piece(id))];
    if (slot == kFree) slot = id;
  }
  for (const char* piece : {"[PAD]", "[UNK]", "[CLS]", "[SEP]"}) {
    if (!result.find(piece)) {
      return Error{POCKET_INVALID_ARGUMENT,
                   "'" + name + "' is no BERT vocabulary: it has no " + piece};
    }
  }
  return result;
}

std::string_view Vocabulary::piece(uint32_t id) const {
  const std::string_view rest = std::string_view(text_).substr(starts_[id]);
  std::string_view line = rest.substr(0, rest.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

size_t Vocabulary::slot_of(std::string_view wanted) const {
  const size_t mask = slots_.size() - 1;  // at least half of the slots are free: the loop ends
  size_t slot = std::hash<std::string_view>()(wanted) & mask;
  while (slots_[slot] != kFree && piece(slots_[slot]) != wanted) slot = (slot + 1) & mask;
  return slot;
}

std::optional<int32_t> Vocabulary::find(std::string_view wanted) const {
  const uint32_t id = slots_[slot_of(wanted)];
  return id == kFree ? std::nullopt : std::optional(static_cast<int32_t>(id));
}

}  // namespace pocket::apps
