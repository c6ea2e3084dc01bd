#include "daemon/model_load.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <utility>

#include "daemon/scratch.h"
#include "ipc/control_socket.h"

namespace pocket::daemon {

namespace control = wire::control;

namespace {

Result<void> open_for(const model::ModelSource& source, const Config& config,
                      control::RunnerLoadT& load, std::vector<UniqueFd>& files) {
  if (source.file_bytes >= config.scratch_from && files.size() < ipc::kMaxControlFds) {
    POCKET_ASSIGN_OR_RETURN(auto file, open_scratch(config.scratch_dir));
    files.push_back(std::move(file));
    load.scratch = static_cast<uint32_t>(files.size());
  }
  // make_load() has put them into the order in the order they have here.
  for (size_t index = 0; index < load.uses.size(); ++index) {
    POCKET_RETURN_IF_ERROR(
        open_for(*source.uses[index].source, config, *load.uses[index]->load, files));
  }
  return ok_result();
}

}  // namespace

std::string chosen_engine(const model::ModelSource& source, const std::string& wanted,
                          const Config& config) {
  for (const char* own : {"null", "handler", "pipeline"}) {
    if (source.format == own) return own;
  }
  if (!wanted.empty()) return wanted;
  return source.manifest.engine.value_or(config.default_engine);
}

std::string copy_key(const model::ModelSource& source, const std::string& engine,
                     const std::string& digest, const Config& config) {
  const model::Manifest& manifest = source.manifest;
  std::string key = fmt::format("{}\n{}\nprecision={} threads={} concurrency={}", digest, engine,
                                manifest.precision, manifest.threads.value_or(config.threads),
                                manifest.concurrency.value_or(config.concurrency));
  for (const auto& [name, value] : manifest.options) key += fmt::format(" {}={}", name, value);
  for (const auto& use : source.uses) {
    const std::string chosen = chosen_engine(*use.source, "", config);
    key +=
        fmt::format("\nuses {} ({})", use.name, copy_key(*use.source, chosen, use.digest, config));
  }
  return key;
}

control::RunnerLoadT make_load(const model::ModelSource& source, const std::string& engine,
                               const std::string& digest, const Config& config,
                               const std::string& cache) {
  const model::Manifest& manifest = source.manifest;
  control::RunnerLoadT load;
  load.path = source.path;
  load.engine = engine;
  load.key = copy_key(source, engine, digest, config);
  load.threads = manifest.threads.value_or(config.threads);
  load.concurrency = manifest.concurrency.value_or(config.concurrency);
  load.warmup = manifest.warmup;
  load.label = source.name;
  const auto add_option = [&load](const std::string& key, const std::string& value) {
    auto option = std::make_unique<control::OptionT>();
    option->key = key;
    option->value = value;
    load.options.push_back(std::move(option));
  };
  add_option("precision", manifest.precision);
  if (!cache.empty()) add_option("cache_dir", cache);
  for (const auto& [key, value] : manifest.options) add_option(key, value);
  for (const auto& use : source.uses) {
    auto used = std::make_unique<control::ModelUseT>();
    used->name = use.name;
    used->load = std::make_unique<control::RunnerLoadT>(
        make_load(*use.source, chosen_engine(*use.source, "", config), use.digest, config, cache));
    load.uses.push_back(std::move(used));
  }
  return load;
}

std::vector<UniqueFd> add_scratch(const model::ModelSource& source, const Config& config,
                                  control::RunnerLoadT& load) {
  std::vector<UniqueFd> files;
  if (config.scratch_dir.empty()) return files;
  if (auto opened = open_for(source, config, load, files); !opened.ok()) {
    spdlog::warn("model '{}' stays in memory as a whole: {}", source.name, opened.error().message);
  }
  return files;
}

}  // namespace pocket::daemon
