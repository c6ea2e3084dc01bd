// pocket models ls | load | unload | inspect, and those of models/
#include <fmt/format.h>

#include "cli/admin.h"
#include "cli/command.h"
#include "cli/models/commands.h"
#include "model/repository.h"
#include "pocket/dtype.h"

namespace pocket::cli {
namespace {

namespace control = wire::control;
using nlohmann::json;

struct Options {
  ServiceOptions service;
  std::string name;
  std::string version;
  std::string engine;
  bool clear = false;
};

std::string shape_text(const control::TensorInfoT& tensor) {
  if (tensor.rank < 0) return "any shape";
  std::string text;
  for (int64_t size : tensor.shape) {
    text += (text.empty() ? "" : ", ") + (size < 0 ? std::string("?") : std::to_string(size));
  }
  return "[" + text + "]";
}

json tensors_json(const std::vector<std::unique_ptr<control::TensorInfoT>>& tensors) {
  json list = json::array();
  for (const auto& tensor : tensors) {
    list.push_back({{"name", tensor->name},
                    {"dtype", pocket_dtype_name(tensor->dtype)},
                    {"rank", tensor->rank},
                    {"shape", tensor->shape}});
  }
  return list;
}

json model_json(const control::ModelEntryT& model) {
  return {{"name", model.name},
          {"version", model.version},
          {"engine", model.engine},
          {"state", model.state},
          {"error", model.error},
          {"path", model.path},
          {"sha256", model.digest},
          {"file_bytes", model.file_bytes},
          {"memory_bytes", model.memory_bytes},
          {"load_ms", model.load_ms},
          {"runner_pid", model.runner_pid},
          {"channels", model.channels},
          {"inputs", tensors_json(model.inputs)},
          {"outputs", tensors_json(model.outputs)}};
}

Result<int> list(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
  POCKET_ASSIGN_OR_RETURN(const auto models, list_models(*session));
  if (!options.service.json.empty()) {
    json rows = json::array();
    for (const auto& model : models.models) rows.push_back(model_json(*model));
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, rows));
    return 0;
  }
  fmt::print("{:32} {:>7}  {:12} {:9} {:>10} {:>10} {:>8}\n", "MODEL", "VERSION", "ENGINE", "STATE",
             "FILES", "MEMORY", "CHANNELS");
  for (const auto& model : models.models) {
    fmt::print("{:32} {:>7}  {:12} {:9} {:>7.1f} MB {:>7.1f} MB {:>8}\n", model->name,
               model->version, model->engine, model->state,
               static_cast<double>(model->file_bytes) / 1e6,
               static_cast<double>(model->memory_bytes) / 1e6, model->channels);
    if (!model->error.empty()) fmt::print("  {}\n", model->error);
  }
  return 0;
}

void print_tensors(const char* title,
                   const std::vector<std::unique_ptr<control::TensorInfoT>>& tensors) {
  for (const auto& tensor : tensors) {
    fmt::print("{:8} {:24} {:10} {}\n", title, tensor->name, pocket_dtype_name(tensor->dtype),
               shape_text(*tensor));
  }
}

struct Origin {
  model::Manifest manifest;
  bool locked = false;
};

/// From the repository itself; empty where this process cannot read it.
Origin origin_of(client::Session& session, const control::ModelEntryT& model) {
  const auto status = get_status(session);
  if (!status.ok()) return {};
  auto source = model::Repository(status->models_dir).find(model.name, model.version);
  if (!source.ok()) return {};
  return {std::move(source->manifest), !source->locked_sha256.empty()};
}

/// Loads the model where it is not loaded: only then its inputs are known.
Result<int> inspect(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
  POCKET_RETURN_IF_ERROR(load_model(*session, options.name, options.version, options.engine));
  POCKET_ASSIGN_OR_RETURN(const auto models, list_models(*session));
  const control::ModelEntryT* found = nullptr;
  for (const auto& model : models.models) {
    const bool version = options.version.empty() || model->version == options.version;
    if (model->name == options.name && version) found = model.get();
  }
  if (found == nullptr) return Error{POCKET_NOT_FOUND, "the model went away meanwhile"};
  const Origin origin = origin_of(*session, *found);
  if (!options.service.json.empty()) {
    json facts = model_json(*found);
    facts.update({{"description", origin.manifest.description},
                  {"licence", origin.manifest.licence},
                  {"source", origin.manifest.source},
                  {"locked", origin.locked}});
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, facts));
    return 0;
  }
  const auto told = [](const std::string& text) { return text.empty() ? "not told" : text; };
  fmt::print("{} version {}: {} in {} (runner {})\n", found->name, found->version, found->state,
             found->engine, found->runner_pid);
  fmt::print("about    {}\nlicence  {}\nsource   {}\n", told(origin.manifest.description),
             told(origin.manifest.licence), told(origin.manifest.source));
  fmt::print("files    {} ({} bytes)\nsha256   {} ({})\n", found->path, found->file_bytes,
             found->digest, origin.locked ? "as in models.lock" : "not in models.lock");
  fmt::print("loading  {:.1f} ms, {:.1f} MB\n", found->load_ms,
             static_cast<double>(found->memory_bytes) / 1e6);
  print_tensors("input", found->inputs);
  print_tensors("output", found->outputs);
  return 0;
}

/// Requests that ended a runner twice; afterwards, with `clear`, they may run again.
Result<int> quarantine(const Options& options) {
  POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
  POCKET_ASSIGN_OR_RETURN(const auto listed, get_quarantine(*session, options.clear, options.name));
  if (!options.service.json.empty()) {
    json rows = json::array();
    for (const auto& entry : listed.requests) {
      rows.push_back({{"model", entry->model},
                      {"version", entry->version},
                      {"digest", entry->digest},
                      {"crashes", entry->crashes},
                      {"client", entry->client},
                      {"age_s", entry->age_s},
                      {"cleared", options.clear}});
    }
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, rows));
    return 0;
  }
  fmt::print("{:24} {:>7}  {:32} {:>7} {:>8}  {}\n", "MODEL", "VERSION", "DIGEST", "CRASHES", "AGE",
             "CLIENT");
  for (const auto& entry : listed.requests) {
    fmt::print("{:24} {:>7}  {:32} {:>7} {:>6.0f} s  {}\n", entry->model, entry->version,
               entry->digest, entry->crashes, entry->age_s, entry->client);
  }
  if (options.clear) fmt::print("cleared: these requests may run again\n");
  return 0;
}

}  // namespace

void add_models_command(CLI::App& app, Action& action) {
  auto* models = app.add_subcommand("models", "List, load, unload and inspect models");
  models->require_subcommand(1);
  const auto add_to = [&](CLI::App& parent, const char* name, const char* text, bool named,
                          auto run) {
    auto options = std::make_shared<Options>();
    auto* command = parent.add_subcommand(name, text);
    if (named) {
      command->add_option("model", options->name, "Name of the model")->required();
      command->add_option("--version", options->version, "Version (default: the newest)");
    }
    add_service_options(*command, options->service);
    command->callback(
        [&action, options, run] { action = [options, run] { return run(*options); }; });
    return std::pair(command, options);
  };
  const auto add = [&](const char* name, const char* text, bool named, auto run) {
    return add_to(*models, name, text, named, run);
  };
  add("ls", "List the models of the repository", false, list);
  const char* engine = "Engine (default: the model's own)";
  for (auto [command, options] :
       {add("inspect", "Show a model's inputs, outputs, cost and origin", true, inspect),
        add_to(app, "inspect", "The same as `pocket models inspect`", true, inspect)}) {
    command->add_option("--engine", options->engine, engine);
  }
  add_get_commands(*models, action);
  add_lock_commands(*models, action);
  auto [load, load_options] =
      add("load", "Load a model", true, [](const Options& options) -> Result<int> {
        POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
        POCKET_RETURN_IF_ERROR(load_model(*session, options.name, options.version, options.engine));
        return 0;
      });
  load->add_option("--engine", load_options->engine, engine);
  auto [held, held_options] =
      add("quarantine", "Show requests that are refused because they ended a runner twice", false,
          quarantine);
  held->add_option("model", held_options->name, "Of this model only");
  held->add_flag("--clear", held_options->clear, "Let them run again");
  auto [unload, unload_options] =
      add("unload", "Unload a model that no client has open", true,
          [](const Options& options) -> Result<int> {
            POCKET_ASSIGN_OR_RETURN(auto session, connect(options.service.socket));
            POCKET_RETURN_IF_ERROR(
                unload_model(*session, options.name, options.version, options.engine));
            return 0;
          });
  unload->add_option("--engine", unload_options->engine, "Engine (default: all that have it)");
}

}  // namespace pocket::cli
