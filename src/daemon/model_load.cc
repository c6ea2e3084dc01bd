#include "daemon/model_load.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace pocket::daemon {

namespace control = wire::control;

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

}  // namespace pocket::daemon
