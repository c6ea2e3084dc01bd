// The standard handler: each method is one operation of src/operations, with typed parameters.
#include "pocket/handler.hpp"

#include <tensors.handler.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "operations/operation.h"

namespace pocket::tensors {
namespace {

using handler::Context;
using handler::Failure;
using operations::Parameters;

tensor::Tensor input_of(const Context& context, uint32_t index) {
  const pocket_handler_tensor raw = context.tensor(index).raw();
  tensor::Tensor input;
  input.dtype = raw.dtype;
  input.rank = raw.rank;
  std::copy_n(raw.shape, raw.rank, input.shape);
  input.data = raw.data;
  input.bytes = raw.bytes;
  return input;
}

/// Runs an operation from the tensors beside the request to those beside the reply.
void run(Context& context, const char* name, const Parameters& parameters = {}) {
  const auto operation = operations::find_operation(name);
  if (!operation.ok()) throw Failure(operation.error().code, operation.error().message);
  std::vector<tensor::Tensor> inputs;
  for (uint32_t index = 0; index < (*operation)->inputs; ++index) {
    inputs.push_back(input_of(context, index));
  }
  const auto outputs = operations::run_operation(**operation, inputs, parameters);
  if (!outputs.ok()) throw Failure(outputs.error().code, outputs.error().message);
  for (uint32_t index = 0; index < outputs->size(); ++index) {
    const tensor::Tensor& output = (*outputs)[index];
    void* room = context.raw_reply_tensor(index, output.dtype, output.dimensions(), output.bytes);
    if (output.bytes > 0) std::memcpy(room, output.data, output.bytes);
  }
}

template <typename List>
std::vector<typename List::value_type> list_of(const List& list) {
  return {list.begin(), list.end()};
}

Parameters of_axis(const OfAxis& request) {
  Parameters parameters;
  if (request.has_axis()) parameters.set("axis", request.axis());
  return parameters;
}

template <typename Request>
Parameters of_size(const Request& request) {
  Parameters parameters;
  parameters.set("height", request.height());
  parameters.set("width", request.width());
  if (request.has_fit()) parameters.set("fit", request.fit());
  if (request.has_filter()) parameters.set("filter", request.filter());
  return parameters;
}

class Handler : public TensorsHandler {
 public:
  explicit Handler(const handler::Setup&) {}

  void Add(Context& context, const TwoTensors&, OneTensor&) override { run(context, "add"); }
  void Subtract(Context& context, const TwoTensors&, OneTensor&) override {
    run(context, "subtract");
  }
  void Multiply(Context& context, const TwoTensors&, OneTensor&) override {
    run(context, "multiply");
  }
  void Divide(Context& context, const TwoTensors&, OneTensor&) override { run(context, "divide"); }
  void Sigmoid(Context& context, const OneTensor&, OneTensor&) override { run(context, "sigmoid"); }
  void Softmax(Context& context, const OfAxis& request, OneTensor&) override {
    run(context, "softmax", of_axis(request));
  }
  void Cast(Context& context, const CastRequest& request, OneTensor&) override {
    Parameters parameters;
    parameters.set("dtype", request.dtype());
    run(context, "cast", parameters);
  }
  void Constant(Context& context, const ConstantRequest& request, OneTensor&) override {
    Parameters parameters;
    parameters.set("dtype", request.dtype());
    parameters.set("values", list_of(request.values()));
    if (request.scalar() || request.shape_size() > 0) {
      parameters.set("shape", list_of(request.shape()));
    }
    run(context, "constant", parameters);
  }
  void Shape(Context& context, const OneTensor&, OneTensor&) override { run(context, "shape"); }
  void Reshape(Context& context, const ReshapeRequest& request, OneTensor&) override {
    Parameters parameters;
    parameters.set("shape", list_of(request.shape()));
    run(context, "reshape", parameters);
  }
  void Slice(Context& context, const SliceRequest& request, OneTensor&) override {
    Parameters parameters;
    parameters.set("begin", list_of(request.begin()));
    parameters.set("size", list_of(request.size()));
    run(context, "slice", parameters);
  }
  void Transpose(Context& context, const TransposeRequest& request, OneTensor&) override {
    Parameters parameters;
    parameters.set("axes", list_of(request.axes()));
    run(context, "transpose", parameters);
  }
  void Gather(Context& context, const TwoTensors&, OneTensor&) override { run(context, "gather"); }
  void Argmax(Context& context, const OfAxis& request, OneTensor&) override {
    run(context, "argmax", of_axis(request));
  }
  void TopK(Context& context, const TopKRequest& request, TwoTensors&) override {
    Parameters parameters;
    parameters.set("k", request.k());
    run(context, "top_k", parameters);
  }
  void Nms(Context& context, const NmsRequest& request, OneTensor&) override {
    Parameters parameters;
    if (request.has_overlap()) parameters.set("overlap", request.overlap());
    if (request.has_least_score()) parameters.set("least_score", request.least_score());
    if (request.has_most()) parameters.set("most", request.most());
    run(context, "nms", parameters);
  }
  void DecodeImage(Context& context, const DecodeImageRequest& request, OneTensor&) override {
    Parameters parameters;
    if (request.has_most_pixels()) parameters.set("most_pixels", request.most_pixels());
    run(context, "decode_image", parameters);
  }
  void ResizeImage(Context& context, const ResizeImageRequest& request, OneTensor&) override {
    run(context, "resize_image", of_size(request));
  }
  void ImageInput(Context& context, const ImageInputRequest& request, OneTensor&) override {
    Parameters parameters = of_size(request);
    if (request.has_layout()) parameters.set("layout", request.layout());
    if (request.has_channels()) parameters.set("channels", request.channels());
    if (request.mean_size() > 0) parameters.set("mean", list_of(request.mean()));
    if (request.scale_size() > 0) parameters.set("scale", list_of(request.scale()));
    run(context, "image_input", parameters);
  }
};

}  // namespace
}  // namespace pocket::tensors

POCKET_HANDLER(pocket::tensors::TensorsService, pocket::tensors::Handler)
