#include "common/app.h"

#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>

#include "base/clock.h"
#include "common/load.h"
#include "common/memory.h"
#include "picture/rows.h"
#include "pocket/dtype.h"

namespace pocket::apps {
namespace {

using nlohmann::json;

struct Options {
  InferenceOptions inference;
  std::string input;
  std::string json_file;
  Load load;
  bool gate = false;
};

Options default_options(const AppDescription& app) {
  Options options;
  options.inference.model = app.model;
  options.inference.models = data_folder(app.models);
  options.input = data_folder(app.data) + "/" + app.picture;
  return options;
}

void add_options(CLI::App& parser, const AppDescription& app, Options& options) {
  parser.add_option("--input", options.input, app.input_text)->capture_default_str();
  parser.add_option("--calls", options.load.calls, "Calls, each timed")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  parser
      .add_option("--seconds", options.load.seconds, "Call for this long instead of --calls times")
      ->check(CLI::Range(0.0, 86400.0));
  parser
      .add_option("--rate", options.load.rate,
                  "Open loop: so many calls a second at random moments (--seconds, --seed); times "
                  "count from the moment a call was due")
      ->check(CLI::Range(0.001, 1e6));
  parser.add_option("--seed", options.load.seed, "Of the random moments")->capture_default_str();
  parser.add_option("--warm-up", options.load.warm_up, "Untimed calls after the first")
      ->check(CLI::Range(0, 1'000'000));
  parser.add_option("--parallel", options.inference.parallel, "Calls at once, over one model")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  parser.add_flag("--gate", options.gate,
                  "Print 'ready' after the warm-up, and go on when a line comes in");
  parser.add_option("--json", options.json_file, "Write one JSON object; '-' or none: to stdout")
      ->type_name("FILE")
      ->expected(0, 1)
      ->default_str("-");
  parser.add_option("--model", options.inference.model, "Name of the model")->capture_default_str();
  parser.add_option("--engine", options.inference.engine, "Engine (default: the model's own)");
  if (std::string(kMode) == "pocket") {
    parser.add_option("--socket", options.inference.socket,
                      "Socket of the service (default: the usual places)");
  } else {
    parser.add_option("--models", options.inference.models, "Folder of the model repository")
        ->capture_default_str();
    parser.add_option("--threads", options.inference.threads,
                      "Threads of the engine (default: as many as processors)");
  }
}

template <typename T>
T checked(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

template <typename T>
picture::Placement fill(const AppDescription& app, const Job& job, const picture::ImageSpec& spec,
                        T* target) {
  return app.row_by_row ? checked(picture::fill_from_file(job.file, spec, job.input, target))
                        : picture::fill(job.picture, spec, job.input, target);
}

/// Writes the picture into the model's input as the model's entry wants it.
void preprocess(const AppDescription& app, Inference& inference, Job& job) {
  const auto spec = checked(picture::ImageSpec::from_metadata(
      [&](const std::string& key) { return inference.metadata(key); }));
  job.input = checked(picture::picture_size(spec, inference.input_shape()));
  if (inference.input_dtype() == POCKET_FLOAT32) {
    job.placement = fill(app, job, spec, static_cast<float*>(inference.input()));
  } else if (inference.input_dtype() == POCKET_UINT8) {
    job.placement = fill(app, job, spec, static_cast<uint8_t*>(inference.input()));
  } else {
    throw std::runtime_error(std::string("a picture cannot be made ") +
                             pocket_dtype_name(inference.input_dtype()));
  }
}

void wait_at_gate() {
  std::puts("ready");
  std::fflush(stdout);
  std::string line;
  std::getline(std::cin, line);
}

json run(const AppDescription& app, const Options& options, uint64_t start_ns) {
  json timing;
  uint64_t step_ns = monotonic_ns();
  Job job;
  job.file = options.input;
  if (app.read) {
    app.read(options.input);
  } else if (!app.row_by_row) {
    job.picture = checked(picture::read_picture(options.input));
  }
  timing["decode_ms"] = ms_since(step_ns);
  step_ns = monotonic_ns();
  const auto inference = make_inference(options.inference);
  timing["open_ms"] = ms_since(step_ns);
  step_ns = monotonic_ns();
  if (app.prepare) {
    app.prepare(*inference);
  } else {
    preprocess(app, *inference, job);
  }
  timing["preprocess_ms"] = ms_since(step_ns);
  ::malloc_trim(0);  // what decoding needed goes back to the system
  step_ns = monotonic_ns();
  inference->run();
  timing["first_ms"] = ms_since(step_ns);
  json result = app.interpret(*inference, job);
  timing["start_to_first_ms"] = ms_since(start_ns);
  timing["first_answer_monotonic_ns"] = monotonic_ns();
  job.picture = {};
  give_back_memory();
  for (int call = 0; call < options.load.warm_up; ++call) inference->run();
  if (options.gate) wait_at_gate();
  step_ns = monotonic_ns();
  const uint64_t cpu_ns = processor_time_ns();
  CallTimes times = timed_calls(*inference, options.load, options.inference.parallel);
  timing["calls_took_ms"] = ms_since(step_ns);
  timing["calls_ms"] = std::move(times.calls);
  if (!times.queue.empty()) {
    timing["queue_ms"] = std::move(times.queue);
    timing["compute_ms"] = std::move(times.compute);
  }
  timing["calls_cpu_ms"] = static_cast<double>(processor_time_ns() - cpu_ns) / 1e6;
  json memory = memory_of_process();  // while it holds an answer
  return {{"app", app.name},
          {"mode", kMode},
          {"model", options.inference.model},
          {"engine", inference->engine()},
          {"note", inference->metadata("description").value_or("")},
          {"input", options.input},
          {"result", std::move(result)},
          {"timing", std::move(timing)},
          {"memory", std::move(memory)}};
}

void write(const AppDescription& app, const Options& options, const json& report) {
  if (options.json_file.empty()) {
    fmt::print("{}first answer {:.1f} ms after the start; then {:.2f} ms\n",
               app.describe(report["result"]), report["timing"]["start_to_first_ms"].get<double>(),
               report["timing"]["calls_ms"].back().get<double>());
    return;
  }
  const std::string text = report.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  if (options.json_file == "-") {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream out(options.json_file);
  out << text << std::flush;
  if (!out) throw std::runtime_error("cannot write '" + options.json_file + "'");
}

}  // namespace

std::string data_folder(const char* name) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const auto& root : {program / "../../.deps", program / "../share/pocket"}) {
    const auto folder = (root / name).lexically_normal();
    if (std::filesystem::is_directory(folder, error)) return folder.string();
  }
  return name;
}

int run_app(const AppDescription& app, int argc, char** argv) {
  const uint64_t start_ns = monotonic_ns();
  try {
    CLI::App parser(fmt::format("{} ({})", app.text, kMode));
    Options options = default_options(app);
    add_options(parser, app, options);
    if (app.add_options) app.add_options(parser);
    try {
      parser.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return parser.exit(error) == 0 ? 0 : 2;
    }
    if (options.load.rate > 0 && options.load.seconds <= 0) {
      std::fprintf(stderr, "%s: --rate needs --seconds, how long to call\n", app.name);
      return 2;
    }
    write(app, options, run(app, options, start_ns));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", app.name, error.what());
    return 1;
  }
}

}  // namespace pocket::apps
