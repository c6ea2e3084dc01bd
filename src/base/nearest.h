// "Did you mean": the known word that is closest to one that is not known.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pocket {

/// The word of `known` with the smallest edit distance to `word`; empty when none is close.
std::string nearest_word(std::string_view word, std::span<const std::string_view> known);

}  // namespace pocket
