// The test models that `make test` leaves in .deps/test-models, and the calls to make with each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pocket::equality {

/// A tensor with its values as docs/format-region.md lays them out; strings are packed.
struct Tensor {
  uint32_t index = 0;  // of the model's inputs or outputs
  std::string name;    // empty: not known
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::string bytes;
  // How far an output may be from these values; both 0: bit for bit.
  double relative = 0;
  double absolute = 0;
};

struct Call {
  std::vector<Tensor> inputs;
  std::vector<Tensor> wanted;  // known answers; may be empty
};

struct Case {
  std::string name;
  std::string folder;  // <root>/repository/<name>
  std::vector<Call> calls;
};

/// Where the test models are; empty, after a line that says why, when they were not built.
std::string test_models_root();

/// Every case below `root`, and below `<root>-tensorflow` where that is, by name. Throws
/// std::exception for a file that is not as written.
std::vector<Case> read_cases(const std::string& root);

/// True for the cases that tools/test-models/saved_models.py wrote, for TensorFlow alone.
bool is_tensorflow_case(const Case& each);

/// True when the case's calls are made with `engine`: null has its own, TensorFlow reads
/// SavedModels.
bool is_for(const Case& each, const std::string& engine);

/// Makes `<models>/<name>` a link to each case's folder, so that a service serves them.
void link_models(const std::vector<Case>& cases, const std::string& models);

/// Empty when `given` is what `wanted` asks for; else what is different, with the first bad
/// element.
std::string difference(const Tensor& wanted, int32_t dtype, const std::vector<int64_t>& shape,
                       const std::string& bytes);

/// The engines in a folder that read models. Handlers and pipelines are loaded like engines, but
/// have formats and tests of their own.
std::vector<std::string> model_engines(const std::string& engine_dir);

}  // namespace pocket::equality
