#include "daemon/note.h"

#include <algorithm>
#include <cstring>

#include "ipc/region.h"

namespace pocket::daemon {
namespace {

constexpr uint64_t kWholeBytes = kNoteOffset + 2 * uint64_t{kNoteBytes};

}  // namespace

Result<Note> Note::map(UniqueFd memory) {
  Note note;
  note.memory_ = std::move(memory);
  POCKET_RETURN_IF_ERROR(ipc::verify_region(note.memory_.get(), kWholeBytes));
  POCKET_ASSIGN_OR_RETURN(note.mapping_,
                          Mapping::map(note.memory_.get(), kWholeBytes, MapAccess::kReadWrite));
  return note;
}

Result<Note> Note::create(const char* name) {
  POCKET_ASSIGN_OR_RETURN(UniqueFd memory, ipc::create_region(name, kWholeBytes));
  POCKET_ASSIGN_OR_RETURN(Note note, map(std::move(memory)));
  note.header().magic = kNoteMagic;
  note.header().version = kNoteVersion;
  note.header().half_bytes = kNoteBytes;
  return note;
}

Result<Note> Note::adopt(UniqueFd memory) {
  POCKET_ASSIGN_OR_RETURN(Note note, map(std::move(memory)));
  const NoteHeader& header = note.header();
  if (header.magic != kNoteMagic || header.version != kNoteVersion ||
      header.half_bytes != kNoteBytes) {
    return Error{POCKET_VERSION_MISMATCH, "the pocketd before this one left it in another form"};
  }
  return note;
}

bool Note::write(std::span<const uint8_t> text) {
  if (text.size() > kNoteBytes) return false;
  const uint64_t other = 1 - header().current.load(std::memory_order_acquire) % 2;
  if (!text.empty()) std::memcpy(half(other), text.data(), text.size());
  header().current.store(2 * text.size() + other, std::memory_order_release);
  return true;
}

std::vector<uint8_t> Note::read() const {
  const uint64_t current = header().current.load(std::memory_order_acquire);
  const uint8_t* text = half(current % 2);
  return {text, text + std::min<uint64_t>(current / 2, kNoteBytes)};
}

}  // namespace pocket::daemon
