#include "ipc/region.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "base/clock.h"
#include "base/mapping.h"

namespace pocket::ipc {
namespace {

TEST(Region, HasWholePagesAndFixedSize) {
  auto region = create_region("test", 5000);
  ASSERT_TRUE(region.ok()) << region.error().message;
  struct stat status {};
  ASSERT_EQ(::fstat(region->get(), &status), 0);
  EXPECT_EQ(status.st_size, 8192);
  EXPECT_NE(::ftruncate(region->get(), 4096), 0);
  EXPECT_NE(::ftruncate(region->get(), 16384), 0);
  EXPECT_TRUE(verify_region(region->get(), 8192).ok());
}

TEST(Region, RefusesImpossibleSizes) {
  EXPECT_EQ(create_region("test", 0).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(create_region("test", UINT64_MAX).error().code, POCKET_INVALID_ARGUMENT);
}

TEST(Region, IsSparse) {
  auto region = create_region("test", uint64_t{1} << 34);
  ASSERT_TRUE(region.ok()) << region.error().message;
  struct stat status {};
  ASSERT_EQ(::fstat(region->get(), &status), 0);
  EXPECT_EQ(status.st_blocks, 0);
}

TEST(Region, SealedAgainstNewWritersKeepsOldMapping) {
  auto region = create_region("test", 4096);
  ASSERT_TRUE(region.ok());
  auto writable = Mapping::map(region->get(), 4096, MapAccess::kReadWrite);
  ASSERT_TRUE(writable.ok());
  ASSERT_TRUE(seal_against_new_writers(region->get()).ok());
  EXPECT_FALSE(Mapping::map(region->get(), 4096, MapAccess::kReadWrite).ok());
  EXPECT_LT(::write(region->get(), "x", 1), 0);
  auto readable = Mapping::map(region->get(), 4096, MapAccess::kReadOnly);
  ASSERT_TRUE(readable.ok());
  writable->data()[7] = std::byte{42};
  EXPECT_EQ(readable->data()[7], std::byte{42});
  EXPECT_NE(::mprotect(readable->data(), 4096, PROT_READ | PROT_WRITE), 0);
  EXPECT_LT(::fcntl(region->get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
}

TEST(Region, VerifyRefusesWhatCouldFault) {
  UniqueFd unsealed(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), 4096), 0);
  EXPECT_EQ(verify_region(unsealed.get(), 4096).error().code, POCKET_DATA_LOSS);
  auto region = create_region("test", 4096);
  EXPECT_EQ(verify_region(region->get(), 8192).error().code, POCKET_DATA_LOSS);
  EXPECT_EQ(verify_region(region->get(), 0).error().code, POCKET_DATA_LOSS);
  UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(verify_region(null.get(), 4096).error().code, POCKET_DATA_LOSS);
}

TEST(Doorbell, IsReadableOnceRungAndNeverBlocks) {
  auto doorbell = create_doorbell();
  ASSERT_TRUE(doorbell.ok());
  pollfd waiting{doorbell->get(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  const uint64_t nearly_full = UINT64_MAX - 1;
  ASSERT_EQ(::write(doorbell->get(), &nearly_full, sizeof(nearly_full)), 8);
  ring_doorbell(doorbell->get());  // the counter is full: ignored
  EXPECT_EQ(::poll(&waiting, 1, 0), 1);
}

TEST(Futex, WakesThroughAReadOnlyMapping) {
  auto region = create_region("test", 4096);
  ASSERT_TRUE(region.ok());
  auto writable = Mapping::map(region->get(), 4096, MapAccess::kReadWrite);
  auto readable = Mapping::map(region->get(), 4096, MapAccess::kReadOnly);
  ASSERT_TRUE(writable.ok() && readable.ok());
  auto* written = reinterpret_cast<std::atomic<uint32_t>*>(writable->data());
  const auto* read = reinterpret_cast<const std::atomic<uint32_t>*>(readable->data());
  std::thread waiter([read] {
    while (read->load() == 0) EXPECT_TRUE(futex_wait(read, 0, kForever));
  });
  written->store(1);
  futex_wake_all(written);
  waiter.join();
}

TEST(Futex, ReportsThePassedDeadlineOnly) {
  std::atomic<uint32_t> word{5};
  EXPECT_FALSE(futex_wait(&word, 5, monotonic_ns()));
  EXPECT_TRUE(futex_wait(&word, 4, monotonic_ns()));
}

}  // namespace
}  // namespace pocket::ipc
