#include "options.h"

#include <algorithm>
#include <charconv>
#include <protozero/pbf_builder.hpp>

#include "refusal.h"

namespace pocket::tensorflow_engine {
namespace {

constexpr uint32_t kMostThreads = 1024;

uint32_t read_threads(const std::string& key, const std::string& value) {
  uint32_t threads = 0;
  const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), threads);
  if (status != std::errc() || end != value.data() + value.size() || threads < 1 ||
      threads > kMostThreads) {
    throw Refusal(
        POCKET_INVALID_ARGUMENT,
        key + " is a number from 1 to " + std::to_string(kMostThreads) + ", not '" + value + "'");
  }
  return threads;
}

/// The words between commas.
std::vector<std::string> read_tags(const std::string& value) {
  std::vector<std::string> tags;
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    if (end > begin) tags.push_back(value.substr(begin, end - begin));
    begin = end + 1;
  }
  return tags;
}

/// The fields of ConfigProto that are set; the numbers are TensorFlow's (protobuf/config.proto).
enum class Config : protozero::pbf_tag_type {
  kIntraOpThreads = 2,
  kInterOpThreads = 5,
  kThreadsOfOwnSession = 9,
};

}  // namespace

Options read_options(const pocket_engine_load_options& given) {
  Options options;
  options.intra_op_threads = given.threads;
  options.inter_op_threads = std::min(given.threads, given.concurrency);
  for (size_t index = 0; index < given.option_count; ++index) {
    const std::string key = given.options[index].key;
    const std::string value = given.options[index].value;
    if (key == "precision") {
      // TensorFlow computes float32 in float32 unless the model says otherwise.
      if (value != "float32" && value != "auto") {
        throw Refusal(POCKET_INVALID_ARGUMENT,
                      "precision is 'float32' or 'auto', not '" + value + "'");
      }
    } else if (key == "signature") {
      options.signature = value;
    } else if (key == "tags") {
      options.tags = read_tags(value);
    } else if (key == "intra_op_threads") {
      options.intra_op_threads = read_threads(key, value);
    } else if (key == "inter_op_threads") {
      options.inter_op_threads = read_threads(key, value);
    } else if (key == "state") {
      if (value != "refuse" && value != "keep") {
        throw Refusal(POCKET_INVALID_ARGUMENT, "state is 'refuse' or 'keep', not '" + value + "'");
      }
      options.keep_state = value == "keep";
    } else if (key != "cache_dir") {  // TensorFlow keeps no compiled models
      throw Refusal(POCKET_INVALID_ARGUMENT,
                    "unknown option '" + key +
                        "': tensorflow knows precision, cache_dir, signature, tags, "
                        "intra_op_threads, inter_op_threads and state");
    }
  }
  return options;
}

std::string session_config(const Options& options) {
  std::string bytes;
  protozero::pbf_builder<Config> config(bytes);
  config.add_int32(Config::kIntraOpThreads, static_cast<int32_t>(options.intra_op_threads));
  config.add_int32(Config::kInterOpThreads, static_cast<int32_t>(options.inter_op_threads));
  config.add_bool(Config::kThreadsOfOwnSession, true);
  return bytes;
}

}  // namespace pocket::tensorflow_engine
