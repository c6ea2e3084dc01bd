// Pipelines as they are written: what is understood, and what is refused with its line.
#include "model/pipeline_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pocket/dtype.h"

namespace pocket::model {
namespace {

using testing::HasSubstr;

constexpr const char* kGood = R"(
[[inputs]]
name = "file"
dtype = "uint8"
shape = [-1]
[[steps]]
operation = "top_k"
inputs = ["scores"]
outputs = ["values", "indices"]
parameters = { k = 5, mean = [1, 2.5], axes = [0, 1], fit = "stretch", overlap = 0.5 }
[[steps]]
name = "look"
model = "eye@3"
inputs = { image = "file" }
outputs = { probabilities = "scores" }
[[steps]]
handler = "judge"
method = "Decide"
inputs = ["values"]
outputs = ["verdict"]
[[outputs]]
name = "verdict"
[[outputs]]
name = "indices"
)";

std::string refusal(const std::string& text) {
  auto file = parse_pipeline(text, "model.pipeline");
  EXPECT_FALSE(file.ok());
  if (file.ok()) return "";
  EXPECT_EQ(file.error().code, POCKET_INVALID_ARGUMENT);
  return file.error().message;
}
/// kGood with one text replaced.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = kGood;
  const size_t place = text.find(from);
  EXPECT_NE(place, std::string::npos) << from;
  return text.replace(place, from.size(), to);
}

TEST(PipelineFile, IsReadAndPutInOrder) {
  auto file = parse_pipeline(kGood, "model.pipeline");
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->inputs.size(), 1U);
  EXPECT_EQ(file->inputs[0].dtype, POCKET_UINT8);
  EXPECT_THAT(file->inputs[0].shape, testing::ElementsAre(-1));
  ASSERT_EQ(file->steps.size(), 3U);
  EXPECT_EQ(file->steps[0].label, "look");
  EXPECT_EQ(file->steps[0].target, "eye");
  EXPECT_EQ(file->steps[0].wanted, "eye@3");
  EXPECT_EQ(file->steps[0].inputs[0].port, "image");
  EXPECT_EQ(file->steps[0].outputs[0].tensor, "scores");
  EXPECT_EQ(file->steps[1].label, "top_k");
  EXPECT_EQ(file->steps[1].parameters.size(), 5U);
  EXPECT_EQ(file->steps[2].kind, PipelineStep::Kind::kHandler);
  EXPECT_EQ(file->steps[2].method, "Decide");
  EXPECT_THAT(file->outputs, testing::ElementsAre("verdict", "indices"));
}

TEST(PipelineFile, ATensorThatNothingMakesIsNamedWithTheStepThatWantsIt) {
  EXPECT_THAT(refusal(changed("inputs = [\"scores\"]", "inputs = [\"score\"]")),
              HasSubstr("line 6: step 'top_k' takes 'score', which no step and no input makes; did "
                        "you mean 'scores'?"));
  EXPECT_THAT(refusal(changed("name = \"verdict\"", "name = \"verdicts\"")),
              HasSubstr("makes the output 'verdicts'; did you mean 'verdict'?"));
}

TEST(PipelineFile, CirclesAndSecondMakersAreRefused) {
  EXPECT_THAT(refusal(changed("image = \"file\"", "image = \"verdict\"")),
              HasSubstr("in a circle: 'top_k', 'look', 'judge'"));
  EXPECT_THAT(refusal(changed("[\"verdict\"]", "[\"file\"]")),
              HasSubstr("step 'judge' makes 'file', which is also made by the pipeline's input"));
  EXPECT_THAT(refusal(changed("[\"verdict\"]", "[\"scores\"]")),
              HasSubstr("also made by step 'look'"));
}

TEST(PipelineFile, WhatIsNotUnderstoodIsRefusedWithItsLine) {
  EXPECT_THAT(refusal(changed("operation = ", "operator = ")),
              HasSubstr("line 7: unknown key 'operator'; did you mean 'operation'?"));
  EXPECT_THAT(refusal(changed("operation = \"top_k\"", "")),
              HasSubstr("one of 'operation', 'model'"));
  EXPECT_THAT(refusal(changed("method = \"Decide\"", "")), HasSubstr("has a 'method'"));
  EXPECT_THAT(refusal(changed("\"uint8\"", "\"byte\"")), HasSubstr("an input has a name, a dtype"));
  EXPECT_THAT(refusal(changed("shape = [-1]", "shape = [-2]")), HasSubstr("-1 for any"));
  EXPECT_THAT(refusal(changed("k = 5", "k = true")), HasSubstr("parameter 'k' must be"));
  EXPECT_THAT(refusal(changed("k = 5", "k = ['a']")), HasSubstr("parameter 'k' must be"));
  EXPECT_THAT(refusal(changed("inputs = [\"scores\"]", "inputs = 'scores'")),
              HasSubstr("'inputs' must be a list"));
  EXPECT_THAT(refusal(changed("eye@3", "../eye")), HasSubstr("is no name of a model"));
  EXPECT_THAT(refusal("steps = 3"), HasSubstr("line 1: 'steps' must be"));
  EXPECT_THAT(refusal(""), HasSubstr("at least one of [[steps]]"));
  EXPECT_THAT(refusal("[[steps]"), HasSubstr("model.pipeline line 1"));
}

}  // namespace
}  // namespace pocket::model
