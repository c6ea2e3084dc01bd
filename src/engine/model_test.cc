#include "engine/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace pocket::engine {
namespace {

using testing::HasSubstr;

/// Models of the null engine, written for each test.
class ModelTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "pocket-model-XXXXXX").string();
    const int fd = ::mkstemp(path_.data());
    ASSERT_GE(fd, 0);
    ::close(fd);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  Result<Model> load(const std::string& text,
                     std::vector<std::pair<std::string, std::string>> options = {}) {
    std::ofstream(path_) << text;
    POCKET_ASSIGN_OR_RETURN(const Plugin plugin, Plugin::load(ENGINE_DIR, "null"));
    LoadOptions load_options;
    load_options.path = path_;
    load_options.options = std::move(options);
    return Model::load(plugin, load_options);
  }
  std::string path_;
};

constexpr const char* kEcho =
    "mode='echo'\n[[inputs]]\nname='x'\ndtype='int32'\nshape=[-1]\n"
    "[[outputs]]\nname='y'\ndtype='int32'\nshape=[-1]\n";

TEST_F(ModelTest, DescriptionIsTheEngines) {
  auto model = load(
      "[[inputs]]\nname='a'\ndtype='float16'\nshape=[2, -1]\n[[inputs]]\nname='b'\ndtype='str'\n"
      "shape=[]\n[[outputs]]\nname='c'\nshape=[2, 3]\n");
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_EQ(model->inputs().size(), 2U);
  EXPECT_EQ(model->inputs()[0].name, "a");
  EXPECT_EQ(model->inputs()[0].dtype, POCKET_FLOAT16);
  EXPECT_EQ(model->inputs()[0].rank, 2);
  EXPECT_EQ(model->inputs()[0].shape[1], -1);
  EXPECT_EQ(model->inputs()[0].static_bytes(), 0U);
  EXPECT_EQ(model->inputs()[1].rank, 0);
  EXPECT_EQ(model->inputs()[1].static_bytes(), 0U);
  ASSERT_EQ(model->outputs().size(), 1U);
  EXPECT_EQ(model->outputs()[0].static_bytes(), 24U);
}

TEST_F(ModelTest, RunWritesWhereTheHostHasRoom) {
  auto model = load(kEcho);
  ASSERT_TRUE(model.ok()) << model.error().message;
  auto context = model->create_context();
  ASSERT_TRUE(context.ok());
  const std::array<int32_t, 3> values = {1, -2, 3};
  std::array<int32_t, 3> answer = {};
  pocket_engine_input input{};
  input.dtype = POCKET_INT32;
  input.rank = 1;
  input.shape[0] = 3;
  input.data = values.data();
  input.bytes = sizeof(values);
  pocket_engine_output output{};
  output.data = answer.data();
  output.capacity = sizeof(answer);
  ASSERT_TRUE(context->run({&input, 1}, {&output, 1}).ok());
  EXPECT_EQ(answer, values);
  EXPECT_EQ(output.bytes, sizeof(values));
  EXPECT_EQ(output.shape[0], 3);
}

TEST_F(ModelTest, RunAsksForRoomThatIsMissing) {
  auto model = load(kEcho);
  ASSERT_TRUE(model.ok()) << model.error().message;
  auto context = model->create_context();
  ASSERT_TRUE(context.ok());
  const std::array<int32_t, 2> values = {4, 5};
  std::array<int32_t, 1> small = {};
  std::vector<int32_t> made;
  pocket_engine_input input{};
  input.dtype = POCKET_INT32;
  input.rank = 1;
  input.shape[0] = 2;
  input.data = values.data();
  input.bytes = sizeof(values);
  pocket_engine_output output{};
  output.data = small.data();
  output.capacity = sizeof(small);
  output.allocate_context = &made;
  output.allocate = [](void* to, uint32_t, size_t bytes) -> void* {
    auto& room = *static_cast<std::vector<int32_t>*>(to);
    room.resize(bytes / sizeof(int32_t));
    return room.data();
  };
  ASSERT_TRUE(context->run({&input, 1}, {&output, 1}).ok());
  EXPECT_EQ(made, (std::vector<int32_t>{4, 5}));
  output.data = small.data();
  output.capacity = sizeof(small);
  output.allocate = [](void*, uint32_t, size_t) -> void* { return nullptr; };
  auto refused = context->run({&input, 1}, {&output, 1});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, POCKET_RESOURCE_EXHAUSTED);
}

TEST_F(ModelTest, LoadErrorCarriesTheEnginesWords) {
  auto model = load("load_error = 'the weights are missing'\n");
  ASSERT_FALSE(model.ok());
  EXPECT_THAT(model.error().message, HasSubstr("the weights are missing"));
  EXPECT_THAT(model.error().message, HasSubstr(path_));
  EXPECT_THAT(model.error().message, HasSubstr("null"));
}

TEST_F(ModelTest, UnknownOptionIsRefused) {
  EXPECT_TRUE(load(kEcho, {{"precision", "float32"}}).ok());
  auto model = load(kEcho, {{"speed", "high"}});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, POCKET_INVALID_ARGUMENT);
}

TEST_F(ModelTest, RunErrorCarriesTheEnginesWords) {
  auto model = load("mode='error'\n");
  ASSERT_TRUE(model.ok()) << model.error().message;
  auto context = model->create_context();
  ASSERT_TRUE(context.ok());
  auto run = context->run({}, {});
  ASSERT_FALSE(run.ok());
  EXPECT_EQ(run.error().code, POCKET_ENGINE_ERROR);
  EXPECT_THAT(run.error().message, HasSubstr("this model always fails"));
}

TEST_F(ModelTest, ModelMayMoveWhileAContextIsOut) {
  auto loaded = load("[[outputs]]\nname='y'\nshape=[1]\n");
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  auto context = loaded->create_context();
  ASSERT_TRUE(context.ok());
  Model moved = std::move(*loaded);
  moved.expect_parallel_runs(1);  // the null engine has no such function: nothing happens
  float answer = 1;
  pocket_engine_output output{};
  output.data = &answer;
  output.capacity = sizeof(answer);
  Context last = std::move(*context);
  ASSERT_TRUE(last.run({}, {&output, 1}).ok());
  EXPECT_EQ(answer, 0);
}

}  // namespace
}  // namespace pocket::engine
