// The one thing that differs between an app and its monolithic twin: where the model runs.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pocket::apps {

struct InferenceOptions {
  std::string model;
  std::string socket;     // Pocket: of the service; empty: the usual places
  std::string models;     // monolithic: folder of the model repository
  std::string engine;     // empty: the model's own choice
  unsigned parallel = 1;  // calls at once, over one loaded model
  unsigned threads = 0;   // monolithic: threads of the engine; 0: as many as processors
};

struct OutputView {
  std::vector<int64_t> shape;
  std::span<const float> values;
};

/// What the last call cost in the service.
struct Cost {
  double queue_ms = 0;    // from seen by the runner to start of the engine
  double compute_ms = 0;  // inside the engine
};

/// A model and the tensors of one call. One thread. Functions throw std::runtime_error.
class Inference {
 public:
  virtual ~Inference() = default;
  virtual uint32_t input_count() const = 0;
  virtual std::string input_name(uint32_t index) const = 0;
  virtual int32_t input_dtype(uint32_t index = 0) const = 0;
  /// As it is set now; at first the model's own, with 1 where any size will do.
  virtual std::vector<int64_t> input_shape(uint32_t index = 0) const = 0;
  /// Where an input is written, before each run() that shall see another one.
  virtual void* input(uint32_t index = 0) = 0;
  /// Gives an input another shape and returns where it is written now; its contents are undefined.
  virtual void* resize_input(uint32_t index, const std::vector<int64_t>& shape) = 0;
  virtual void run() = 0;
  virtual uint32_t output_count() const = 0;
  /// Valid until the next run().
  virtual OutputView output(uint32_t index) const = 0;
  /// What the model's entry says under a key.
  virtual std::optional<std::string> metadata(const std::string& key) const = 0;
  virtual std::string engine() const = 0;
  /// None when the engine runs in this process: then the call's own time says it all.
  virtual std::optional<Cost> cost() const { return std::nullopt; }
  /// Another one over the same loaded model, for another thread.
  virtual std::unique_ptr<Inference> another() const = 0;
};

/// "pocket" in the app, "monolithic" in its twin: the two implementations are two files.
extern const char* const kMode;
std::unique_ptr<Inference> make_inference(const InferenceOptions& options);

}  // namespace pocket::apps
