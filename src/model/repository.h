// The model repository: which models there are, in which versions, and what their entries say.
// Layout: docs/format-repository.md. Nothing here opens or parses a model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pocket::model {

/// What models/<name>/model.toml may say; every key is optional.
struct Manifest {
  std::optional<std::string> engine;
  std::optional<uint32_t> threads;
  std::optional<uint32_t> concurrency;
  std::string precision = "float32";
  bool warmup = true;
  std::optional<double> keep_alive_seconds;
  std::optional<std::string> group;
  std::optional<bool> is_public;  // whether every tenant may use it; not said: access.public
  std::optional<std::string> sha256;
  std::string description;
  std::string licence;
  std::string source;
  std::string labels;             // file with one class name a line, relative to the model's folder
  std::vector<std::string> uses;  // models that this one may call: "name" or "name@version"
  std::vector<std::pair<std::string, std::string>> options;  // for the engine, sorted by key
  // What clients can ask for by key: [metadata], and [image] as "image.layout", ...
  std::vector<std::pair<std::string, std::string>> metadata;
};

struct ModelSource;

/// A model that another one may call.
struct ModelUse {
  std::string name;  // as the other one calls it
  std::string digest;
  std::shared_ptr<const ModelSource> source;  // shared by the copies of an entry
};

/// One version of one model.
struct ModelSource {
  std::string name;
  std::string version;
  std::string folder;  // models/<name>/<version>
  std::string path;    // of the model: a file, or a folder for a SavedModel
  std::string format;  // "onnx", "xml", "tflite", "savedmodel", "handler", "pipeline" or "null"
  uint64_t file_bytes = 0;
  Manifest manifest;
  std::vector<ModelUse> uses;  // set by resolve_uses()
  std::string locked_sha256;   // the digest that models.lock asks for; empty: not in it
};

/// A folder of models, read anew at each call: models may be added while the service runs.
class Repository {
 public:
  explicit Repository(std::string root) : root_(std::move(root)) {}
  const std::string& root() const { return root_; }

  /// Every version of every model, by name and rising version, and what was wrong with others.
  std::vector<ModelSource> list(std::vector<Error>* problems) const;
  /// A version of a model; an empty version means the newest. NOT_FOUND lists what there is.
  Result<ModelSource> find(const std::string& name, const std::string& version) const;

 private:
  std::string root_;
};

/// Finds what an entry says it uses (a pipeline: what its steps run), and what that uses, and so
/// on. NOT_FOUND names the missing model and who wants it; INVALID_ARGUMENT: a circle, or more than
/// four deep. Reads the files of those models (their digests), so it may take a while. Any thread.
Result<void> resolve_uses(const Repository& repository, ModelSource& source);
/// DATA_LOSS when `digest` is not the one that model.toml or the lock asks for.
Result<void> check_digest(const ModelSource& source, const std::string& digest);

/// Everything a client may know of a model beside its tensors, by key: "description", "licence",
/// "source", "labels" (one a line), "image.*", and what the entry's [metadata] says. Reads the file
/// of labels; NOT_FOUND when that one is missing, RESOURCE_EXHAUSTED when it is all more than fits
/// in a control message.
Result<std::vector<std::pair<std::string, std::string>>> read_metadata(const ModelSource& source);

/// Parses a manifest; INVALID_ARGUMENT names the line, the key and the nearest known key.
Result<Manifest> parse_manifest(const std::string& text, const std::string& path);

/// True for names that are safe as one path component: letters, digits, '.', '_' and '-', no
/// leading dot, at most 128 characters.
bool is_model_name(const std::string& name);

}  // namespace pocket::model
