#include "answers.h"

#include <fmt/format.h>

#include <algorithm>

#include "pocket/status.h"

namespace pocket::equality {
namespace {

/// Without digits: engines number the operations that they make, process by process.
std::string without_digits(std::string text) {
  std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
  return text;
}

/// What the engine itself said: the text after "(<engine>): ", which Pocket must carry along.
std::string engine_words(const std::string& message) {
  const size_t end = message.find("): ");
  return end == std::string::npos ? message : message.substr(end + 3);
}

bool carries(const std::string& message, const std::string& words) {
  return !words.empty() && without_digits(message).find(without_digits(words)) != std::string::npos;
}

std::string difference(const Answer& in_process, const Answer& through_pocket) {
  if (in_process.status != through_pocket.status) {
    return fmt::format("in process {} ({}), through Pocket {} ({})",
                       pocket_status_name(in_process.status), in_process.message,
                       pocket_status_name(through_pocket.status), through_pocket.message);
  }
  if (in_process.status != POCKET_OK) {
    const std::string words = engine_words(in_process.message);
    if (carries(through_pocket.message, words)) return {};
    return fmt::format("in process the engine said '{}', through Pocket '{}'", words,
                       through_pocket.message);
  }
  if (in_process.outputs.size() != through_pocket.outputs.size()) return "other outputs";
  for (size_t index = 0; index < in_process.outputs.size(); ++index) {
    const OutputTensor& one = in_process.outputs[index];
    const OutputTensor& other = through_pocket.outputs[index];
    if (one == other) continue;
    Tensor exact;
    exact.index = static_cast<uint32_t>(index);
    exact.dtype = one.dtype;
    exact.shape = one.shape;
    exact.bytes = one.bytes;
    return "through Pocket " + difference(exact, other.dtype, other.shape, other.bytes);
  }
  return {};
}

}  // namespace

std::vector<Tensor> match_inputs(const Call& call, const std::vector<Port>& ports) {
  std::vector<Tensor> matched;
  for (const auto& input : call.inputs) {
    const auto found = std::find_if(ports.begin(), ports.end(),
                                    [&](const Port& port) { return port.name == input.name; });
    if (!input.name.empty() && found == ports.end()) continue;
    matched.push_back(input);
    if (input.name.empty()) continue;
    matched.back().index = static_cast<uint32_t>(found - ports.begin());
  }
  return matched;
}

std::string difference(const Answers& in_process, const Answers& through_pocket) {
  const std::string load = difference(in_process.load, through_pocket.load);
  if (!load.empty()) return "loading: " + load;
  if (in_process.inputs != through_pocket.inputs || in_process.outputs != through_pocket.outputs) {
    return "the model's inputs or outputs are described in another way";
  }
  if (in_process.calls.size() != through_pocket.calls.size()) return "calls are missing";
  for (size_t index = 0; index < in_process.calls.size(); ++index) {
    const std::string call = difference(in_process.calls[index], through_pocket.calls[index]);
    if (!call.empty()) return fmt::format("call {}: {}", index, call);
  }
  return {};
}

}  // namespace pocket::equality
