// A model of the same runner that another one calls.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "pocket/engine.h"
#include "tensor/tensor.h"

namespace pocket::tensor {

struct NamedSpec {
  std::string name;
  Spec spec;
};

/// A peer of a model, found once. Valid as long as its host. Any thread.
class Peer {
 public:
  /// NOT_FOUND says which models the entry names; FAILED_PRECONDITION: it may use none.
  static Result<Peer> find(const pocket_engine_host* host, const std::string& name);

  const std::string& name() const { return name_; }
  const std::vector<NamedSpec>& inputs() const { return inputs_; }
  const std::vector<NamedSpec>& outputs() const { return outputs_; }

  /// Runs it once: `inputs` by index, an undefined dtype leaves one out; the first `wanted` outputs
  /// come back in memory of their own. Fails with the model's own words.
  Result<std::vector<Tensor>> run(const pocket_engine_call& call, std::span<const Tensor> inputs,
                                  size_t wanted) const;

 private:
  const pocket_engine_host* host_ = nullptr;
  pocket_engine_peer* peer_ = nullptr;
  std::string name_;
  std::vector<NamedSpec> inputs_;
  std::vector<NamedSpec> outputs_;
};

}  // namespace pocket::tensor
