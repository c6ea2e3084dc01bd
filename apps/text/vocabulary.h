// The word pieces of a BERT vocabulary file: one a line, the line's number is the piece's id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pocket::apps {

/// Constant after construction.
class Vocabulary {
 public:
  /// INVALID_ARGUMENT for a file without the pieces every BERT vocabulary has, or with more than
  /// 16 MiB; NOT_FOUND where it cannot be read.
  static Result<Vocabulary> read(const std::string& path);
  static Result<Vocabulary> from_text(std::string text, const std::string& name);

  std::optional<int32_t> find(std::string_view piece) const;
  size_t size() const { return starts_.size(); }

 private:
  std::string_view piece(uint32_t id) const;
  size_t slot_of(std::string_view piece) const;

  std::string text_;
  std::vector<uint32_t> starts_;  // of each piece in text_
  // An open hash table of ids: a twentieth of the memory of std::unordered_map, which a thin client
  // would feel.
  std::vector<uint32_t> slots_;
};

}  // namespace pocket::apps
