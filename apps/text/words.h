// The first half of BERT's tokenization: a text becomes normalized words.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace pocket::apps {

/// One word, normalized, and how many characters (code points) it has.
struct Word {
  std::string text;
  size_t characters = 0;
};

/// Calls `take` with each word of a text, in order, until it returns false. As the "uncased" models
/// want it: control characters and bytes that are not UTF-8 are dropped, accents taken off
/// (canonical decomposition, non-spacing marks left out), letters lowered one by one; words end at
/// white space, each punctuation mark and each CJK ideograph is a word of its own. A word is cut
/// after `most_characters` + 1 characters, so that what it is made of is bounded.
void for_each_word(std::string_view text, size_t most_characters,
                   const std::function<bool(const Word&)>& take);

}  // namespace pocket::apps
