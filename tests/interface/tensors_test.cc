// The standard handler: operations in the runner of a model, with tensors that stay there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tensors.client.h>

#include "outcome.h"
#include "service.h"

namespace pocket::testing {
namespace {

using ::testing::ElementsAre;

class TensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(service_.models() + "/tensors/1/model.handler", "standard = 'tensors'\n");
    write_file(service_.models() + "/tensors/model.toml", "group = 'one'\n");
    service_.add_null_model("echo",
                            "mode = 'echo'\n[[inputs]]\nname = 'x'\nshape = [-1]\n"
                            "[[outputs]]\nname = 'y'\nshape = [-1]\n");
    write_file(service_.models() + "/echo/model.toml", "group = 'one'\n");
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  TestService service_;
};

TensorArgument floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return TensorArgument::of<float>(std::move(shape), values);
}

TEST_F(TensorsTest, OperationsAndAModelShareTensorsInOneRunner) {
  const Session here({.socket = service_.socket()});
  const tensors::TensorsClient client(here, "tensors");
  const Model echo(here, "echo");
  tensors::ConstantRequest two;
  two.set_dtype("float32");
  two.add_values(2);
  two.set_scalar(true);
  const auto made = client.Constant(two, {.keep = {0}});
  const std::vector<float> values = {2, 8, 4, 6};
  const auto half = client.Divide(
      {}, {.tensors = {floats({4}, values), TensorArgument::kept(made.kept(0))}, .keep = {0}});
  Call call(echo);  // a model takes what an operation left
  call.input_kept(0, half.kept(0));
  call.keep_output(0);
  call.run();
  tensors::TopKRequest best;
  best.set_k(2);
  const auto top = client.TopK(best, {.tensors = {TensorArgument::kept(call.kept_output(0))}});
  EXPECT_THAT(top.tensor(0).values<float>(), ElementsAre(4, 3));
  EXPECT_THAT(top.tensor(1).values<int64_t>(), ElementsAre(1, 3));
  EXPECT_EQ(service_.runners().size(), 1U);
}

TEST_F(TensorsTest, WhatTheOldRemoteCallsDidIsThere) {
  const Session here({.socket = service_.socket()});
  const tensors::TensorsClient client(here, "tensors");
  const std::vector<float> six = {0, 1, 2, 3, 4, 5};
  tensors::SliceRequest slice;
  for (const int64_t number : {0, 1}) slice.add_begin(number);
  for (const int64_t number : {2, 1}) slice.add_size(number);
  const auto column = client.Slice(slice, {.tensors = {floats({2, 3}, six)}});
  EXPECT_THAT(column.tensor(0).values<float>(), ElementsAre(1, 4));
  tensors::ReshapeRequest reshape;
  reshape.add_shape(3);
  reshape.add_shape(-1);
  EXPECT_THAT(client.Reshape(reshape, {.tensors = {floats({2, 3}, six)}}).tensor(0).shape(),
              ElementsAre(3, 2));
  EXPECT_THAT(client.Shape({}, {.tensors = {floats({2, 3}, six)}}).tensor(0).values<int64_t>(),
              ElementsAre(2, 3));
  EXPECT_THAT(client.Argmax({}, {.tensors = {floats({2, 3}, six)}}).tensor(0).values<int64_t>(),
              ElementsAre(2, 2));
  EXPECT_THAT(client.Sigmoid({}, {.tensors = {floats({1}, {0})}}).tensor(0).values<float>(),
              ElementsAre(0.5F));
}

TEST_F(TensorsTest, WrongCallsAreRefusedAndHurtNobody) {
  const Session here({.socket = service_.socket()});
  const tensors::TensorsClient client(here, "tensors");
  tensors::SliceRequest slice;
  slice.add_begin(-1);
  slice.add_size(5);
  EXPECT_THAT(outcome_of([&] {
                client.Slice(slice, {.tensors = {floats({2}, {1, 2})}});
              }),
              fails_with(POCKET_INVALID_ARGUMENT, "slice: 5 elements from -1 on are not inside"));
  EXPECT_THAT(outcome_of([&] { client.Slice(slice); }),
              fails_with(POCKET_INVALID_ARGUMENT, "tensor 0 is missing"));
  EXPECT_THAT(outcome_of([&] { client.Sigmoid({}, {.tensors = {TensorArgument::kept(99)}}); }),
              fails_with(POCKET_NOT_FOUND));
  tensors::ConstantRequest huge;
  huge.set_dtype("float32");
  huge.add_values(1);
  for (int axis = 0; axis < 3; ++axis) huge.add_shape(1 << 20);
  EXPECT_THAT(outcome_of([&] { client.Constant(huge); }), fails_with(POCKET_RESOURCE_EXHAUSTED));
  const std::vector<uint8_t> noise(1000, 0x7f);
  EXPECT_THAT(outcome_of([&] {
                client.DecodeImage({}, {.tensors = {TensorArgument::of<uint8_t>(
                                            {1000}, std::span<const uint8_t>(noise))}});
              }),
              fails_with(POCKET_DATA_LOSS, "not a picture"));
}

}  // namespace
}  // namespace pocket::testing
