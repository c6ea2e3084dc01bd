#include "runner/model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace pocket::runner {
namespace {

engine::TensorInfo info(int32_t dtype, std::vector<int64_t> shape) {
  engine::TensorInfo tensor;
  tensor.name = "images";
  tensor.dtype = dtype;
  tensor.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), tensor.shape);
  return tensor;
}

std::string refusal(const engine::TensorInfo& expected, int32_t dtype,
                    const std::vector<int64_t>& shape) {
  auto checked = check_tensor(expected, dtype, shape);
  if (checked.ok()) return "";
  EXPECT_EQ(checked.error().code, POCKET_INVALID_ARGUMENT);
  return checked.error().message;
}

TEST(CheckTensor, WhatFitsIsAccepted) {
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {1, 3, 4}), POCKET_FLOAT32, {1, 3, 4}), "");
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {-1, 3}), POCKET_FLOAT32, {7, 3}), "");
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {-1, 3}), POCKET_FLOAT32, {0, 3}), "");
  EXPECT_EQ(refusal(info(POCKET_INT64, {}), POCKET_INT64, {}), "");
}

TEST(CheckTensor, AnyRankTakesEveryShape) {
  engine::TensorInfo any = info(POCKET_UINT8, {});
  any.rank = -1;
  EXPECT_EQ(refusal(any, POCKET_UINT8, {}), "");
  EXPECT_EQ(refusal(any, POCKET_UINT8, {1, 2, 3}), "");
  EXPECT_NE(refusal(any, POCKET_INT8, {1}), "");
}

TEST(CheckTensor, MessagesSayWhatIsExpectedAndWhatWasGiven) {
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {1}), POCKET_INT64, {1}),
            "input 'images' must be float32, int64 was given");
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {-1, 3}), POCKET_FLOAT32, {2, 4}),
            "input 'images' must have shape [?, 3], [2, 4] was given");
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {-1, 3}), POCKET_FLOAT32, {2}),
            "input 'images' must have shape [?, 3], [2] was given");
  EXPECT_EQ(refusal(info(POCKET_FLOAT32, {}), POCKET_FLOAT32, {1}),
            "input 'images' must have shape [], [1] was given");
}

class RunnerModelTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "pocket-model-XXXXXX").string();
    const int fd = ::mkstemp(path_.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  /// A model of the null engine.
  std::unique_ptr<RunnerModel> load(const std::string& text) {
    std::ofstream(path_) << text;
    const auto plugin = engine::Plugin::load(ENGINE_DIR, "null");
    EXPECT_TRUE(plugin.ok()) << plugin.error().message;
    if (!plugin.ok()) return nullptr;
    engine::LoadOptions options;
    options.path = path_;
    options.concurrency = 4;
    auto model = engine::Model::load(*plugin, options);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return model.ok() ? std::make_unique<RunnerModel>(std::move(*model), 4) : nullptr;
  }
  std::string path_;
};

TEST_F(RunnerModelTest, WarmUpRunsOnceWithEveryInput) {
  // An echo needs its input, and room for its output.
  auto model = load(
      "mode='echo'\n[[inputs]]\nname='x'\nshape=[-1, 3]\n[[inputs]]\nname='s'\ndtype='str'\n"
      "shape=[2]\n[[outputs]]\nname='y'\nshape=[-1, 3]\n[[outputs]]\nname='t'\ndtype='str'\n"
      "shape=[2]\n");
  ASSERT_NE(model, nullptr);
  const auto warmed = warm_up(*model);
  EXPECT_TRUE(warmed.ok()) << warmed.error().message;
}

TEST_F(RunnerModelTest, WarmUpTellsWhyItFailed) {
  auto model = load("mode='error'\n");
  ASSERT_NE(model, nullptr);
  const auto warmed = warm_up(*model);
  ASSERT_FALSE(warmed.ok());
  EXPECT_EQ(warmed.error().code, POCKET_ENGINE_ERROR);
}

TEST_F(RunnerModelTest, WarmUpWithAnImpossibleShapeIsLeftOut) {
  auto model = load(
      "mode='error'\n[[inputs]]\nname='x'\nshape=[4294967296, 4294967296]\n"
      "[[outputs]]\nname='y'\nshape=[1]\n");
  ASSERT_NE(model, nullptr);
  EXPECT_TRUE(warm_up(*model).ok());
}

TEST_F(RunnerModelTest, ManyThreadsRunOneModel) {
  auto model = load("mode='zeros'\ndelay_us=200\n[[outputs]]\nname='y'\nshape=[1]\n");
  ASSERT_NE(model, nullptr);
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int call = 0; call < 20; ++call) {
        float answer = 1;
        pocket_engine_output output{};
        output.data = &answer;
        output.capacity = sizeof(answer);
        if (!model->run({}, {&output, 1}).ok() || answer != 0) failures.fetch_add(1);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(failures.load(), 0);
}

}  // namespace
}  // namespace pocket::runner
