// pocket infer: one call of any model, from .npy files or a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/npy.h"
#include "picture/picture.h"
#include "pocket/pocket.hpp"

namespace pocket::cli {
namespace {

using nlohmann::json;

struct Options {
  ServiceOptions service;
  std::string model, version, engine;
  std::vector<std::string> inputs;  // NAME=FILE.npy
  std::string image;
  std::string output_dir;
  int top = 5;
  double timeout_s = 0;
  bool receipt = false;
};

Result<void> set_array(Call& call, uint32_t index, const Array& array) {
  if (array.dtype == POCKET_STRING) {
    call.input_strings(index, array.shape, array.strings);
    return ok_result();
  }
  const pocket_tensor room = call.input_of_dtype(index, array.dtype, array.shape);
  std::memcpy(room.data, array.data.data(), std::min(room.bytes, array.data.size()));
  return ok_result();
}

/// NAME=FILE, or only FILE for a model with one input.
Result<void> set_file(const Model& model, Call& call, const std::string& text) {
  const size_t equals = text.find('=');
  const std::string file = equals == std::string::npos ? text : text.substr(equals + 1);
  uint32_t index = 0;
  if (equals != std::string::npos) {
    index = model.input_index(text.substr(0, equals));
  } else if (model.inputs().size() != 1) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("model '{}' has {} inputs: write --input NAME={}", model.name(),
                             model.inputs().size(), file)};
  }
  POCKET_ASSIGN_OR_RETURN(const Array array, read_npy(file));
  return set_array(call, index, array);
}

Result<void> set_image(const Model& model, Call& call, const std::string& file) {
  POCKET_ASSIGN_OR_RETURN(const auto picture, picture::read_picture(file));
  POCKET_ASSIGN_OR_RETURN(const auto spec, picture::ImageSpec::from_metadata(
                                               [&](auto& key) { return model.metadata(key); }));
  const auto inputs = model.inputs();
  if (inputs.size() != 1) {
    return Error{POCKET_INVALID_ARGUMENT, "--image needs a model with one input"};
  }
  auto shape = inputs[0].shape;
  POCKET_ASSIGN_OR_RETURN(const auto size, picture::picture_size(spec, shape));
  if (shape[0] < 0) shape[0] = 1;
  if (inputs[0].dtype == POCKET_FLOAT32) {
    picture::fill(picture, spec, size, call.input<float>(0, shape).data());
  } else if (inputs[0].dtype == POCKET_UINT8) {
    picture::fill(picture, spec, size, call.input<uint8_t>(0, shape).data());
  } else {
    return Error{POCKET_UNIMPLEMENTED,
                 fmt::format("--image cannot make {} inputs", pocket_dtype_name(inputs[0].dtype))};
  }
  return ok_result();
}

Array copy_output(const Call& call, uint32_t index) {
  const Tensor tensor = call.output(index);
  Array array;
  array.dtype = tensor.dtype();
  array.shape.assign(tensor.shape().begin(), tensor.shape().end());
  if (array.dtype == POCKET_STRING) {
    const size_t count = std::accumulate(array.shape.begin(), array.shape.end(), size_t{1},
                                         [](size_t a, int64_t b) { return a * b; });
    for (size_t element = 0; element < count; ++element) {
      array.strings.emplace_back(call.output_string(index, element));
    }
  } else if (tensor.bytes() > 0) {
    const auto* bytes = static_cast<const char*>(tensor.data());
    array.data.assign(bytes, bytes + tensor.bytes());
  }
  return array;
}

/// The best classes where the model has labels and its first output one score for each of them.
json best_labels(const Model& model, const Call& call, int top) {
  std::vector<std::string> names;
  std::istringstream text(model.metadata("labels").value_or(""));
  for (std::string line; std::getline(text, line);) names.push_back(line);
  json best = json::array();
  const Tensor output = call.output(0);
  if (names.empty() || output.dtype() != POCKET_FLOAT32) return best;
  const auto scores = output.values<float>();
  if (scores.size() != names.size()) return best;
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min<size_t>(order.size(), static_cast<size_t>(top)));
  for (const size_t index : order) {
    best.push_back({{"label", names[index]}, {"index", index}, {"score", scores[index]}});
  }
  return best;
}

std::string file_name(std::string name) {
  std::replace(name.begin(), name.end(), '/', '_');
  return name.empty() ? "output" : name;
}

json receipt_json(const pocket_receipt& receipt) {
  return {{"queue_ms", static_cast<double>(receipt.queue_ns) / 1e6},
          {"compute_ms", static_cast<double>(receipt.compute_ns) / 1e6},
          {"cpu_ms", static_cast<double>(receipt.cpu_ns) / 1e6},
          {"bytes_in", receipt.bytes_in},
          {"bytes_out", receipt.bytes_out},
          {"lent_cpus", receipt.lent_cpu / 1e3},
          {"borrowed_cpus", receipt.borrowed_cpu / 1e3},
          {"lent_memory_bytes", uint64_t{receipt.lent_memory_pages} * 4096}};
}

void print_receipt(const json& receipt) {
  fmt::print(
      "receipt: {:.2f} ms waiting, {:.2f} ms in the engine, {:.2f} ms of processor time; {} bytes "
      "in, {} out; lent {:.3f} processors and {:.1f} MB, of {:.3f} borrowed in all\n",
      receipt["queue_ms"].get<double>(), receipt["compute_ms"].get<double>(),
      receipt["cpu_ms"].get<double>(), receipt["bytes_in"].get<uint64_t>(),
      receipt["bytes_out"].get<uint64_t>(), receipt["lent_cpus"].get<double>(),
      static_cast<double>(receipt["lent_memory_bytes"].get<uint64_t>()) / 1e6,
      receipt["borrowed_cpus"].get<double>());
}

Result<json> run_call(const Options& options) {
  const Session session(ConnectOptions{.socket = options.service.socket, .client_name = "pocket"});
  const Model model(session, options.model,
                    OpenOptions{.version = options.version, .engine = options.engine});
  Call call(model);
  if (!options.image.empty()) POCKET_RETURN_IF_ERROR(set_image(model, call, options.image));
  for (const auto& input : options.inputs) POCKET_RETURN_IF_ERROR(set_file(model, call, input));
  const uint64_t start_ns = monotonic_ns();
  call.run(options.timeout_s > 0 ? static_cast<uint64_t>(options.timeout_s * 1e9) : POCKET_FOREVER);
  const double call_ms = static_cast<double>(monotonic_ns() - start_ns) / 1e6;
  json outputs = json::array();
  const auto infos = model.outputs();
  for (uint32_t index = 0; index < infos.size(); ++index) {
    const Array array = copy_output(call, index);
    json entry = {{"name", infos[index].name},
                  {"dtype", pocket_dtype_name(array.dtype)},
                  {"shape", array.shape}};
    if (!options.output_dir.empty()) {
      const auto path =
          std::filesystem::path(options.output_dir) / (file_name(infos[index].name) + ".npy");
      POCKET_RETURN_IF_ERROR(write_npy(path.string(), array));
      entry["file"] = path.string();
    }
    outputs.push_back(std::move(entry));
  }
  const pocket_receipt receipt = call.receipt();
  json result{{"model", model.name()},
              {"version", model.version()},
              {"engine", model.engine()},
              {"outputs", outputs},
              {"labels", best_labels(model, call, options.top)},
              {"call_ms", call_ms},
              {"retries", call.retries()},
              {"queue_ms", static_cast<double>(receipt.queue_ns) / 1e6},
              {"compute_ms", static_cast<double>(receipt.compute_ns) / 1e6}};
  if (options.receipt) result["receipt"] = receipt_json(receipt);
  return result;
}

Result<int> infer(const Options& options) {
  if (options.inputs.empty() && options.image.empty()) {
    return Error{POCKET_INVALID_ARGUMENT,
                 fmt::format("give --input NAME=FILE.npy or --image FILE; `pocket models inspect "
                             "{}` lists the inputs",
                             options.model)};
  }
  if (!options.output_dir.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options.output_dir, error);
    if (error) return errno_error(fmt::format("'{}'", options.output_dir), error.value());
  }
  auto report = [&]() -> Result<json> {
    try {
      return run_call(options);
    } catch (const StatusError& error) {
      return Error{static_cast<pocket_status>(error.status()), error.what()};
    }
  }();
  if (!report.ok()) return std::move(report).error();
  if (!options.service.json.empty()) {
    POCKET_RETURN_IF_ERROR(write_json(options.service.json, *report));
    if (options.service.json == "-") return 0;
  }
  for (const auto& label : (*report)["labels"]) {
    fmt::print("{:6.3f}  {}\n", label["score"].get<float>(), label["label"].get<std::string>());
  }
  for (const auto& output : (*report)["outputs"]) {
    fmt::print("{}: {} {}{}\n", output["name"].get<std::string>(),
               output["dtype"].get<std::string>(), output["shape"].dump(),
               output.contains("file") ? " in " + output["file"].get<std::string>() : "");
  }
  fmt::print("{:.2f} ms, of them {:.2f} ms in {}\n", (*report)["call_ms"].get<double>(),
             (*report)["compute_ms"].get<double>(), (*report)["engine"].get<std::string>());
  if (options.receipt) print_receipt((*report)["receipt"]);
  return 0;
}

}  // namespace

void add_infer_command(CLI::App& app, Action& action) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("infer", "Run a model once");
  command->add_option("model", options->model, "Name of the model")->required();
  command->add_option("--input", options->inputs, "An input: NAME=FILE.npy (repeat for more)")
      ->type_name("NAME=FILE");
  command->add_option("--image", options->image, "A picture as the input (JPEG, PNG, BMP, PPM)")
      ->type_name("FILE");
  command->add_option("--output-dir", options->output_dir, "Write each output as NAME.npy")
      ->type_name("DIR");
  command->add_option("--top", options->top, "How many labels")->check(CLI::Range(1, 100'000));
  command->add_option("--version", options->version, "Version (default: the newest)");
  command->add_option("--engine", options->engine, "Engine (default: the model's own)");
  command->add_flag("--receipt", options->receipt,
                    "Say what the call cost and what was lent for it");
  command->add_option("--timeout", options->timeout_s, "Seconds until the call is given up")
      ->check(CLI::Range(0.0, 1e6));
  add_service_options(*command, options->service);
  command->callback([&action, options] { action = [options] { return infer(*options); }; });
}

}  // namespace pocket::cli
