#include "runner/resting.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace pocket::runner {
namespace {

constexpr uint64_t kNow = 1'000'000'000'000;

/// A model whose file says how often its engine gave back (test_engine.cc).
class TestModel {
 public:
  TestModel() {
    path_ = (std::filesystem::temp_directory_path() / "pocket-resting-XXXXXX").string();
    ::close(::mkstemp(path_.data()));
    model_ = load(TEST_ENGINE_DIR, "resting", path_);
  }
  ~TestModel() { std::filesystem::remove(path_); }
  TestModel(const TestModel&) = delete;
  TestModel& operator=(const TestModel&) = delete;

  static std::shared_ptr<RunnerModel> load(const char* folder, const char* engine,
                                           const std::string& path) {
    auto plugin = engine::Plugin::load(folder, engine);
    if (!plugin.ok()) return nullptr;
    engine::LoadOptions options;
    options.path = path;
    auto model = engine::Model::load(*plugin, options);
    return model.ok() ? std::make_shared<RunnerModel>(std::move(*model), 1) : nullptr;
  }

  RunnerModel& operator*() { return *model_; }
  RunnerModel* operator->() { return model_.get(); }
  const std::string& path() const { return path_; }
  uint64_t given() const { return std::filesystem::file_size(path_); }
  void end() { model_ = nullptr; }

 private:
  std::string path_;
  std::shared_ptr<RunnerModel> model_;
};

TEST(Resting, WithoutModelsNothingIsDue) {
  Resting resting;
  EXPECT_EQ(resting.due_ms(kNow), -1);
  resting.give_back(kNow);
}

TEST(Resting, AnEngineThatHasNothingToGiveBackIsNotWaitedFor) {
  const TestModel file;
  const auto model = TestModel::load(ENGINE_DIR, "null", file.path());
  ASSERT_NE(model, nullptr);
  Resting resting;
  resting.add(*model, kNow);
  EXPECT_EQ(resting.due_ms(kNow), -1);
}

TEST(Resting, AModelGivesBackOnceWhenItHasRestedLongEnough) {
  TestModel model;
  Resting resting;
  resting.add(*model, kNow);
  EXPECT_EQ(resting.due_ms(kNow), static_cast<int>(kRestsNs / 1'000'000));
  EXPECT_EQ(resting.due_ms(kNow + 1), static_cast<int>(kRestsNs / 1'000'000));
  resting.give_back(kNow + kRestsNs - 1);
  EXPECT_EQ(model.given(), 0U);
  EXPECT_EQ(resting.due_ms(kNow + 2 * kRestsNs), 0);
  resting.give_back(kNow + kRestsNs);
  EXPECT_EQ(model.given(), 1U);
  EXPECT_EQ(resting.due_ms(kNow + kRestsNs), -1);
}

TEST(Resting, ACallMeanwhilePutsItOff) {
  TestModel model;
  Resting resting;
  resting.add(*model, kNow);
  model->counters().last_call_ns = kNow + kRestsNs / 2;
  resting.give_back(kNow + kRestsNs);
  EXPECT_EQ(model.given(), 0U);
  resting.add(*model, kNow + kRestsNs / 2);
  resting.give_back(kNow + kRestsNs / 2 + kRestsNs);
  EXPECT_EQ(model.given(), 1U);
}

TEST(Resting, WhoRestsAgainIsDueLater) {
  TestModel first;
  TestModel second;
  Resting resting;
  resting.add(*first, kNow);
  resting.add(*second, kNow + 1);
  resting.add(*first, kNow + 2);
  resting.give_back(kNow + kRestsNs + 1);
  EXPECT_EQ(first.given(), 0U);
  EXPECT_EQ(second.given(), 1U);
  resting.give_back(kNow + kRestsNs + 2);
  EXPECT_EQ(first.given(), 1U);
}

TEST(Resting, KeepsNoModelAlive) {
  TestModel model;
  Resting resting;
  resting.add(*model, kNow);
  model.end();
  resting.give_back(kNow + kRestsNs);
  EXPECT_EQ(model.given(), 0U);
  EXPECT_EQ(resting.due_ms(kNow), -1);
}

}  // namespace
}  // namespace pocket::runner
