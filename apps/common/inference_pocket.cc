// The app's side: a thin client.
#include "common/inference.h"
#include "pocket/pocket.hpp"

namespace pocket::apps {
namespace {

struct OpenModel {
  explicit OpenModel(const InferenceOptions& options)
      : session(ConnectOptions{.socket = options.socket}),
        model(session, options.model, OpenOptions{.engine = options.engine}) {}
  Session session;
  Model model;
};

class PocketInference final : public Inference {
 public:
  explicit PocketInference(std::shared_ptr<OpenModel> open)
      : open_(std::move(open)), model_(open_->model), call_(model_) {
    const TensorInfo info = model_.inputs().at(0);
    dtype_ = info.dtype;
    shape_ = info.shape;
    for (auto& size : shape_) size = size < 0 ? 1 : size;
    input_ = call_.input_of_dtype(0, dtype_, shape_).data;
  }

  int32_t input_dtype() const override { return dtype_; }
  std::vector<int64_t> input_shape() const override { return shape_; }
  void* input() override { return input_; }
  void run() override { call_.run(); }
  uint32_t output_count() const override {
    return static_cast<uint32_t>(pocket_model_output_count(model_.handle()));
  }
  OutputView output(uint32_t index) const override {
    const Tensor tensor = call_.output(index);
    return {{tensor.shape().begin(), tensor.shape().end()}, tensor.values<float>()};
  }
  std::optional<std::string> metadata(const std::string& key) const override {
    return model_.metadata(key);
  }
  std::string engine() const override { return model_.engine(); }
  std::optional<Cost> cost() const override {
    const pocket_receipt receipt = call_.receipt();
    return Cost{static_cast<double>(receipt.queue_ns) / 1e6,
                static_cast<double>(receipt.compute_ns) / 1e6};
  }
  std::unique_ptr<Inference> another() const override {
    return std::make_unique<PocketInference>(open_);
  }

 private:
  const std::shared_ptr<OpenModel> open_;
  Model& model_;
  Call call_;
  int32_t dtype_;
  std::vector<int64_t> shape_;
  void* input_;
};

}  // namespace

const char* const kMode = "pocket";

std::unique_ptr<Inference> make_inference(const InferenceOptions& options) {
  return std::make_unique<PocketInference>(std::make_shared<OpenModel>(options));
}

}  // namespace pocket::apps
