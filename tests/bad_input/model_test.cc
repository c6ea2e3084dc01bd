// Models, engines and tensors that are not what was asked for.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "null_models.h"
#include "outcome.h"
#include "service.h"

namespace pocket {
namespace {

using pocket::testing::fails_with;
using pocket::testing::Outcome;
using pocket::testing::outcome_of;
using pocket::testing::succeeds;
using pocket::testing::write_file;

constexpr const char* kTwoInputs =
    "mode = 'zeros'\n"
    "[[inputs]]\nname = 'image'\ndtype = 'float32'\nshape = [1, -1]\n"
    "[[inputs]]\nname = 'size'\ndtype = 'int64'\nshape = [2]\n"
    "[[outputs]]\nname = 'scores'\ndtype = 'float32'\nshape = [1, 10]\n";

class BadModelTest : public ::testing::Test {
 protected:
  void start(const std::vector<std::string>& arguments = {}) {
    ASSERT_TRUE(service_.start(arguments)) << service_.log();
    session_.emplace(ConnectOptions{.socket = service_.socket()});
  }
  Outcome opening(const std::string& name, const OpenOptions& options = {}) {
    return outcome_of([&] { const Model model(*session_, name, options); });
  }
  pocket::testing::TestService service_;
  std::optional<Session> session_;
};

TEST_F(BadModelTest, UnknownNamesGetTheNearestOne) {
  service_.add_null_model("mobilenetv2", pocket::testing::kEcho);
  service_.add_null_model("resnet50", pocket::testing::kEcho);
  start();
  EXPECT_THAT(opening("mobilnetv2"),
              fails_with(POCKET_NOT_FOUND, "did you mean 'mobilenetv2'?", "mobilenetv2, resnet50"));
  EXPECT_THAT(opening("nothing-like-it"),
              fails_with(POCKET_NOT_FOUND, "models there: mobilenetv2"));
  EXPECT_THAT(opening("../../etc/passwd"),
              fails_with(POCKET_INVALID_ARGUMENT, "is not a model name"));
  EXPECT_THAT(opening("resnet50", {.version = "7"}),
              fails_with(POCKET_NOT_FOUND, "no version '7'", "it has 1"));
}

TEST_F(BadModelTest, OnlyTheFirstNamesAreListed) {
  for (int index = 100; index < 140; ++index) {
    service_.add_null_model("m" + std::to_string(index), pocket::testing::kEcho);
  }
  start();
  EXPECT_THAT(opening("other"), fails_with(POCKET_NOT_FOUND, "m100, m101", "and 20 more"));
}

TEST_F(BadModelTest, EnginesOfAnotherInterfaceAndNoEnginesAreRefused) {
  const std::string engines = service_.folder() + "/engines";
  std::filesystem::create_directories(engines);
  std::filesystem::create_symlink(NULL_ENGINE_PATH, engines + "/libpocket-engine-null.so");
  std::filesystem::create_symlink(OLD_ENGINE_PATH, engines + "/libpocket-engine-old.so");
  write_file(engines + "/libpocket-engine-text.so", "not a library");
  write_file(service_.models() + "/any/1/model.onnx", "x");
  service_.add_null_model("echo", pocket::testing::kEcho);
  start({"--engine-dir", engines});
  EXPECT_THAT(opening("any", {.engine = "old"}),
              fails_with(POCKET_VERSION_MISMATCH, "speaks engine interface 2, this Pocket speaks 1",
                         "install a plugin built for this version"));
  EXPECT_THAT(opening("any", {.engine = "text"}),
              fails_with(POCKET_UNIMPLEMENTED, "engine 'text' cannot be loaded"));
  EXPECT_THAT(opening("any", {.engine = "nul"}),
              fails_with(POCKET_NOT_FOUND, "did you mean 'null'?", "null, old, text"));
  EXPECT_THAT(opening("any"), fails_with(POCKET_NOT_FOUND, "there is no engine 'openvino'"));
  EXPECT_THAT(opening("echo"), succeeds());
}

TEST_F(BadModelTest, DamagedFilesSayWhatIsWrong) {
  service_.add_null_model("cut", "mode = 'echo'\n[[inputs]]\nname = ");
  service_.add_null_model("refusing", "load_error = 'the weights are missing'\n");
  service_.add_null_model("changed", pocket::testing::kEcho);
  write_file(service_.models() + "/changed/model.toml",
             "sha256 = '" + std::string(64, 'a') + "'\n");
  write_file(service_.models() + "/empty/1/notes.txt", "nothing here");
  service_.add_null_model("misspelt", pocket::testing::kEcho);
  write_file(service_.models() + "/misspelt/model.toml", "warmpu = false\n");
  start();
  EXPECT_THAT(opening("cut"), fails_with(POCKET_DATA_LOSS, "loading model 'cut'", "line 3"));
  EXPECT_THAT(opening("refusing"), fails_with(POCKET_ENGINE_ERROR, "the weights are missing"));
  EXPECT_THAT(opening("changed"),
              fails_with(POCKET_DATA_LOSS, "SHA-256", "damaged or were changed"));
  EXPECT_THAT(opening("empty"), fails_with(POCKET_NOT_FOUND, "holds no model.onnx"));
  EXPECT_THAT(opening("misspelt"),
              fails_with(POCKET_INVALID_ARGUMENT, "model.toml line 1", "did you mean 'warmup'?"));
  // A file that is mended works without a restart.
  service_.add_null_model("refusing", pocket::testing::kEcho);
  EXPECT_THAT(opening("refusing"), succeeds());
}

TEST_F(BadModelTest, TornFilesAreReportedByTheRealEngines) {
  write_file(service_.models() + "/torn/1/model.onnx",
             std::string("\x08\x07\x12\x04torn\x3a\xff", 10));
  start();
  int tried = 0;
  for (const char* engine : {"openvino", "onnxruntime"}) {
    const auto plugin = std::filesystem::path(NULL_ENGINE_PATH).parent_path() /
                        ("libpocket-engine-" + std::string(engine) + ".so");
    if (!std::filesystem::exists(plugin)) continue;
    ++tried;
    EXPECT_THAT(opening("torn", {.engine = engine}),
                fails_with(POCKET_ENGINE_ERROR, "loading model 'torn'", engine));
  }
  if (tried == 0) GTEST_SKIP() << "no real engine is built here";
}

TEST_F(BadModelTest, WrongTensorsAreNamedWithWhatIsWanted) {
  service_.add_null_model("two", kTwoInputs);
  start();
  const Model model(*session_, "two");
  Call call(model);
  EXPECT_THAT(outcome_of([&] { model.input_index("imgae"); }),
              fails_with(POCKET_NOT_FOUND, "no input 'imgae'", "did you mean 'image'?"));
  EXPECT_THAT(outcome_of([&] { model.output_index("x"); }),
              fails_with(POCKET_NOT_FOUND, "no output 'x'", "'scores'"));
  EXPECT_THAT(outcome_of([&] { call.input<float>(2, {1}); }),
              fails_with(POCKET_NOT_FOUND, "2 inputs", "no input 2"));
  EXPECT_THAT(
      outcome_of([&] {
        call.input<double>(0, {1, 4});
      }),
      fails_with(POCKET_INVALID_ARGUMENT, "input 'image' must be float32, float64 was given"));
  EXPECT_THAT(outcome_of([&] {
                call.input<float>(0, {2, 4});
              }),
              fails_with(POCKET_INVALID_ARGUMENT, "must have shape [1, ?], [2, 4] was given"));
  EXPECT_THAT(outcome_of([&] { call.input<float>(0, {4}); }),
              fails_with(POCKET_INVALID_ARGUMENT, "must have shape [1, ?], [4] was given"));
  EXPECT_THAT(outcome_of([&] {
                call.input<float>(0, {1, -4});
              }),
              fails_with(POCKET_INVALID_ARGUMENT, "negative or too large"));
  EXPECT_THAT(outcome_of([&] {
                call.input<float>(0, {1, INT64_MAX});
              }),
              fails_with(POCKET_INVALID_ARGUMENT, "negative or too large"));
  EXPECT_THAT(outcome_of([&] {
                call.input<float>(0, {1, int64_t{1} << 40});
              }),
              fails_with(POCKET_RESOURCE_EXHAUSTED, "limits.region_bytes"));
  call.input<float>(0, {1, 4});
  EXPECT_THAT(outcome_of([&] { call.submit(); }),
              fails_with(POCKET_INVALID_ARGUMENT, "input 'size' is not set"));
  call.input_kept(1, 99);
  EXPECT_THAT(outcome_of([&] { call.run(); }),
              fails_with(POCKET_NOT_FOUND, "keeps no tensor with handle 99"));
  call.input<int64_t>(1, {2});
  EXPECT_THAT(outcome_of([&] { call.run(); }), succeeds());
  EXPECT_THAT(outcome_of([&] { call.output(1); }), fails_with(POCKET_NOT_FOUND, "no output 1"));
  EXPECT_THAT(outcome_of([&] { call.kept_output(0); }),
              fails_with(POCKET_FAILED_PRECONDITION, "was not kept"));
}

TEST_F(BadModelTest, FullRingIsForALaterTry) {
  service_.add_null_model("hang", pocket::testing::kHang);
  write_file(service_.models() + "/hang/model.toml", "warmup = false\n");
  write_file(service_.folder() + "/pocketd.toml", "[service]\ndrain_seconds = 0.1\n");
  start({"--config", service_.folder() + "/pocketd.toml"});
  const Model model(*session_, "hang");
  std::vector<Call> calls;
  Outcome last;
  for (int index = 0; index < 300 && last.status == POCKET_OK; ++index) {
    calls.emplace_back(model).input<float>(0, {1});
    last = outcome_of([&] { calls.back().submit(); });
  }
  EXPECT_EQ(calls.size(), 257U);
  EXPECT_THAT(last, fails_with(POCKET_BUSY, "256 calls are in flight", "wait for one"));
  EXPECT_EQ(pocket_status_is_retryable(last.status), 1);
  EXPECT_THAT(outcome_of([&] { calls.front().submit(); }),
              fails_with(POCKET_FAILED_PRECONDITION, "in flight; wait for it first"));
}

TEST_F(BadModelTest, CancelledCallsMakeRoomInAFullRing) {
  service_.add_null_model("slow", pocket::testing::kSlowEcho);
  start();
  const Model model(*session_, "slow");
  std::vector<Call> calls;
  for (int index = 0; index < 256; ++index) {
    calls.emplace_back(model).input<float>(0, {1});
    calls.back().submit();
  }
  for (auto& call : calls) call.cancel();
  Call more(model);
  more.input<float>(0, {1});
  Outcome again = outcome_of([&] { more.submit(); });
  while (again.status == POCKET_BUSY) {
    std::this_thread::yield();
    again = outcome_of([&] { more.submit(); });
  }
  EXPECT_THAT(again, succeeds());
  EXPECT_THAT(outcome_of([&] { more.wait(20 * pocket::testing::kSecond); }), succeeds());
}

}  // namespace
}  // namespace pocket
