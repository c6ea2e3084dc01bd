// A text that the next pocketd finds, replaced whole each time it changes. docs/format-state.md.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "base/mapping.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace pocket::daemon {

constexpr uint64_t kNoteMagic = 0x45544f4e44444b50;  // "PKDDNOTE", little-endian
constexpr uint32_t kNoteVersion = 1;
constexpr uint32_t kNoteBytes = 1 << 20;  // of each half
constexpr uint64_t kNoteOffset = 4096;

struct NoteHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t half_bytes;
  std::atomic<uint64_t> current;  // 2 x length + half; stored last. 0: nothing is written
};
static_assert(sizeof(NoteHeader) == 24);

/// Memory with two halves: a pocketd that is killed while it writes one leaves the other. Pages
/// that were never written do not exist. Loop's thread only.
class Note {
 public:
  static Result<Note> create(const char* name);
  /// That of an earlier pocketd. VERSION_MISMATCH, DATA_LOSS.
  static Result<Note> adopt(UniqueFd memory);

  int memory() const { return memory_.get(); }
  /// False: it is too long, and what was there stays.
  bool write(std::span<const uint8_t> text);
  std::vector<uint8_t> read() const;

 private:
  Note() = default;
  static Result<Note> map(UniqueFd memory);
  NoteHeader& header() const { return *reinterpret_cast<NoteHeader*>(mapping_.data()); }
  uint8_t* half(uint64_t number) const {
    return reinterpret_cast<uint8_t*>(mapping_.data()) + kNoteOffset + number * kNoteBytes;
  }

  UniqueFd memory_;
  Mapping mapping_;
};

}  // namespace pocket::daemon
