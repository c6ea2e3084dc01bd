#include "model.h"

#include <filesystem>
#include <string_view>

#include "refusal.h"
#include "state.h"

namespace pocket::tensorflow_engine {
namespace {

int32_t status_of(TF_Code code) {
  switch (code) {
    case TF_RESOURCE_EXHAUSTED:
      return POCKET_RESOURCE_EXHAUSTED;
    case TF_DATA_LOSS:
      return POCKET_DATA_LOSS;
    case TF_UNIMPLEMENTED:
      return POCKET_UNIMPLEMENTED;
    default:
      return POCKET_ENGINE_ERROR;
  }
}

std::vector<TF_Output> resolve(TF_Graph* graph, const std::vector<Port>& ports) {
  std::vector<TF_Output> outputs;
  for (const auto& port : ports) {
    TF_Operation* operation = TF_GraphOperationByName(graph, port.operation.c_str());
    if (operation == nullptr || port.output < 0 ||
        port.output >= TF_OperationNumOutputs(operation)) {
      throw Refusal(POCKET_ENGINE_ERROR, "the signature's '" + port.name + "' names '" +
                                             port.operation + ":" + std::to_string(port.output) +
                                             "', which the graph does not have");
    }
    const TF_Output output{operation, port.output};
    if (TF_OperationOutputType(output) != tensorflow_type(port.dtype)) {
      throw Refusal(POCKET_ENGINE_ERROR, "the signature tells another element type of '" +
                                             port.name + "' than the graph");
    }
    outputs.push_back(output);
  }
  return outputs;
}

/// TensorFlow takes a SavedModel without this file for one that has no variables, and each call
/// fails.
void check_variables(const std::string& model) {
  const auto folder = std::filesystem::path(model) / "variables";
  std::error_code ignored;
  if (std::filesystem::is_directory(folder, ignored) &&
      !std::filesystem::is_empty(folder, ignored) &&
      !std::filesystem::exists(folder / "variables.index", ignored)) {
    throw Refusal(POCKET_DATA_LOSS, "'" + folder.string() +
                                        "' lacks variables.index: a part of the model is missing");
  }
}

}  // namespace

void check(const TF_Status* status) {
  const TF_Code code = TF_GetCode(status);
  if (code != TF_OK) throw Refusal(status_of(code), TF_Message(status));
}

Model::Model(const pocket_engine_load_options& given)
    : options_(read_options(given)), graph_(TF_NewGraph()) {
  check_variables(given.model_path);
  const Owned<TF_Status> status(TF_NewStatus());
  const Owned<TF_SessionOptions> settings(TF_NewSessionOptions());
  const std::string config = session_config(options_);
  TF_SetConfig(settings.get(), config.data(), config.size(), status.get());
  check(status.get());
  std::vector<const char*> tags;
  for (const auto& tag : options_.tags) tags.push_back(tag.c_str());
  const Owned<TF_Buffer> meta_graph(TF_NewBuffer());
  session_ = TF_LoadSessionFromSavedModel(settings.get(), nullptr, given.model_path, tags.data(),
                                          static_cast<int>(tags.size()), graph_.get(),
                                          meta_graph.get(), status.get());
  check(status.get());
  try {
    const std::string_view bytes(static_cast<const char*>(meta_graph->data), meta_graph->length);
    signature_ = read_signature(bytes, options_.signature);
    feeds_ = resolve(graph_.get(), signature_.inputs);
    fetches_ = resolve(graph_.get(), signature_.outputs);
    const std::string state = options_.keep_state ? "" : find_state(bytes, signature_);
    if (!state.empty()) {
      throw Refusal(POCKET_UNIMPLEMENTED,
                    "operation " + state +
                        " leaves something in the model, which the calls of other clients would "
                        "see: export it without, or set the option state = 'keep'");
    }
  } catch (...) {
    TF_DeleteSession(session_, status.get());
    throw;
  }
}

Model::~Model() {
  const Owned<TF_Status> status(TF_NewStatus());
  TF_CloseSession(session_, status.get());
  TF_DeleteSession(session_, status.get());
}

std::vector<Owned<TF_Tensor>> Model::run(std::span<const uint32_t> given,
                                         std::span<TF_Tensor* const> values,
                                         std::span<const uint32_t> wanted) {
  std::vector<TF_Output> feeds, fetches;
  for (const uint32_t index : given) feeds.push_back(feeds_.at(index));
  for (const uint32_t index : wanted) fetches.push_back(fetches_.at(index));
  std::vector<TF_Tensor*> results(wanted.size(), nullptr);
  const Owned<TF_Status> status(TF_NewStatus());
  TF_SessionRun(session_, nullptr, feeds.data(), values.data(), static_cast<int>(feeds.size()),
                fetches.data(), results.data(), static_cast<int>(fetches.size()), nullptr, 0,
                nullptr, status.get());
  std::vector<Owned<TF_Tensor>> owned;
  for (TF_Tensor* result : results) owned.emplace_back(result);
  check(status.get());
  return owned;
}

}  // namespace pocket::tensorflow_engine
