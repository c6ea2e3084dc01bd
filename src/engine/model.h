// A model loaded in an engine, and the contexts that run it: owning wrappers of pocket/engine.h.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/plugin.h"

namespace pocket::engine {

/// Name, dtype and shape of an input or output; -1: dynamic size (or, as rank, any rank).
/// POCKET_DTYPE_UNDEFINED: any type, and such an input may be left out.
struct TensorInfo {
  std::string name;
  int32_t dtype = 0;
  int32_t rank = 0;
  int64_t shape[POCKET_MAX_RANK] = {};

  std::span<const int64_t> dimensions() const {
    return {shape, static_cast<size_t>(rank < 0 ? 0 : rank)};
  }
  /// Bytes of the tensor when its shape is fixed and its elements are not strings; else 0.
  uint64_t static_bytes() const;
};

struct LoadOptions {
  std::string path;
  uint32_t threads = 1;
  uint32_t concurrency = 1;
  std::vector<std::pair<std::string, std::string>> options;
  const pocket_engine_host* host = nullptr;  // outlives the model
  bool rests = false;                        // give_back() will be called while nobody calls it
  int scratch =
      -1;  // an empty file on a disk, for what need not stay in memory; may be closed later
};

class Model;

/// Runs a model, one call at a time. Move-only; must be destroyed before its model.
class Context {
 public:
  Context(Context&& other) noexcept
      : api_(other.api_), context_(std::exchange(other.context_, nullptr)) {}
  Context& operator=(Context&&) = delete;
  ~Context();

  /// Blocks until the outputs are written; see pocket_engine_output for who allocates.
  /// `call`: for engines that want to know whose it is; null: the host's own.
  Result<void> run(std::span<const pocket_engine_input> inputs,
                   std::span<pocket_engine_output> outputs,
                   const pocket_engine_call* call = nullptr);

 private:
  friend class Model;
  Context(const pocket_engine_api* api, pocket_engine_context* context)
      : api_(api), context_(context) {}
  const pocket_engine_api* api_;
  pocket_engine_context* context_;
};

/// One loaded model. Move-only. Information is constant after loading; any thread.
class Model {
 public:
  static Result<Model> load(const Plugin& plugin, const LoadOptions& options);
  Model(Model&& other) noexcept
      : api_(other.api_),
        model_(std::exchange(other.model_, nullptr)),
        inputs_(std::move(other.inputs_)),
        outputs_(std::move(other.outputs_)),
        remark_(std::move(other.remark_)) {}
  Model& operator=(Model&&) = delete;
  ~Model();

  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  const std::vector<TensorInfo>& outputs() const { return outputs_; }
  /// What the engine has to say of a load that went well, for the log; mostly nothing.
  const std::string& remark() const { return remark_; }
  Result<Context> create_context();
  /// Tells the engine how many calls are about to run at once; cheap.
  void expect_parallel_runs(uint32_t runs);
  /// Tells the engine how many threads its runs may keep busy from now on; 0: no bound.
  void limit_threads(uint32_t threads);
  /// Whether the engine has something to give back while the model rests.
  bool gives_back() const;
  /// Lets go what only calls need; the next one has it again. One thread at a time.
  void give_back();
  /// Whether the engine looks at whose a call is, and whether somebody still waits for it.
  bool follows_calls() const;
  /// Tells the engine that no call of this client comes any more.
  void client_gone(uint64_t client);

 private:
  Model(const pocket_engine_api* api, pocket_engine_model* model) : api_(api), model_(model) {}
  const pocket_engine_api* api_;
  pocket_engine_model* model_;
  std::vector<TensorInfo> inputs_;
  std::vector<TensorInfo> outputs_;
  std::string remark_;
};

}  // namespace pocket::engine
