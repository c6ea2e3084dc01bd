// Pipelines through the real service: what they give, how they fail, what is refused when they
// load.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "outcome.h"
#include "raw_client.h"
#include "service.h"

namespace pocket::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kEcho =
    "mode = 'echo'\n[[inputs]]\nname = 'x'\nshape = [-1]\n[[outputs]]\nname = 'y'\nshape = [-1]\n";

/// (2 x) through a model, the two largest of it.
constexpr const char* kGood = R"(
[[inputs]]
name = "x"
dtype = "float32"
shape = [-1]
[[steps]]
operation = "top_k"
inputs = ["seen"]
outputs = ["largest", "where"]
parameters = { k = 2 }
[[steps]]
operation = "constant"
outputs = ["two"]
parameters = { dtype = "float32", values = [2], shape = [] }
[[steps]]
operation = "multiply"
inputs = ["x", "two"]
outputs = ["doubled"]
[[steps]]
model = "echo"
inputs = { x = "doubled" }
outputs = { y = "seen" }
[[outputs]]
name = "largest"
[[outputs]]
name = "where"
)";

class PipelineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service_.add_null_model("echo", kEcho);
    service_.add_null_model("crash", std::string("crash_above = 1\n") + kEcho);
    service_.add_null_model("slow", std::string("delay_us = 300000\n") + kEcho);
    service_.add_null_model("bytes",
                            "[[inputs]]\nname = 'b'\ndtype = 'uint8'\nshape = [4]\n"
                            "[[outputs]]\nname = 'y'\nshape = [1]\n");
    add("good", kGood);
    const std::string handler = service_.models() + "/app/1";
    write_file(handler + "/model.handler", "library = 'handler.so'\n");
    fs::copy_file(std::string(TEST_HANDLERS) + "/test-handler-well.so", handler + "/handler.so");
    ASSERT_TRUE(service_.start()) << service_.log();
  }
  void TearDown() override {
    if (HasFailure()) std::printf("%s", service_.log().c_str());
  }
  void add(const std::string& name, const std::string& text) {
    write_file(service_.models() + "/" + name + "/1/model.pipeline", text);
  }
  /// A pipeline with the input x (float32 [-1]), these steps, and the output y.
  void add_steps(const std::string& name, const std::string& steps) {
    add(name, "[[inputs]]\nname='x'\ndtype='float32'\nshape=[-1]\n" + steps +
                  "\n[[outputs]]\nname='y'\n");
  }
  Session session() { return Session({.socket = service_.socket()}); }
  Outcome opening(const std::string& name) {
    const Session here = session();
    return outcome_of([&] { Model model(here, name); });
  }
  std::vector<float> run(const Model& model, std::vector<float> values,
                         uint64_t deadline_ns = POCKET_FOREVER) {
    Call call(model);
    const auto room = call.input<float>(0, {static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), room.begin());
    call.run(deadline_ns);
    const auto answer = call.output(0).values<float>();
    return {answer.begin(), answer.end()};
  }
  TestService service_;
};

TEST_F(PipelineTest, OneCallRunsAllSteps) {
  const Session here = session();
  const Model model(here, "good");
  EXPECT_EQ(model.engine(), "pipeline");
  ASSERT_EQ(model.outputs().size(), 2U);
  EXPECT_EQ(model.outputs()[0].name, "largest");
  EXPECT_THAT(model.outputs()[0].shape, ElementsAre(2));
  EXPECT_EQ(model.outputs()[1].dtype, POCKET_INT64);
  Call call(model);
  for (const auto& values : {std::vector<float>{1, 5, 3}, {9, 8, 7, 6, 5, 10}}) {
    const auto room = call.input<float>(0, {static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), room.begin());
    call.run();
    // The same by hand: double, look for the two largest.
    std::vector<float> sorted = values;
    std::sort(sorted.rbegin(), sorted.rend());
    const auto largest = call.output(0).values<float>();
    EXPECT_THAT(largest, ElementsAre(2 * sorted[0], 2 * sorted[1]));
    EXPECT_EQ(2 * values[call.output(1).values<int64_t>()[0]], largest[0]);
  }
}

TEST_F(PipelineTest, HandlersAndPipelinesAreStepsToo) {
  add_steps("inner", "[[steps]]\nhandler='app'\nmethod='Echo'\ninputs=['x']\noutputs=['y']");
  add_steps("outer",
            "[[steps]]\nmodel='inner'\ninputs=['x']\noutputs=['z']\n"
            "[[steps]]\noperation='add'\ninputs=['z','x']\noutputs=['y']");
  const Session here = session();
  EXPECT_THAT(run(Model(here, "inner"), {1, 2}), ElementsAre(1, 2));
  EXPECT_THAT(run(Model(here, "outer"), {1, 2}), ElementsAre(2, 4));
  add_steps("failing", "[[steps]]\nhandler='app'\nmethod='Throw'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(outcome_of([&] { run(Model(here, "failing"), {1}); }),
              fails_with(POCKET_ENGINE_ERROR, "step 'app'", "threw: a surprise"));
  add_steps("nomethod", "[[steps]]\nhandler='app'\nmethod='Nothing'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(outcome_of([&] { run(Model(here, "nomethod"), {1}); }),
              fails_with(POCKET_INVALID_ARGUMENT, "no method 'Nothing'; it has 'Echo'"));
}

TEST_F(PipelineTest, FailuresNameTheirStep) {
  const Session here = session();
  EXPECT_THAT(outcome_of([&] { run(Model(here, "good"), {1}); }),
              fails_with(POCKET_INVALID_ARGUMENT, "step 'top_k'", "no 2 largest"));
}

TEST_F(PipelineTest, NeighboursThatDoNotFitAreRefusedWhenTheyLoad) {
  add_steps("type", "[[steps]]\nname='look'\nmodel='bytes'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("type"),
              fails_with(POCKET_INVALID_ARGUMENT,
                         "step 'look': input 'b' of 'bytes' is uint8 [4], 'x' is float32 [?]"));
  add_steps("shape",
            "[[steps]]\noperation='constant'\noutputs=['c']\n"
            "parameters={dtype='uint8',values=[1,2,3]}\n"
            "[[steps]]\nmodel='bytes'\ninputs=['c']\noutputs=['y']");
  EXPECT_THAT(opening("shape"),
              fails_with(POCKET_INVALID_ARGUMENT, "is uint8 [4], 'c' is uint8 [3]"));
  add_steps("parameter", "[[steps]]\noperation='top_k'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("parameter"),
              fails_with(POCKET_INVALID_ARGUMENT, "top_k: parameter 'k' is missing"));
  add_steps("operation", "[[steps]]\noperation='topk'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("operation"),
              fails_with(POCKET_INVALID_ARGUMENT, "no operation 'topk'; did you mean 'top_k'?"));
  add_steps("port", "[[steps]]\nmodel='echo'\ninputs={xx='x'}\noutputs=['y']");
  EXPECT_THAT(opening("port"),
              fails_with(POCKET_INVALID_ARGUMENT, "no input 'xx'; did you mean 'x'?"));
  add_steps("hole", "[[steps]]\nmodel='echo'\noutputs=['y']");
  EXPECT_THAT(opening("hole"),
              fails_with(POCKET_INVALID_ARGUMENT, "input 'x' of 'echo' gets no tensor"));
  add_steps("nohandler", "[[steps]]\nhandler='echo'\nmethod='M'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("nohandler"), fails_with(POCKET_INVALID_ARGUMENT, "'echo' is no handler"));
}

TEST_F(PipelineTest, MissingStepsTensorsAndCirclesAreNamed) {
  add_steps("nomodel", "[[steps]]\nmodel='nobody'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("nomodel"), fails_with(POCKET_NOT_FOUND, "model 'nomodel' uses 'nobody'"));
  add_steps("notensor", "[[steps]]\nmodel='echo'\ninputs=['z']\noutputs=['y']");
  EXPECT_THAT(opening("notensor"),
              fails_with(POCKET_INVALID_ARGUMENT, "line 5: step 'echo' takes 'z', which no step"));
  add_steps("circle",
            "[[steps]]\nname='a'\nmodel='echo'\ninputs=['z']\noutputs=['y']\n"
            "[[steps]]\nname='b'\nmodel='echo'\ninputs=['y']\noutputs=['z']");
  EXPECT_THAT(opening("circle"), fails_with(POCKET_INVALID_ARGUMENT, "in a circle: 'a', 'b'"));
  add_steps("self", "[[steps]]\nmodel='self'\ninputs=['x']\noutputs=['y']");
  EXPECT_THAT(opening("self"), fails_with(POCKET_INVALID_ARGUMENT, "in a circle: self -> self"));
  add("torn", "[[steps");
  EXPECT_THAT(opening("torn"), fails_with(POCKET_INVALID_ARGUMENT, "line 1"));
}

TEST_F(PipelineTest, ADeadlineEndsItBetweenSteps) {
  add_steps("long",
            "[[steps]]\nmodel='slow'\ninputs=['x']\noutputs=['z']\n"
            "[[steps]]\nhandler='app'\nmethod='Echo'\ninputs=['z']\noutputs=['y']");
  const Session here = session();
  const Model model(here, "long");
  EXPECT_THAT(run(model, {1}), ElementsAre(1));
  EXPECT_THAT(outcome_of([&] { run(model, {1}, 50 * kMillisecond); }),
              fails_with(POCKET_DEADLINE_EXCEEDED));
}

TEST_F(PipelineTest, AModelThatCrashesTakesItsPipelineOnlyAndBothComeBack) {
  add_steps("fragile", "[[steps]]\nmodel='crash'\ninputs=['x']\noutputs=['y']");
  const Session here = session();
  const Model fragile(here, "fragile");
  const Model good(here, "good");
  run(good, {1, 2});
  // The null engine looks at the first byte, which is 3 in the smallest number but two.
  EXPECT_THAT(run(fragile, {0}), ElementsAre(0));
  EXPECT_THAT(outcome_of([&] { run(fragile, {4.2e-45F}); }),
              fails_with(POCKET_INVALID_ARGUMENT, "quarantined"));
  EXPECT_THAT(run(good, {1, 2}), ElementsAre(4, 2));
  EXPECT_TRUE(
      eventually([&] { return outcome_of([&] { run(fragile, {0}); }).status == POCKET_OK; }));
}

TEST_F(PipelineTest, ModelsOfOneGroupAreOneCopyInOneRunner) {
  for (const char* name : {"good", "echo"}) {
    write_file(service_.models() + "/" + name + "/model.toml", "group = 'together'\n");
  }
  const Session here = session();
  const Model pipeline(here, "good");
  const Model echo(here, "echo");
  run(pipeline, {1, 2});
  EXPECT_EQ(service_.runners().size(), 1U);
  EXPECT_THAT(run(echo, {3}), ElementsAre(3));
}

}  // namespace
}  // namespace pocket::testing
