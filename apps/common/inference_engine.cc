// The monolithic twin's side: the same engine plugin and the same model, in this process.
#include <sched.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "base/checked.h"
#include "common/inference.h"
#include "engine/model.h"
#include "engine/plugin.h"
#include "model/repository.h"

namespace pocket::apps {
namespace {

template <typename T>
T checked(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

void checked(Result<void> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
}

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocate(size_t bytes) {
  return Memory(std::aligned_alloc(64, checked_align_up(std::max<size_t>(bytes, 1), 64).value()));
}

unsigned processors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set))
                                                        : 1;
}

std::string engine_folder() {
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return (program.parent_path() / "lib/pocket").string();
}

struct Output {
  Memory memory;
  pocket_engine_output raw{};
};

/// The engine, the model in it and its entry.
class LoadedModel {
 public:
  explicit LoadedModel(const InferenceOptions& options)
      : source(checked(model::Repository(options.models).find(options.model, ""))),
        engine(choose_engine(options)),
        plugin(checked(engine::Plugin::load(engine_folder(), engine))),
        model(checked(engine::Model::load(plugin, load_options(options)))) {
    for (auto& [key, value] : checked(model::read_metadata(source))) metadata[key] = value;
  }

  const model::ModelSource source;
  const std::string engine;
  const engine::Plugin plugin;
  engine::Model model;
  std::map<std::string, std::string> metadata;

 private:
  std::string choose_engine(const InferenceOptions& options) const {
    if (source.format == "null") return "null";
    return options.engine.empty() ? source.manifest.engine.value_or("openvino") : options.engine;
  }
  engine::LoadOptions load_options(const InferenceOptions& options) const {
    engine::LoadOptions load;
    load.path = source.path;
    load.threads = options.threads == 0 ? processors() : options.threads;
    load.concurrency = options.parallel;
    load.options = source.manifest.options;
    load.options.emplace_back("precision", source.manifest.precision);
    return load;
  }
};

class EngineInference final : public Inference {
 public:
  explicit EngineInference(std::shared_ptr<LoadedModel> loaded)
      : loaded_(std::move(loaded)),
        model_(loaded_->model),
        context_(checked(model_.create_context())) {
    inputs_.resize(model_.inputs().size());
    raw_inputs_.resize(inputs_.size());
    for (uint32_t index = 0; index < inputs_.size(); ++index) {
      const engine::TensorInfo& info = model_.inputs()[index];
      std::vector<int64_t> shape;
      for (int32_t axis = 0; axis < info.rank; ++axis) {
        shape.push_back(info.shape[axis] < 0 ? 1 : info.shape[axis]);
      }
      resize_input(index, shape);
    }
    outputs_.resize(model_.outputs().size());
  }

  uint32_t input_count() const override { return static_cast<uint32_t>(inputs_.size()); }
  std::string input_name(uint32_t index) const override { return model_.inputs().at(index).name; }
  int32_t input_dtype(uint32_t index) const override { return raw_inputs_.at(index).dtype; }
  std::vector<int64_t> input_shape(uint32_t index) const override {
    const pocket_engine_input& raw = raw_inputs_.at(index);
    return {raw.shape, raw.shape + raw.rank};
  }
  void* input(uint32_t index) override { return inputs_.at(index).get(); }
  void* resize_input(uint32_t index, const std::vector<int64_t>& shape) override {
    pocket_engine_input& raw = raw_inputs_.at(index);
    if (shape.size() > POCKET_MAX_RANK) throw std::runtime_error("the shape has too many sizes");
    raw.index = index;
    raw.dtype = model_.inputs()[index].dtype;
    raw.rank = static_cast<int32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), raw.shape);
    raw.bytes = checked_bytes(raw.dtype, shape);
    inputs_[index] = allocate(raw.bytes);
    raw.data = inputs_[index].get();
    return inputs_[index].get();
  }
  void run() override {
    std::vector<pocket_engine_output> raw;
    for (uint32_t index = 0; index < outputs_.size(); ++index) {
      pocket_engine_output& output = outputs_[index].raw;
      output.index = index;
      output.allocate = [](void* context, uint32_t number, size_t bytes) {
        auto& self = *static_cast<EngineInference*>(context);
        self.outputs_[number].memory = allocate(bytes);
        self.outputs_[number].raw.capacity = bytes;
        return self.outputs_[number].memory.get();
      };
      output.allocate_context = this;
      raw.push_back(output);
    }
    checked(context_.run(raw_inputs_, raw));
    for (uint32_t index = 0; index < outputs_.size(); ++index) {
      const size_t capacity = outputs_[index].raw.capacity;
      outputs_[index].raw = raw[index];
      outputs_[index].raw.capacity = capacity;
    }
  }
  uint32_t output_count() const override { return static_cast<uint32_t>(outputs_.size()); }
  OutputView output(uint32_t index) const override {
    const pocket_engine_output& raw = outputs_.at(index).raw;
    if (raw.dtype != POCKET_FLOAT32) throw std::runtime_error("the output is not float32");
    return {{raw.shape, raw.shape + raw.rank},
            {static_cast<const float*>(raw.data), raw.bytes / sizeof(float)}};
  }
  std::optional<std::string> metadata(const std::string& key) const override {
    const auto found = loaded_->metadata.find(key);
    return found == loaded_->metadata.end() ? std::nullopt : std::optional(found->second);
  }
  std::string engine() const override { return loaded_->engine; }
  std::unique_ptr<Inference> another() const override {
    return std::make_unique<EngineInference>(loaded_);
  }

 private:
  static size_t checked_bytes(int32_t dtype, const std::vector<int64_t>& shape) {
    const auto bytes = tensor_bytes(dtype, shape);
    if (!bytes) throw std::runtime_error("the model's input has no fixed size");
    return *bytes;
  }

  const std::shared_ptr<LoadedModel> loaded_;
  engine::Model& model_;
  engine::Context context_;
  std::vector<Memory> inputs_;
  std::vector<pocket_engine_input> raw_inputs_;  // of each of them
  std::vector<Output> outputs_;
};

}  // namespace

const char* const kMode = "monolithic";

std::unique_ptr<Inference> make_inference(const InferenceOptions& options) {
  return std::make_unique<EngineInference>(std::make_shared<LoadedModel>(options));
}

}  // namespace pocket::apps
