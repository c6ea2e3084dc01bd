#include "text/words.h"

#include <utf8proc.h>

namespace pocket::apps {
namespace {

constexpr int32_t kReplacement = 0xFFFD;
// The longest canonical decomposition of one character has four.
constexpr int kMostParts = 8;

bool is_space(int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f' || c == 0x85) return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

/// What is left out: see words.h. Unassigned characters stay: a later Unicode may assign them.
bool is_dropped(int32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (c == kReplacement) return true;
  switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CS:
      return true;
    default:
      return false;
  }
}

bool is_punctuation(int32_t c) {
  // All of ASCII's, also those that Unicode calls symbols.
  if ((c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) ||
      (c >= 123 && c <= 126)) {
    return true;
  }
  const auto category = utf8proc_category(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

/// The blocks that BERT's authors call Chinese; Hangul and kana are written with spaces or not at
/// all split by them.
bool is_ideograph(int32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/// Collects characters until a word is complete.
class Splitter {
 public:
  Splitter(size_t most, const std::function<bool(const Word&)>& take) : most_(most), take_(take) {}

  bool add(int32_t c) {
    if (is_space(c)) return end_word();
    if (is_punctuation(c)) return end_word() && append(c) && end_word();
    return append(c);
  }
  bool end_word() {
    if (word_.characters == 0) return true;
    const bool more = take_(word_);
    word_ = {};
    return more;
  }

 private:
  bool append(int32_t c) {
    if (word_.characters > most_) return true;
    uint8_t bytes[4];
    const auto count = utf8proc_encode_char(c, bytes);
    word_.text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(count));
    ++word_.characters;
    return true;
  }

  const size_t most_;
  const std::function<bool(const Word&)>& take_;
  Word word_;
};

/// One character of the text, without its accents and lowered.
bool add_plain(Splitter& splitter, int32_t c) {
  utf8proc_int32_t parts[kMostParts];
  int boundary = 0;
  const auto count = utf8proc_decompose_char(c, parts, kMostParts, UTF8PROC_DECOMPOSE, &boundary);
  if (count < 0 || count > kMostParts) return true;  // not a character
  for (utf8proc_ssize_t index = 0; index < count; ++index) {
    if (utf8proc_category(parts[index]) == UTF8PROC_CATEGORY_MN) continue;
    if (!splitter.add(utf8proc_tolower(parts[index]))) return false;
  }
  return true;
}

}  // namespace

void for_each_word(std::string_view text, size_t most_characters,
                   const std::function<bool(const Word&)>& take) {
  Splitter splitter(most_characters, take);
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t at = 0; at < text.size();) {
    utf8proc_int32_t c = -1;
    const auto used =
        utf8proc_iterate(bytes + at, static_cast<utf8proc_ssize_t>(text.size() - at), &c);
    if (used <= 0) {
      ++at;  // not UTF-8
      continue;
    }
    at += static_cast<size_t>(used);
    if (c == 0 || is_dropped(c)) continue;
    if (is_ideograph(c)) {
      if (!splitter.end_word() || !add_plain(splitter, c) || !splitter.end_word()) return;
    } else if (!add_plain(splitter, c)) {
      return;
    }
  }
  splitter.end_word();
}

}  // namespace pocket::apps
