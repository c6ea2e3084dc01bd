#include "engine/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checked.h"

namespace pocket::engine {

// Whether a plugin's table, which may be older than ours, reaches as far as an optional function.
#define POCKET_HAS(api, function)                                                           \
  ((api)->struct_size >= offsetof(pocket_engine_api, function) + sizeof((api)->function) && \
   (api)->function != nullptr)

namespace {

Error engine_error(const pocket_engine_api* api, const char* what, int32_t status,
                   const pocket_engine_error& error) {
  const auto code = status == POCKET_OK ? POCKET_INTERNAL : static_cast<pocket_status>(status);
  return Error{code, fmt::format("{} ({}): {}", what, api->name, error.message)};
}

using InfoFunction = int32_t (*)(const pocket_engine_model*, uint32_t, pocket_engine_tensor_info*);

Result<std::vector<TensorInfo>> read_infos(const pocket_engine_model* model, uint32_t count,
                                           InfoFunction function) {
  std::vector<TensorInfo> infos;
  for (uint32_t index = 0; index < count; ++index) {
    pocket_engine_tensor_info raw{};
    if (const int32_t status = function(model, index, &raw); status != POCKET_OK) {
      return Error{static_cast<pocket_status>(status),
                   fmt::format("engine gave no information on tensor {}", index)};
    }
    TensorInfo info;
    info.name = raw.name == nullptr ? "" : raw.name;
    info.dtype = raw.dtype;
    info.rank = raw.rank;
    if (raw.rank > POCKET_MAX_RANK) {
      return Error{POCKET_UNIMPLEMENTED,
                   fmt::format("tensor '{}' has rank {}; Pocket carries up to {}", info.name,
                               raw.rank, POCKET_MAX_RANK)};
    }
    std::copy_n(raw.shape, std::max(raw.rank, 0), info.shape);
    infos.push_back(std::move(info));
  }
  return infos;
}

}  // namespace

uint64_t TensorInfo::static_bytes() const {
  return rank < 0 ? 0 : tensor_bytes(dtype, dimensions()).value_or(0);
}

Context::~Context() {
  if (context_ != nullptr) api_->destroy_context(context_);
}

Result<void> Context::run(std::span<const pocket_engine_input> inputs,
                          std::span<pocket_engine_output> outputs, const pocket_engine_call* call) {
  static constexpr pocket_engine_call kOwn = {
      sizeof(pocket_engine_call), 0, 0, UINT64_MAX, nullptr, nullptr};
  pocket_engine_error error;
  error.message[0] = '\0';
  const auto input_count = static_cast<uint32_t>(inputs.size());
  const auto output_count = static_cast<uint32_t>(outputs.size());
  const int32_t status =
      POCKET_HAS(api_, run_call)
          ? api_->run_call(context_, call == nullptr ? &kOwn : call, inputs.data(), input_count,
                           outputs.data(), output_count, &error)
          : api_->run(context_, inputs.data(), input_count, outputs.data(), output_count, &error);
  if (status != POCKET_OK) return engine_error(api_, "running the model", status, error);
  return ok_result();
}

Result<Model> Model::load(const Plugin& plugin, const LoadOptions& options) {
  const pocket_engine_api* api = &plugin.api();
  std::vector<pocket_engine_option> pairs;
  for (const auto& [key, value] : options.options) pairs.push_back({key.c_str(), value.c_str()});
  pocket_engine_load_options raw{};
  raw.struct_size = sizeof(raw);
  raw.model_path = options.path.c_str();
  raw.threads = std::max(options.threads, 1U);
  raw.concurrency = std::max(options.concurrency, 1U);
  raw.options = pairs.data();
  raw.option_count = pairs.size();
  raw.host = options.host;
  raw.scratch = options.scratch;
  raw.rests = options.rests ? 1 : 0;
  pocket_engine_error error;
  error.message[0] = '\0';
  pocket_engine_model* handle = nullptr;
  if (const int32_t status = api->load(&raw, &handle, &error); status != POCKET_OK) {
    return engine_error(api, fmt::format("loading '{}'", options.path).c_str(), status, error);
  }
  Model model(api, handle);
  model.remark_ = error.message;
  POCKET_ASSIGN_OR_RETURN(model.inputs_,
                          read_infos(handle, api->input_count(handle), api->input_info));
  POCKET_ASSIGN_OR_RETURN(model.outputs_,
                          read_infos(handle, api->output_count(handle), api->output_info));
  return model;
}

Model::~Model() {
  if (model_ != nullptr) api_->unload(model_);
}

Result<Context> Model::create_context() {
  pocket_engine_error error;
  error.message[0] = '\0';
  pocket_engine_context* context = nullptr;
  if (const int32_t status = api_->create_context(model_, &context, &error); status != POCKET_OK) {
    return engine_error(api_, "making an execution context", status, error);
  }
  return Context(api_, context);
}

void Model::expect_parallel_runs(uint32_t runs) {
  if (POCKET_HAS(api_, expect_parallel_runs)) api_->expect_parallel_runs(model_, runs);
}

void Model::limit_threads(uint32_t threads) {
  if (POCKET_HAS(api_, limit_threads)) api_->limit_threads(model_, threads);
}

bool Model::gives_back() const { return POCKET_HAS(api_, give_back); }

void Model::give_back() {
  if (gives_back()) api_->give_back(model_);
}

bool Model::follows_calls() const { return POCKET_HAS(api_, run_call); }

void Model::client_gone(uint64_t client) {
  if (POCKET_HAS(api_, client_gone)) api_->client_gone(model_, client);
}

#undef POCKET_HAS

}  // namespace pocket::engine
