// A model of OpenVINO's own format, described here, through the real service.
#include <gtest/gtest.h>

#include <cstdlib>

#include "pocket/pocket.h"
#include "service.h"

namespace {

// y = max(x, 0) over four values: OpenVINO IR version 11, without weights.
constexpr const char* kRelu = R"(<?xml version="1.0"?>
<net name="relu" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="4" element_type="f32"/>
      <output><port id="0" precision="FP32" names="x"><dim>4</dim></port></output>
    </layer>
    <layer id="1" name="relu" type="ReLU" version="opset1">
      <input><port id="0" precision="FP32"><dim>4</dim></port></input>
      <output><port id="1" precision="FP32" names="y"><dim>4</dim></port></output>
    </layer>
    <layer id="2" name="result" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>4</dim></port></input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
  </edges>
</net>
)";

TEST(OpenVino, RunsItsOwnFormatAndReportsABrokenFile) {
  pocket::testing::TestService service;
  pocket::testing::write_file(service.models() + "/relu/1/model.xml", kRelu);
  pocket::testing::write_file(service.models() + "/torn/1/model.onnx", "not a model");
  ASSERT_TRUE(service.start()) << service.log();
  const std::string socket = service.socket();
  pocket_connect_options options{};
  options.struct_size = sizeof(options);
  options.socket_path = socket.c_str();
  pocket_session* session = nullptr;
  ASSERT_EQ(pocket_connect(&options, &session), POCKET_OK) << pocket_last_error();
  pocket_model* model = nullptr;
  EXPECT_EQ(pocket_model_open(session, "torn", nullptr, &model), POCKET_ENGINE_ERROR);
  EXPECT_NE(std::string(pocket_last_error()).find("torn"), std::string::npos);
  ASSERT_EQ(pocket_model_open(session, "relu", nullptr, &model), POCKET_OK) << pocket_last_error();
  EXPECT_STREQ(pocket_model_engine(model), "openvino");
  uint32_t index = 9;
  EXPECT_EQ(pocket_model_output_index(model, "y", &index), POCKET_OK) << pocket_last_error();
  pocket_call* call = nullptr;
  ASSERT_EQ(pocket_call_create(model, &call), POCKET_OK);
  const int64_t shape = 4;
  const float expected[] = {0, 2, 0, 4};
  pocket_tensor tensor{};
  ASSERT_EQ(pocket_call_input(call, 0, POCKET_FLOAT32, 1, &shape, &tensor), POCKET_OK);
  for (int turn = 0; turn < 3; ++turn) {
    auto* values = static_cast<float*>(tensor.data);
    for (int i = 0; i < 4; ++i) values[i] = static_cast<float>((i % 2 == 0 ? -1 : 1) * (i + 1));
    ASSERT_EQ(pocket_call_submit(call, POCKET_FOREVER), POCKET_OK);
    ASSERT_EQ(pocket_call_wait(call, POCKET_FOREVER), POCKET_OK) << pocket_last_error();
    pocket_tensor output{};
    ASSERT_EQ(pocket_call_output(call, 0, &output), POCKET_OK) << pocket_last_error();
    ASSERT_EQ(output.bytes, sizeof(expected));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(static_cast<const float*>(output.data)[i], expected[i]);
  }
  pocket_call_destroy(call);
  pocket_model_close(model);
  pocket_session_close(session);
}

}  // namespace
