#include "runner/handle_store.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace pocket::runner {
namespace {

/// Only the accounting is looked at: the memory itself is not needed.
KeptTensor tensor(uint64_t bytes) {
  KeptTensor kept;
  kept.bytes = bytes;
  return kept;
}

TEST(HandleStore, KeepsFindsAndReleases) {
  HandleStore store;
  KeptTensor kept = tensor(4);
  kept.dtype = POCKET_FLOAT32;
  kept.rank = 1;
  kept.shape[0] = 1;
  kept.data = allocate_memory(4);
  *static_cast<float*>(kept.data.get()) = 2.5F;
  auto handle = store.keep(std::move(kept));
  ASSERT_TRUE(handle.ok());
  auto found = store.find(*handle);
  ASSERT_TRUE(found.ok());
  ASSERT_TRUE(store.release(*handle).ok());
  EXPECT_EQ(store.find(*handle).error().code, POCKET_NOT_FOUND);
  EXPECT_EQ(store.release(*handle).error().code, POCKET_NOT_FOUND);
  // Who found it before may go on using it.
  EXPECT_EQ(*static_cast<float*>((*found)->data.get()), 2.5F);
}

TEST(HandleStore, HandlesAreNotUsedAgain) {
  HandleStore store;
  std::set<uint64_t> seen;
  for (int round = 0; round < 100; ++round) {
    auto handle = store.keep(tensor(1));
    ASSERT_TRUE(handle.ok());
    EXPECT_NE(*handle, 0U);
    EXPECT_TRUE(seen.insert(*handle).second);
    ASSERT_TRUE(store.release(*handle).ok());
  }
}

TEST(HandleStore, NumberIsBounded) {
  HandleStore store;
  uint64_t last = 0;
  for (size_t count = 0; count < HandleStore::kMaxHandles; ++count) {
    auto handle = store.keep(tensor(0));
    ASSERT_TRUE(handle.ok()) << count;
    last = *handle;
  }
  auto refused = store.keep(tensor(0));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error().message.find("release"), std::string::npos);
  ASSERT_TRUE(store.release(last).ok());
  EXPECT_TRUE(store.keep(tensor(0)).ok());
}

TEST(HandleStore, BytesAreBounded) {
  HandleStore store;
  auto most = store.keep(tensor(HandleStore::kMaxBytes - 10));
  ASSERT_TRUE(most.ok());
  EXPECT_EQ(store.keep(tensor(11)).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_EQ(store.keep(tensor(UINT64_MAX)).error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_TRUE(store.keep(tensor(10)).ok());
  EXPECT_FALSE(store.keep(tensor(1)).ok());
  ASSERT_TRUE(store.release(*most).ok());
  EXPECT_TRUE(store.keep(tensor(HandleStore::kMaxBytes - 10)).ok());
}

TEST(HandleStore, MemoryIsAligned) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{65}, size_t{100000}}) {
    const Memory memory = allocate_memory(bytes);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory.get()) % 64, 0U);
  }
  EXPECT_EQ(allocate_memory(SIZE_MAX), nullptr);
}

TEST(HandleStore, SessionsOfATenantShareWhatItMayKeep) {
  const auto budget = std::make_shared<KeptBudget>();
  budget->set_limit("camera", 100);
  HandleStore first(budget);
  auto second = std::make_unique<HandleStore>(budget);
  const auto handle = first.keep(tensor(60));
  ASSERT_TRUE(handle.ok());
  ASSERT_TRUE(second->keep(tensor(40)).ok());
  const auto refused = second->keep(tensor(1));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_RESOURCE_EXHAUSTED);
  EXPECT_NE(refused.error().message.find("tenant.camera.kept_bytes"), std::string::npos);
  EXPECT_EQ(budget->use().bytes, 100U);
  EXPECT_EQ(budget->use().tensors, 2U);
  // What a session that is gone kept, and what is released, is free for the others.
  second.reset();
  ASSERT_TRUE(first.release(*handle).ok());
  EXPECT_EQ(budget->use().bytes, 0U);
  ASSERT_TRUE(first.keep(tensor(100)).ok());
  budget->set_limit("camera", 50);
  EXPECT_FALSE(first.keep(tensor(1)).ok());
  budget->set_limit("camera", 0);
  EXPECT_TRUE(first.keep(tensor(1000)).ok());
}

}  // namespace
}  // namespace pocket::runner
