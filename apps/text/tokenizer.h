// BERT's tokenization ("uncased"): a text becomes the ids of word pieces.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace pocket::apps {

struct Tokens {
  std::vector<int32_t> ids;  // with [CLS] before and [SEP] after
  bool truncated = false;    // the text went on
};

/// Constant after construction. What a text says never means a special token: "[SEP]" is a word
/// between brackets.
class Tokenizer {
 public:
  explicit Tokenizer(Vocabulary vocabulary);

  /// At most `most` ids, which is at least 2.
  Tokens encode(std::string_view text, size_t most) const;
  int32_t padding() const { return padding_; }
  size_t vocabulary_size() const { return vocabulary_.size(); }

 private:
  /// Appends a word's pieces: the longest that fits, then the longest that goes on from there; one
  /// [UNK] for a word that cannot be made of pieces.
  void append_pieces(std::string_view word, std::vector<int32_t>& ids) const;

  Vocabulary vocabulary_;
  int32_t padding_, unknown_, start_, end_;
};

}  // namespace pocket::apps
