// The pipeline engine: operations, models and handlers one after the other, tensors staying here.
#include "pocket/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>

#include "model/pipeline_file.h"
#include "plan.h"
#include "run.h"

using namespace pocket;                   // NOLINT: of a plugin, which exports one function
using namespace pocket::pipeline_engine;  // NOLINT

struct pocket_engine_model {
  Plan plan;
};
struct pocket_engine_context {
  const pocket_engine_model* model;
};

namespace {

int32_t fail(pocket_engine_error* error, const Error& why) {
  fmt::format_to_n(error->message, sizeof(error->message) - 1, "{}", why.message).out[0] = '\0';
  return why.code;
}

/// Nothing thrown may cross the interface.
template <typename Body>
int32_t contained(pocket_engine_error* error, Body body) {
  try {
    Result<void> done = body();
    return done.ok() ? static_cast<int32_t>(POCKET_OK) : fail(error, done.error());
  } catch (const std::bad_alloc&) {
    return fail(error, {POCKET_RESOURCE_EXHAUSTED, "no memory is left for the pipeline"});
  } catch (const std::exception& thrown) {
    return fail(error, {POCKET_INTERNAL, thrown.what()});
  }
}

Result<std::unique_ptr<pocket_engine_model>> load_pipeline(
    const pocket_engine_load_options& options) {
  for (const auto& option : std::span(options.options, options.option_count)) {
    const std::string key = option.key;
    if (key == "precision" || key == "cache_dir") continue;
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("unknown option '{}': a pipeline has none of its own; its models have "
                             "theirs",
                             key)};
  }
  POCKET_ASSIGN_OR_RETURN(const model::PipelineFile file,
                          model::read_pipeline_file(options.model_path));
  const bool has_host =
      options.struct_size >= offsetof(pocket_engine_load_options, host) + sizeof(options.host);
  auto made = std::make_unique<pocket_engine_model>();
  auto plan = make_plan(file, has_host ? options.host : nullptr);
  if (!plan.ok()) return std::move(plan).error().with_context(options.model_path);
  made->plan = std::move(*plan);
  return made;
}

int32_t load(const pocket_engine_load_options* options, pocket_engine_model** model,
             pocket_engine_error* error) {
  return contained(error, [&]() -> Result<void> {
    POCKET_ASSIGN_OR_RETURN(auto loaded, load_pipeline(*options));
    *model = loaded.release();
    return ok_result();
  });
}
void unload(pocket_engine_model* model) { delete model; }

uint32_t input_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->plan.inputs.size());
}
uint32_t output_count(const pocket_engine_model* model) {
  return static_cast<uint32_t>(model->plan.outputs.size());
}

int32_t info(const std::vector<tensor::NamedSpec>& known, uint32_t index,
             pocket_engine_tensor_info* result) {
  if (index >= known.size()) return POCKET_NOT_FOUND;
  const tensor::Spec& spec = known[index].spec;
  result->name = known[index].name.c_str();
  result->dtype = spec.dtype;
  result->rank = spec.any_rank ? -1 : static_cast<int32_t>(spec.shape.size());
  std::copy(spec.shape.begin(), spec.shape.end(), result->shape);
  return POCKET_OK;
}
int32_t input_info(const pocket_engine_model* model, uint32_t index,
                   pocket_engine_tensor_info* result) {
  return info(model->plan.inputs, index, result);
}
int32_t output_info(const pocket_engine_model* model, uint32_t index,
                    pocket_engine_tensor_info* result) {
  return info(model->plan.outputs, index, result);
}

int32_t create_context(pocket_engine_model* model, pocket_engine_context** context,
                       pocket_engine_error*) {
  *context = new pocket_engine_context{model};
  return POCKET_OK;
}
void destroy_context(pocket_engine_context* context) { delete context; }

int32_t run_call(pocket_engine_context* context, const pocket_engine_call* call,
                 const pocket_engine_input* inputs, uint32_t input_total,
                 pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  return contained(error, [&] {
    return run_plan(context->model->plan, *call, {inputs, input_total}, {outputs, output_total});
  });
}

int32_t run(pocket_engine_context* context, const pocket_engine_input* inputs, uint32_t input_total,
            pocket_engine_output* outputs, uint32_t output_total, pocket_engine_error* error) {
  const pocket_engine_call nobodys{sizeof(nobodys), 0, 0, UINT64_MAX, nullptr, nullptr};
  return run_call(context, &nobodys, inputs, input_total, outputs, output_total, error);
}

constexpr pocket_engine_api kApi = {
    .abi_version = POCKET_ENGINE_ABI_VERSION,
    .struct_size = sizeof(pocket_engine_api),
    .name = "pipeline",
    .version = "1",
    .load = load,
    .unload = unload,
    .input_count = input_count,
    .output_count = output_count,
    .input_info = input_info,
    .output_info = output_info,
    .create_context = create_context,
    .destroy_context = destroy_context,
    .run = run,
    .expect_parallel_runs = nullptr,
    .limit_threads = nullptr,
    .run_call = run_call,
    .client_gone = nullptr,
};

}  // namespace

extern "C" __attribute__((visibility("default"))) const pocket_engine_api* pocket_engine_entry(
    uint32_t) {
  return &kApi;
}
