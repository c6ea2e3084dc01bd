#include "text/tokenizer.h"

#include <algorithm>
#include <string>

#include "text/words.h"

namespace pocket::apps {
namespace {

constexpr size_t kMostCharacters = 100;  // of a word; longer ones are unknown

bool is_boundary(std::string_view text, size_t at) {
  return at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U;
}

}  // namespace

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      padding_(*vocabulary_.find("[PAD]")),
      unknown_(*vocabulary_.find("[UNK]")),
      start_(*vocabulary_.find("[CLS]")),
      end_(*vocabulary_.find("[SEP]")) {}

void Tokenizer::append_pieces(std::string_view word, std::vector<int32_t>& ids) const {
  const size_t before = ids.size();
  std::string piece;
  for (size_t start = 0; start < word.size();) {
    size_t end = word.size();
    for (; end > start; --end) {
      if (!is_boundary(word, end)) continue;
      piece.assign(start == 0 ? "" : "##").append(word.substr(start, end - start));
      if (const auto id = vocabulary_.find(piece)) {
        ids.push_back(*id);
        break;
      }
    }
    if (end == start) {
      ids.resize(before);
      ids.push_back(unknown_);
      return;
    }
    start = end;
  }
}

Tokens Tokenizer::encode(std::string_view text, size_t most) const {
  Tokens tokens;
  const size_t room = std::max<size_t>(most, 2) - 2;
  tokens.ids.push_back(start_);
  for_each_word(text, kMostCharacters, [&](const Word& word) {
    if (word.characters > kMostCharacters) {
      tokens.ids.push_back(unknown_);
    } else {
      append_pieces(word.text, tokens.ids);
    }
    tokens.truncated = tokens.ids.size() - 1 > room;
    return !tokens.truncated;
  });
  if (tokens.truncated) tokens.ids.resize(room + 1);
  tokens.ids.push_back(end_);
  return tokens;
}

}  // namespace pocket::apps
