#include "tensor/tensor.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace pocket::tensor {
namespace {

TEST(Tensor, MadeWithRoomForItsValues) {
  const int64_t shape[] = {2, 3};
  auto tensor = make_tensor(POCKET_FLOAT32, shape);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->bytes, 24U);
  EXPECT_EQ(tensor->count(), 6U);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->data) % 64, 0U);
  EXPECT_EQ(spec_text(tensor->spec()), "float32 [2, 3]");
}

TEST(Tensor, ImpossibleAndHugeOnesAreRefused) {
  const int64_t negative[] = {2, -3}, huge[] = {1 << 20, 1 << 20};
  const int64_t deep[] = {1, 1, 1, 1, 1, 1, 1, 1, 1}, overflow[] = {INT64_MAX, INT64_MAX};
  EXPECT_EQ(make_tensor(POCKET_FLOAT32, negative).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(make_tensor(POCKET_FLOAT32, overflow).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(make_tensor(99, {}).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(make_tensor(POCKET_FLOAT32, deep).error().code, POCKET_INVALID_ARGUMENT);
  EXPECT_EQ(make_tensor(POCKET_FLOAT32, huge).error().code, POCKET_RESOURCE_EXHAUSTED);
}

TEST(Tensor, StringsThereAndBack) {
  const std::array<std::string_view, 3> texts = {"ab", "", "c"};
  const int64_t shape[] = {3};
  auto tensor = make_strings(texts, shape);
  ASSERT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->bytes, 35U);
  auto back = strings_of(*tensor);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(std::vector<std::string_view>(texts.begin(), texts.end()), *back);
  const int64_t wrong[] = {2};
  EXPECT_FALSE(make_strings(texts, wrong).ok());
}

TEST(Tensor, WrongOffsetsAreDataLoss) {
  const std::array<std::string_view, 2> texts = {"ab", "c"};
  const int64_t shape[] = {2};
  for (const auto& [index, offset] : {std::pair{0, 1}, {1, 4}, {2, 1}, {2, 99}}) {
    auto tensor = make_strings(texts, shape);
    ASSERT_TRUE(tensor.ok());
    tensor->values<uint64_t>()[index] = static_cast<uint64_t>(offset);
    EXPECT_FALSE(strings_of(*tensor).ok()) << index << " " << offset;
  }
}

TEST(Spec, WhatMayFit) {
  const Spec image{POCKET_FLOAT32, false, {1, 224, 224, 3}};
  EXPECT_TRUE(may_fit(image, {POCKET_FLOAT32, false, {-1, 224, 224, 3}}));
  EXPECT_TRUE(may_fit(image, {POCKET_DTYPE_UNDEFINED, true, {}}));
  EXPECT_TRUE(may_fit({POCKET_FLOAT32, true, {}}, image));
  EXPECT_FALSE(may_fit(image, {POCKET_UINT8, false, {1, 224, 224, 3}}));
  EXPECT_FALSE(may_fit(image, {POCKET_FLOAT32, false, {1, 320, 320, 3}}));
  EXPECT_FALSE(may_fit(image, {POCKET_FLOAT32, false, {224, 224, 3}}));
}

}  // namespace
}  // namespace pocket::tensor
