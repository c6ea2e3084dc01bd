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
    for (const TensorInfo& info : model_.inputs()) {
      inputs_.push_back({info.name, info.dtype, {}, nullptr});
      std::vector<int64_t> shape = info.shape;
      for (auto& size : shape) size = size < 0 ? 1 : size;
      resize_input(static_cast<uint32_t>(inputs_.size() - 1), shape);
    }
  }

  uint32_t input_count() const override { return static_cast<uint32_t>(inputs_.size()); }
  std::string input_name(uint32_t index) const override { return inputs_.at(index).name; }
  int32_t input_dtype(uint32_t index) const override { return inputs_.at(index).dtype; }
  std::vector<int64_t> input_shape(uint32_t index) const override {
    return inputs_.at(index).shape;
  }
  void* input(uint32_t index) override { return inputs_.at(index).data; }
  void* resize_input(uint32_t index, const std::vector<int64_t>& shape) override {
    Input& input = inputs_.at(index);
    input.data = call_.input_of_dtype(index, input.dtype, shape).data;
    input.shape = shape;
    return input.data;
  }
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
  struct Input {
    std::string name;
    int32_t dtype;
    std::vector<int64_t> shape;
    void* data;
  };

  const std::shared_ptr<OpenModel> open_;
  Model& model_;
  Call call_;
  std::vector<Input> inputs_;
};

}  // namespace

const char* const kMode = "pocket";

std::unique_ptr<Inference> make_inference(const InferenceOptions& options) {
  return std::make_unique<PocketInference>(std::make_shared<OpenModel>(options));
}

}  // namespace pocket::apps
