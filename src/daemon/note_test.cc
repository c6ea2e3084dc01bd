#include "daemon/note.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <string>

#include "ipc/region.h"

namespace pocket::daemon {
namespace {

UniqueFd copy_of(const Note& note) { return UniqueFd(::fcntl(note.memory(), F_DUPFD_CLOEXEC, 0)); }
std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

TEST(NoteTest, TheNextOneReadsWhatWasWrittenLast) {
  auto note = Note::create("test");
  ASSERT_TRUE(note.ok()) << note.error().message;
  EXPECT_TRUE(note->read().empty());
  for (const char* text : {"first", "a second one", "", "last"}) {
    EXPECT_TRUE(note->write(bytes(text)));
    auto next = Note::adopt(copy_of(*note));
    ASSERT_TRUE(next.ok()) << next.error().message;
    EXPECT_EQ(next->read(), bytes(text));
  }
}

TEST(NoteTest, WhatIsWrittenInPartDoesNotCount) {
  auto note = Note::create("test");
  ASSERT_TRUE(note.ok());
  ASSERT_TRUE(note->write(bytes("whole")));
  EXPECT_FALSE(note->write(std::vector<uint8_t>(kNoteBytes + 1, 1))) << "longer than there is room";
  EXPECT_EQ(note->read(), bytes("whole"));
  // As if killed after the first bytes of the other half.
  uint64_t current = 0;
  ASSERT_EQ(::pread(note->memory(), &current, 8, 16), 8);
  const auto other = static_cast<off_t>(kNoteOffset + (1 - current % 2) * kNoteBytes);
  ASSERT_EQ(::pwrite(note->memory(), "torn", 4, other), 4);
  EXPECT_EQ(note->read(), bytes("whole"));
}

TEST(NoteTest, LiesWhereTheFormatPageSaysAndSomethingElseIsRefused) {
  static_assert(offsetof(NoteHeader, version) == 8);
  static_assert(offsetof(NoteHeader, current) == 16);
  auto note = Note::create("test");
  ASSERT_TRUE(note.ok());
  char magic[8];
  ASSERT_EQ(::pread(note->memory(), magic, 8, 0), 8);
  EXPECT_EQ(std::string(magic, 8), "PKDDNOTE");
  // A length that cannot be is cut.
  const uint64_t current = UINT64_MAX;
  ASSERT_EQ(::pwrite(note->memory(), &current, 8, 16), 8);
  EXPECT_EQ(note->read().size(), kNoteBytes);
  const char version = 2;
  ASSERT_EQ(::pwrite(note->memory(), &version, 1, 8), 1);
  EXPECT_EQ(Note::adopt(copy_of(*note)).error().code, POCKET_VERSION_MISMATCH);
  auto small = ipc::create_region("small", 4096);
  ASSERT_TRUE(small.ok());
  EXPECT_EQ(Note::adopt(std::move(*small)).error().code, POCKET_DATA_LOSS);
}

}  // namespace
}  // namespace pocket::daemon
