#include "cases.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/engine_names.h"
#include "pocket/dtype.h"

namespace pocket::equality {
namespace {

namespace fs = std::filesystem;

int32_t dtype_of(const std::string& name) {
  for (int32_t dtype = POCKET_FLOAT32; dtype <= POCKET_BFLOAT16; ++dtype) {
    if (name == pocket_dtype_name(dtype)) return dtype;
  }
  throw std::runtime_error("no dtype is called '" + name + "'");
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

template <typename T>
T field(const toml::table& table, const char* key) {
  const auto value = table[key].value<T>();
  if (!value) throw std::runtime_error(fmt::format("a case lacks '{}'", key));
  return *value;
}

std::vector<Tensor> read_tensors(const toml::table& call, const char* key,
                                 const std::string& data) {
  std::vector<Tensor> tensors;
  const auto* array = call[key].as_array();
  for (size_t position = 0; array != nullptr && position < array->size(); ++position) {
    const toml::table& entry = *array->get(position)->as_table();
    Tensor tensor;
    tensor.index = field<uint32_t>(entry, "index");
    tensor.name = entry["name"].value_or(std::string());
    tensor.dtype = dtype_of(field<std::string>(entry, "dtype"));
    for (const auto& size : *entry["shape"].as_array()) {
      tensor.shape.push_back(size.value<int64_t>().value());
    }
    const auto bytes = field<uint64_t>(entry, "bytes");
    tensor.bytes = data.substr(field<uint64_t>(entry, "offset"), bytes);
    if (tensor.bytes.size() != bytes) throw std::runtime_error("a case's values are missing");
    tensor.relative = entry["relative"].value_or(0.0);
    tensor.absolute = entry["absolute"].value_or(0.0);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Case read_case(const fs::path& root, const std::string& name) {
  const toml::table table = toml::parse(read_file(root / "cases" / (name + ".toml")));
  const std::string data = read_file(root / "cases" / (name + ".bin"));
  Case result;
  result.name = name;
  result.folder = (root / "repository" / name).string();
  const auto* calls = table["calls"].as_array();
  for (size_t index = 0; calls != nullptr && index < calls->size(); ++index) {
    const toml::table& call = *calls->get(index)->as_table();
    result.calls.push_back(
        {read_tensors(call, "inputs", data), read_tensors(call, "wanted", data)});
  }
  return result;
}

}  // namespace

std::string test_models_root() {
  const char* named = std::getenv("POCKET_TEST_MODELS");
  std::string root = named != nullptr ? named : POCKET_TEST_MODELS_DIR;
  if (fs::exists(root + "/repository")) return root;
  std::printf("no test models in %s: run tools/make-test-models, or set POCKET_TEST_MODELS\n",
              root.c_str());
  return {};
}

std::vector<Case> read_cases(const std::string& root) {
  std::vector<Case> cases;
  for (const std::string& each : {root, root + "-tensorflow"}) {
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(fs::path(each) / "repository", missing)) {
      cases.push_back(read_case(each, entry.path().filename().string()));
    }
  }
  std::sort(cases.begin(), cases.end(),
            [](const Case& one, const Case& other) { return one.name < other.name; });
  return cases;
}

bool is_tensorflow_case(const Case& each) { return each.name.starts_with("tf_"); }

bool is_for(const Case& each, const std::string& engine) {
  const fs::path folder = fs::path(each.folder) / "1";
  if (fs::exists(folder / "model.null") || engine == "null") {
    return fs::exists(folder / "model.null") && engine == "null";
  }
  if (engine == "tensorflow") return fs::exists(folder / "model.savedmodel");
  return !is_tensorflow_case(each);
}

void link_models(const std::vector<Case>& cases, const std::string& models) {
  for (const auto& each : cases) {
    fs::create_directory_symlink(fs::absolute(each.folder), fs::path(models) / each.name);
  }
}

std::vector<std::string> model_engines(const std::string& engine_dir) {
  auto engines = list_engines(engine_dir);
  std::erase_if(engines, [](const auto& name) { return name == "handler" || name == "pipeline"; });
  return engines;
}

}  // namespace pocket::equality
