// Operations on tensors: what they give, and what they refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "operations/operation.h"

namespace pocket::operations {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename T>
Tensor make(int32_t dtype, std::vector<int64_t> shape, std::vector<T> values) {
  auto tensor = tensor::make_tensor(dtype, shape);
  EXPECT_TRUE(tensor.ok());
  EXPECT_EQ(tensor->count(), values.size());
  std::copy(values.begin(), values.end(), tensor->template values<T>());
  return std::move(*tensor);
}
Tensor floats(std::vector<int64_t> shape, std::vector<float> values) {
  return make<float>(POCKET_FLOAT32, std::move(shape), std::move(values));
}
Tensor wholes(std::vector<int64_t> shape, std::vector<int64_t> values) {
  return make<int64_t>(POCKET_INT64, std::move(shape), std::move(values));
}

Parameters with(std::initializer_list<std::pair<const char*, Parameter>> values) {
  Parameters parameters;
  for (const auto& [name, value] : values) parameters.set(name, value);
  return parameters;
}
using Wholes = std::vector<int64_t>;
using Numbers = std::vector<double>;

/// Runs an operation; what it gives is also what was foretold.
Result<std::vector<Tensor>> run(std::string_view name, std::vector<Tensor> inputs,
                                const Parameters& parameters = {}) {
  POCKET_ASSIGN_OR_RETURN(const Operation* operation, find_operation(name));
  auto outputs = run_operation(*operation, inputs, parameters);
  std::vector<Spec> specs, unknown;
  for (const auto& input : inputs) {
    specs.push_back(input.spec());
    unknown.push_back({POCKET_DTYPE_UNDEFINED, true, {}});
  }
  if (!outputs.ok()) return outputs;
  for (const auto& given : {specs, unknown}) {
    const auto foretold = infer_operation(*operation, given, parameters);
    EXPECT_TRUE(foretold.ok()) << foretold.error().message;
    EXPECT_EQ(outputs->size(), operation->outputs);
    for (size_t index = 0; foretold.ok() && index < outputs->size(); ++index) {
      EXPECT_TRUE(may_fit((*outputs)[index].spec(), (*foretold)[index]))
          << name << ": " << spec_text((*outputs)[index].spec()) << " is not "
          << spec_text((*foretold)[index]);
    }
  }
  return outputs;
}
template <typename T>
std::vector<T> values_of(const Result<std::vector<Tensor>>& outputs, size_t index = 0) {
  EXPECT_TRUE(outputs.ok()) << (outputs.ok() ? "" : outputs.error().message);
  if (!outputs.ok()) return {};
  const Tensor& tensor = (*outputs)[index];
  return {tensor.values<T>(), tensor.values<T>() + tensor.count()};
}
std::string refusal(const Result<std::vector<Tensor>>& outputs) {
  EXPECT_FALSE(outputs.ok());
  return outputs.ok() ? "" : outputs.error().message;
}
std::vector<int64_t> shape_of(const Result<std::vector<Tensor>>& outputs) {
  return outputs.ok() ? (*outputs)[0].spec().shape : Wholes{};
}

TEST(Operations, OfTwoTensors) {
  const Tensor a = floats({2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(values_of<float>(run("divide", {a, floats({}, {2})})), ElementsAre(0.5, 1, 1.5, 2));
  EXPECT_THAT(values_of<float>(run("divide", {floats({1}, {12}), a})), ElementsAre(12, 6, 4, 3));
  EXPECT_THAT(values_of<float>(run("subtract", {a, a})), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(values_of<int64_t>(run("multiply", {wholes({2}, {3, -4}), wholes({2}, {5, 6})})),
              ElementsAre(15, -24));
  EXPECT_THAT(refusal(run("add", {a, floats({3}, {1, 2, 3})})),
              HasSubstr("add: float32 [2, 2] and float32 [3] have neither"));
  EXPECT_THAT(refusal(run("add", {a, wholes({2, 2}, {1, 2, 3, 4})})), HasSubstr("cast one"));
  EXPECT_THAT(refusal(run("divide", {wholes({2}, {1, 2}), wholes({2}, {1, 0})})),
              HasSubstr("divided by 0"));
  EXPECT_THAT(refusal(run("divide", {a})), HasSubstr("takes 2 tensors, 1 were given"));
}

TEST(Operations, WholeNumbersWrapAroundAndDoNotTrap) {
  const int64_t least = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(values_of<int64_t>(run("divide", {wholes({1}, {least}), wholes({1}, {-1})})),
              ElementsAre(least));
  EXPECT_THAT(values_of<int64_t>(run("subtract", {wholes({1}, {least}), wholes({1}, {1})})),
              ElementsAre(std::numeric_limits<int64_t>::max()));
  const Tensor byte = make<uint8_t>(POCKET_UINT8, {1}, {255});
  EXPECT_THAT(values_of<uint8_t>(run("multiply", {byte, byte})), ElementsAre(1));
}

TEST(Operations, SigmoidSoftmaxCast) {
  EXPECT_THAT(values_of<float>(run("sigmoid", {floats({3}, {0, 100, -100})})),
              ElementsAre(0.5F, 1.0F, testing::FloatNear(0, 1e-30F)));
  const auto soft = values_of<float>(run("softmax", {floats({2, 2}, {1000, 1000, 0, 0})}));
  EXPECT_THAT(soft, ElementsAre(0.5F, 0.5F, 0.5F, 0.5F));
  const auto down =
      values_of<float>(run("softmax", {floats({2, 1}, {0, 0})}, with({{"axis", int64_t{0}}})));
  EXPECT_THAT(down, ElementsAre(0.5F, 0.5F));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(values_of<uint8_t>(run("cast", {floats({5}, {-3, 3.7F, 300, 1e30F, nan})},
                                     with({{"dtype", std::string("uint8")}}))),
              ElementsAre(0, 3, 255, 255, 0));
  EXPECT_THAT(refusal(run("cast", {floats({}, {1})}, with({{"dtype", std::string("str")}}))),
              HasSubstr("'dtype' must be"));
  EXPECT_THAT(refusal(run("softmax", {floats({2}, {1, 2})}, with({{"axis", int64_t{3}}}))),
              HasSubstr("no axis 3"));
  EXPECT_THAT(refusal(run("sigmoid", {wholes({1}, {1})})), HasSubstr("it may be float32, float64"));
}

TEST(Operations, Constants) {
  const auto made =
      run("constant", {}, with({{"dtype", std::string("int32")}, {"values", Wholes{1, 2}}}));
  EXPECT_THAT(values_of<int32_t>(made), ElementsAre(1, 2));
  const auto filled = run(
      "constant", {},
      with({{"dtype", std::string("float32")}, {"values", Numbers{0.5}}, {"shape", Wholes{1, 3}}}));
  EXPECT_THAT(values_of<float>(filled), ElementsAre(0.5, 0.5, 0.5));
  EXPECT_THAT(refusal(run("constant", {},
                          with({{"dtype", std::string("uint8")}, {"values", Wholes{256}}}))),
              HasSubstr("256 is no uint8"));
  EXPECT_THAT(refusal(run("constant", {},
                          with({{"dtype", std::string("float32")},
                                {"values", Numbers{1}},
                                {"shape", Wholes{1 << 20, 1 << 20}}}))),
              HasSubstr("more than the 1073741824"));
  EXPECT_THAT(refusal(run("constant", {}, with({{"dtype", std::string("float32")}}))),
              HasSubstr("'values' is missing"));
}

TEST(Operations, ShapeAndReshape) {
  const Tensor a = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_THAT(values_of<int64_t>(run("shape", {a})), ElementsAre(2, 3));
  EXPECT_THAT(shape_of(run("reshape", {a}, with({{"shape", Wholes{3, -1}}}))), ElementsAre(3, 2));
  EXPECT_THAT(values_of<float>(run("reshape", {a}, with({{"shape", Wholes{6}}}))),
              ElementsAre(0, 1, 2, 3, 4, 5));
  for (const auto& shape : {Wholes{7}, Wholes{-1, -1}, Wholes{-2}, Wholes{4, -1}, Wholes{0, -1},
                            Wholes(9, 1), Wholes{INT64_MAX, INT64_MAX}}) {
    EXPECT_FALSE(run("reshape", {a}, with({{"shape", shape}})).ok());
  }
}

TEST(Operations, SliceTransposeGather) {
  const Tensor a = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  const auto slice = [&](Wholes begin, Wholes size) {
    return run("slice", {a}, with({{"begin", begin}, {"size", size}}));
  };
  EXPECT_THAT(values_of<float>(slice({0, 1}, {2, 2})), ElementsAre(1, 2, 4, 5));
  EXPECT_THAT(values_of<float>(slice({1, 0}, {-1, -1})), ElementsAre(3, 4, 5));
  EXPECT_THAT(values_of<float>(slice({2, 3}, {0, 0})), ElementsAre());
  for (const auto& [begin, size] : {std::pair<Wholes, Wholes>{{0, 0}, {3, 1}},
                                    {{-1, 0}, {1, 1}},
                                    {{3, 0}, {0, 1}},
                                    {{0}, {1}},
                                    {{0, INT64_MAX}, {1, INT64_MAX}},
                                    {{0, 0}, {1, -2}}}) {
    EXPECT_FALSE(slice(begin, size).ok());
  }
  EXPECT_THAT(values_of<float>(run("transpose", {a}, with({{"axes", Wholes{1, 0}}}))),
              ElementsAre(0, 3, 1, 4, 2, 5));
  for (const auto& axes : {Wholes{0}, Wholes{0, 0}, Wholes{1, 2}, Wholes{-1, 0}}) {
    EXPECT_FALSE(run("transpose", {a}, with({{"axes", axes}})).ok());
  }
  EXPECT_THAT(values_of<float>(run("gather", {a, wholes({3}, {1, 0, 1})})),
              ElementsAre(3, 4, 5, 0, 1, 2, 3, 4, 5));
  EXPECT_THAT(refusal(run("gather", {a, wholes({1}, {2})})), HasSubstr("no row 2"));
  EXPECT_THAT(refusal(run("gather", {a, wholes({1}, {-1})})), HasSubstr("no row -1"));
}

TEST(Operations, TheLargest) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor a = floats({2, 3}, {1, 3, 3, nan, -1, nan});
  EXPECT_THAT(values_of<int64_t>(run("argmax", {a})), ElementsAre(1, 1));
  EXPECT_THAT(values_of<int64_t>(run("argmax", {a}, with({{"axis", int64_t{0}}}))),
              ElementsAre(0, 0, 0));
  const auto top = run("top_k", {a}, with({{"k", int64_t{2}}}));
  EXPECT_THAT(values_of<int64_t>(top, 1), ElementsAre(1, 2, 1, 0));
  EXPECT_EQ(values_of<float>(top)[0], 3);
  EXPECT_THAT(refusal(run("top_k", {a}, with({{"k", int64_t{4}}}))), HasSubstr("no 4 largest"));
  EXPECT_THAT(refusal(run("top_k", {a}, with({{"k", int64_t{0}}}))), HasSubstr("from 1 to"));
  EXPECT_FALSE(run("argmax", {floats({0}, {})}).ok());
  EXPECT_FALSE(run("argmax", {floats({}, {1})}).ok());
}

TEST(Operations, BoxesThatOverlapGo) {
  const Tensor boxes = floats({4, 4}, {0, 0, 10, 10, 1, 1, 11, 11, 20, 20, 30, 30, 0, 0, 10, 10});
  const Tensor scores = floats({4}, {0.8F, 0.9F, 0.5F, 0.1F});
  EXPECT_THAT(values_of<int64_t>(run("nms", {boxes, scores})), ElementsAre(1, 2));
  EXPECT_THAT(values_of<int64_t>(run("nms", {boxes, scores}, with({{"overlap", 0.9}}))),
              ElementsAre(1, 0, 2));
  EXPECT_THAT(values_of<int64_t>(run("nms", {boxes, scores}, with({{"most", int64_t{1}}}))),
              ElementsAre(1));
  EXPECT_THAT(values_of<int64_t>(run("nms", {boxes, scores}, with({{"least_score", 0.95}}))),
              ElementsAre());
  EXPECT_FALSE(run("nms", {boxes, floats({3}, {1, 1, 1})}).ok());
  EXPECT_FALSE(run("nms", {floats({4, 3}, std::vector<float>(12, 1)), scores}).ok());
  EXPECT_FALSE(run("nms", {boxes, scores}, with({{"overlap", 2.0}})).ok());
}

TEST(Operations, UnknownNamesAreToldWithTheNearest) {
  EXPECT_THAT(refusal(run("argmaxx", {floats({1}, {1})})), HasSubstr("did you mean 'argmax'?"));
  EXPECT_THAT(refusal(run("top_k", {floats({1}, {1})}, with({{"kk", int64_t{1}}}))),
              HasSubstr("unknown parameter 'kk'; did you mean 'k'?"));
}

}  // namespace
}  // namespace pocket::operations
